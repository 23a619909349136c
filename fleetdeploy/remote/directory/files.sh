# The verbs that change a service's directory on its host. POSIX sh, behind directory.sh:
# VERB DIRECTORY RUN FENCE ARGS..., where RUN and FENCE are those of the lease, or - and 0 without one.
#
# Text comes on standard input and is counted: a link that breaks in the middle must not leave half a file in place.
# Status 42: the version is there with other content; 43: too little space; 44: what was copied is not what the manifest
# says; the others are those of directory.sh.

partial=.fleetdeploy-partial
verb=$1 root=$2 run=$3 fence=$4
shift 4

own() { # ours, and this run's for as long as this verb works on it
  ours
  guard -s
  carried
}

take() { # LENGTH PATH: standard input into a new file
  rm -f "$2"
  (set -C && cat >"$2") || {
    rm -f "$2"
    die 1 "cannot write $2"
  }
  got=$(($(wc -c <"$2")))
  if [ "$got" -ne "$1" ]; then
    rm -f "$2"
    die 1 "only $got of $1 bytes arrived"
  fi
}

put() { # LENGTH PATH [MODE]: standard input in place of a file, all or nothing
  plain "$2"
  new=$2.fleetdeploy-new.$$ # of this process alone: two at a time must not write one file
  (umask 077 && take "$1" "$new") || exit "$?"
  chmod "${3:-0644}" "$new"
  synced "$new" || {
    rm -f "$new"
    die 1 "cannot write $2"
  }
  mv -f "$new" "$2" || die 1 "cannot replace $2"
  flush "${2%/*}"
}

room() { # KIB FILES: refuse when that much does not fit
  line=$(df -P -k "$root" | tail -n 1 | sed 's/.* \([0-9][0-9]*\)  *[0-9][0-9]*%.*/\1/')
  case $line in
    *[!0-9]* | "") ;;
    *) [ "$line" -ge "$1" ] || die 43 "$root has $((line / 1024)) MiB free, $(($1 / 1024)) MiB are needed with reserve" ;;
  esac
  # "Inodes IUsed IFree": file systems without a fixed number of them say 0 and -.
  line=$(df -P -i "$root" 2>/dev/null | tail -n 1 | sed -n 's/.* \([0-9][0-9]*\)  *[0-9][0-9]*%.*/\1/p')
  case $line in
    *[!0-9]* | "") ;;
    *) [ "$line" -ge "$2" ] || die 43 "$root has $line free inodes, $2 are needed with reserve" ;;
  esac
}

check() { # DIRECTORY MANIFEST: every file of the manifest and no other, by SHA-256
  command -v sha256sum >/dev/null 2>&1 || die 45 "sha256sum: not found on the host"
  cd "$1" || die 1 "cannot enter $1"
  odd=$(find . ! -type d ! -type f | head -n 3)
  [ -z "$odd" ] || { wrong="not a plain file: $odd" && return 1; }
  cut -c67- "$2" | sort >"$2.want"
  find . -type f | sed 's|^\./||' | sort >"$2.have"
  extra=$(grep -Fxv -f "$2.want" "$2.have" | head -n 3)
  rm -f "$2.want" "$2.have"
  [ -z "$extra" ] || { wrong="not in the manifest: $extra" && return 1; }
  wrong=$(sha256sum -c "$2" 2>&1) && return 0
  wrong=$(printf '%s\n' "$wrong" | grep -v ': OK$' | head -n 5)
  return 1
}

link() { # STAGED OLD OLD_MANIFEST MANIFEST: hard-link what the old version has already, and name it
  [ -d "$2" ] && [ ! -L "$2" ] && [ -f "$3" ] || return 0
  while IFS= read -r line; do
    sum=${line%%  *}
    path=${line#*  }
    there=$(sed -n "s/^$sum  //p" "$3" | head -n 1)
    if [ -n "$there" ] && [ -f "$2/$there" ] && [ ! -L "$2/$there" ]; then
      case $path in */*) mkdir -p "$1/${path%/*}" ;; esac
      if ln -f "$2/$there" "$1/$path" 2>/dev/null; then printf '%s\n' "$path"; fi
    fi
  done <"$4"
}

remember() { # LINE LEFT: the last one of the history, which keeps 50; LEFT, if any, and lines that are not ours go
  history=$root/releases/history
  plain "$history"
  if [ -e "$history" ]; then
    # A history that cannot be read is left as it is: a new one in its place would lose what was proven.
    { [ -f "$history" ] && [ -r "$history" ]; } || return 0
    [ -z "$1" ] || [ "$(tail -n 1 "$history")" != "$1" ] || return 0
  fi
  lines=$(grep -s '^{"id":".*}$' "$history" | grep -Fv "{\"id\":\"$2\",")
  [ "$(printf '%s\n' "$lines" | tail -n 1)" = "$1" ] || lines=$lines${lines:+${1:+
}}$1
  while [ "$(printf '%s\n' "$lines" | wc -l)" -gt 50 ]; do
    lines=$(printf '%s\n' "$lines" | sed "$(printf '%s\n' "$lines" | spare)d")
  done
  { [ -n "$lines" ] || [ -e "$history" ]; } || return 0
  lines=$lines${lines:+
}
  printf '%s' "$lines" | put "${#lines}" "$history" 0600 || exit "$?"
}

# Of a history on standard input, the number of the oldest line that tells nothing: a newer one says the same, and no
# content is proven for the first time between them, so that all of them stay in their order. 1 where there is none.
spare() {
  seen=" " again=" " at=0 oldest=0
  while IFS= read -r line; do
    at=$((at + 1))
    id=${line#'{"id":"'}
    id=${id%%'"'*}
    content=${id##*-}
    took=
    case $line in *'"took_back":"'*) took=${line##*'"took_back":"'} && took=${took%%'"'*} ;; esac
    case $seen in
      *" $content "*) ;;
      *)
        seen="$seen$content " again=" "
        continue
        ;;
    esac
    case $again in
      *" $content/$took="*)
        line=${again##*" $content/$took="}
        line=${line%% *}
        { [ "$oldest" -gt 0 ] && [ "$oldest" -lt "$line" ]; } || oldest=$line
        ;;
      *) again="$again$content/$took=$at " ;;
    esac
  done
  if [ "$oldest" -eq 0 ]; then oldest=1; fi
  echo "$oldest"
}

drop() { # ID: the record of a release that was left again; nothing where ID is empty
  [ -n "$1" ] || return 0
  plain "$root/releases/$1.json"
  rm -f "$root/releases/$1.json" || die 1 "cannot remove $root/releases/$1.json"
  flush "$root/releases"
}

case $verb in
  prepare) # NONCE MODEL VERSION STAGED KIB FILES OLD LENGTH <MANIFEST
    nonce=$1 model=$2 version=$3 staged=$root/staging/$4 old=$7
    own
    plain "$root/models/$model" "$root/models/$model/$version" "$root/manifests/$model" "$staged"
    take "$8" "$staged.sha256"
    command -v rsync >/dev/null 2>&1 || die 45 "rsync: not found on the host"
    if [ -e "$root/models/$model/$version" ]; then
      check "$root/models/$model/$version" "$staged.sha256" || {
        rm -f "$staged.sha256"
        die 42 "$root/models/$model/$version is there with other content ($wrong)"
      }
      folder "$root/manifests/$model"
      mv -f "$staged.sha256" "$root/manifests/$model/$version.sha256"
      flush "$root/manifests/$model"
      rm -rf "$staged"
      printf '\n%s done\n' "$nonce"
      exit 0
    fi
    room "$5" "$6"
    folder "$staged"
    printf '\n%s go %s\n' "$nonce" "$(rsync --version 2>/dev/null | sed -n '1s/.* version \([0-9.]*\).*/\1/p')"
    [ "$old" -eq 0 ] ||
      link "$staged" "$root/models/$model/$old" "$root/manifests/$model/$old.sha256" "$staged.sha256"
    printf '%s end\n' "$nonce"
    ;;
  finish) # NONCE MODEL VERSION STAGED
    nonce=$1 model=$2 version=$3 staged=$root/staging/$4
    own
    plain "$root/models/$model" "$root/manifests/$model" "$staged"
    # What an interrupted rsync left; everything else that does not belong here is an error.
    find "$staged" -name "$partial" -type d -prune -exec rm -rf {} +
    find "$staged" -type f -name '.*.??????' | while IFS= read -r path; do
      cut -c67- "$staged.sha256" | grep -Fxq -e "${path#"$staged"/}" || rm -f "$path"
    done
    find "$staged" -type d -exec chmod 0755 {} +
    find "$staged" -type f ! -perm 0644 -exec chmod 0644 {} +
    check "$staged" "$staged.sha256" || die 44 "$wrong"
    cd /
    flush -f "$staged"
    folder "$root/models/$model"
    folder "$root/manifests/$model"
    [ ! -e "$root/models/$model/$version" ] || die 42 "$root/models/$model/$version appeared meanwhile"
    mv -f "$staged.sha256" "$root/manifests/$model/$version.sha256" || die 1 "cannot write the manifest"
    flush "$root/manifests/$model"
    mv "$staged" "$root/models/$model/$version" || die 1 "cannot put $root/models/$model/$version in place"
    flush "$root/models/$model"
    audit "staged $model $version"
    printf '\n%s done\n' "$nonce"
    ;;
  discard) # STAGED
    own
    rm -rf "$root/staging/$1" "$root/staging/$1.sha256"
    ;;
  write) # PATH LENGTH <TEXT
    own
    put "$2" "$root/$1"
    audit "wrote $1"
    ;;
  read) # NONCE PATH: the file, or that there is none; what cannot be read is an error
    plain "$root" "$root/${2%/*}" "$root/$2"
    if [ -e "$root/$2" ] || ! ls "$root/${2%/*}" >/dev/null; then
      printf '\n%s there\n' "$1"
      cat "$root/$2" || die 1 "cannot read $root/$2"
      printf '%s end\n' "$1"
    else
      printf '\n%s absent\n' "$1"
    fi
    ;;
  release) # ID LENGTH LINE LEFT <RECORD: it is current; LEFT, where it is not empty, was left for it and counts no more
    own
    put "$2" "$root/releases/$1.json" 0600 # it holds the container's environment
    remember "$3" "$4"
    printf '%s\n' "$1" | put "$((${#1} + 1))" "$root/releases/current" || exit "$?"
    drop "$4"
    audit "release $1${4:+, $4 was left}"
    ;;
  unrelease) # LEFT: no release is current; LEFT, where it is not empty, counts no more
    own
    [ -z "$1" ] || [ ! -e "$root/releases" ] || remember "" "$1"
    rm -f "$root/releases/current"
    drop "$1"
    flush "$root"
    audit "no release is current${1:+, $1 was left}"
    ;;
  record) # ID: print the record, nothing where there is none
    plain "$root" "$root/releases" "$root/releases/$1.json"
    [ -e "$root/releases/$1.json" ] || exit 0
    cat "$root/releases/$1.json" || die 1 "cannot read $root/releases/$1.json"
    ;;
  forget) # ID...
    own
    current=$(cat "$root/releases/current" 2>/dev/null)
    for id in "$@"; do
      if [ "$id" = "$current" ] || [ ! -e "$root/releases/$id.json" ]; then continue; fi
      plain "$root/releases/$id.json"
      rm -f "$root/releases/$id.json" || die 1 "cannot remove $root/releases/$id.json"
      audit "forgot release $id"
    done
    flush "$root/releases"
    ;;
  clear) # PATH
    own
    rm -f "$root/$1"
    flush "$root"
    audit "cleared $1"
    ;;
  remove) # MODEL VERSION...
    own
    model=$1
    shift
    plain "$root/models/$model" "$root/manifests/$model"
    for version in "$@"; do
      plain "$root/models/$model/$version"
      [ -e "$root/models/$model/$version" ] || continue
      [ -f "$root/manifests/$model/$version.sha256" ] || continue # not one of ours
      gone=$root/staging/removed-$model-$version-$$
      mv "$root/models/$model/$version" "$gone" || die 1 "cannot remove $model $version"
      flush "$root/models/$model"
      rm -f "$root/manifests/$model/$version.sha256"
      rm -rf "$gone" || die 1 "cannot delete $gone"
      audit "removed $model $version"
    done
    ;;
  sweep) # all but copies that can be resumed: MODEL-VERSION-DIGEST, touched in the last week, not yet in place
    own
    for path in "$root"/staging/* "$root"/staging/.[!.]*; do
      [ -e "$path" ] || [ -L "$path" ] || continue
      name=${path##*/}
      name=${name%.sha256}
      version=${name%-????????????}
      model=${version%-*}
      version=${version##*-}
      case $name in
        *-[1-9]*-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f])
          if [ -d "$root/staging/$name" ] && [ ! -e "$root/models/$model/$version" ] &&
            [ -z "$(find "$root/staging/$name" -prune -mtime +7)" ]; then
            continue
          fi
          ;;
      esac
      rm -rf "$path" || die 1 "cannot delete $path"
    done
    find "$root/config" "$root/releases" "$root/manifests" -name '*.fleetdeploy-new*' -type f -exec rm -f {} +
    rm -f "$root"/drained.fleetdeploy-new*
    ;;
  *) die 2 "no verb $verb" ;;
esac
