# The watchdog of a service: goes back to the release before by itself unless it is told in time that all is well. POSIX
# sh, behind directory.sh: VERB DIRECTORY RUN FENCE ARGS... `arm` leaves both on the host as watchdog/guard.sh, and
# lease.sh beside it; `wait` and `fire` are what counts down there. In DIRECTORY/watchdog:
#
#   armed      it counts down. Who renames this file decides: to `told` a confirm, to `ended` a disarm, to `firing` the
#              watchdog itself; everybody else comes too late. First line: `armed RUN RELEASE TIME`; below it, as
#              `key value`, when it fires and all that is needed to go back
#   verdict    how the last one ended: `confirmed`, `restored` or `failed`, then RUN RELEASE TIME and why
#   by         what counts down: `unit NAME` of systemd, or `process PID START`
#   previous.config, guard.sh, lease.sh
#
# A host that is rebooted forgets its timer: what was armed in another boot counts nothing down, and is told as such.
# Status 48: a watchdog goes back at this moment, and takes too long. `disarm` says for how many seconds it still tries.

umask 077
verb=$1 root=$2 run=$3 fence=$4
home=$root/watchdog
nl='
'
shift 4
if timeout 1 true >/dev/null 2>&1; then limit="timeout 60"; else limit=; fi

put() { # PATH MODE: standard input in place of a file, all or nothing
  plain "$1"
  new=$1.fleetdeploy-new.$$
  # It ends nobody: what goes back tries again.
  cat >"$new" && chmod "$2" "$new" && synced "$new" && mv -f "$new" "$1" && synced "${1%/*}" && return
  rm -f "$new"
  return 1
}

of() { sed -n "s/^$2 //p" "$1" 2>/dev/null | head -n 1; } # FILE KEY: its value in a file of ours

head_of() { read -r _ w_run w_release _ 2>/dev/null <"$1"; } # FILE: sets w_run and w_release

boot() { cat /proc/sys/kernel/random/boot_id; }

nap() { sleep "$1" 2>/dev/null || sleep 1; } # some know no fractions. It is between two looks, each with a deadline

say() { printf '\n%s %s\n' "$nonce" "$*"; }

verdict() { # STATE WHY
  printf '%s %s %s %s %s\n' "$1" "$w_run" "$w_release" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$2" | put "$home/verdict" 0600
  audit "watchdog of run $w_run over release $w_release: $1, $2"
}

it_is_me() {
  started "$$"
  printf 'process %s %s\n' "$$" "$start" | put "$home/by" 0600
}

alive() { # whether the process that `by` names runs; a number alone may be another one's by now
  read -r kind pid since 2>/dev/null <"$home/by" || return 1
  [ "$kind" = process ] && number "$pid" && started "$pid" && [ "$start" = "$since" ]
}

forget() { # FILE: its units. systemd keeps one that was killed as failed, and refuses another of its name
  if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; then
    unit=$(of "$1" unit)
    systemctl stop "$unit.timer" >/dev/null 2>&1
    systemctl reset-failed "$unit.service" >/dev/null 2>&1
  fi
}

end_guard() { # FILE: what counts down, exactly. One that is left over finds nothing armed, and ends by itself
  forget "$1"
  # It leads a group of its own, in which it sleeps.
  if alive; then kill -s TERM -- "-$pid" 2>/dev/null || kill -s TERM "$pid" 2>/dev/null; fi
  rm -f "$home/by"
}

await_end() { # SECONDS: of one that goes back now. One that was killed at it has failed
  clock
  end=$((now + $1))
  while [ -e "$home/firing" ] && alive; do
    clock
    if [ "$now" -ge "$end" ]; then
      due=$(of "$home/firing" deadline) patience=$(of "$home/firing" patience)
      if number "$due" && number "$patience" && [ "$((due + patience))" -gt "$now" ]; then
        say "$((due + patience - now))"
      fi
      die 48 "the watchdog goes back to the release before, and is not done within $1 s"
    fi
    nap 0.2
  done
  if head_of "$home/firing" && [ -e "$home/firing" ]; then
    forget "$home/firing"
    verdict failed "it was ended while it went back"
    rm -f "$home/firing"
  fi
}

# Counting down

count_down() { # SECONDS: by systemd where it runs and obeys us, else in a process with a session of its own
  if [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1; then
    unit=$(of "$home/armed" unit)
    if systemd-run --quiet --no-ask-password --unit="$unit" --description="fleetdeploy: back to the release before" \
      --on-active="${1}s" --timer-property=AccuracySec=1s --setenv="PATH=$PATH" --setenv="DOCKER_HOST=${DOCKER_HOST-}" \
      /bin/sh "$home/guard.sh" fire "$root" "$w_run" "$fence" "$token" >/dev/null 2>&1 9>&- &&
      systemctl is-active --quiet "$unit.timer"; then
      printf 'unit %s\n' "$unit" | put "$home/by" 0600
      return
    fi
  fi
  # In the session of this command it would end with it, and nobody would know.
  command -v setsid >/dev/null 2>&1 || die 45 "neither systemd nor setsid on the host: nothing there can count down"
  unset FLEETDEPLOY_COMMAND # by which what is left of a command is found and ended; this shall be left
  setsid sh "$home/guard.sh" wait "$root" "$w_run" "$fence" "$token" </dev/null >/dev/null 2>&1 9>&- &
  clock
  end=$((now + 10))
  until alive || ! my_own "$home/armed"; do # a short time may be over before anybody looked
    clock
    [ "$now" -lt "$end" ] || die 1 "what counts down did not start within 10 s"
    nap 0.1
  done
}

my_own() { [ "$(of "$1" token)" = "$token" ] && [ "$(of "$1" boot)" = "$(boot)" ]; } # FILE

fire() {
  my_own "$home/armed" || return
  # Who it is before what it does: in between, others would conclude that it was ended.
  { alive && [ "$pid" = "$$" ]; } || it_is_me
  mv "$home/armed" "$home/firing" 2>/dev/null || return
  if ! my_own "$home/firing"; then # armed anew in between, which is not ours to end
    mv "$home/firing" "$home/armed"
    return
  fi
  head_of "$home/firing"
  patience=$(of "$home/firing" patience)
  number "$patience" || return # somebody has concluded it
  audit "watchdog of run $w_run over release $w_release: goes back"
  clock
  end=$((now + patience)) stays=
  for step in take_lease restore is_back; do
    until $step; do
      clock
      if [ "$now" -ge "$end" ]; then
        conclude failed "$why"
        return
      fi
      nap 0.5
    done
  done
  conclude restored "nobody confirmed it within $(of "$home/firing" after) s"
}

conclude() { # STATE WHY. Without a verdict it counts as one that was ended while it went back
  verdict "$1" "$2$stays" && rm -f "$home/firing" "$home/by"
}

# Going back. All of it may be done again from the beginning.

leased() { [ "$(of "$root/lock/holder" run)" = "$w_run" ] && [ "$(of "$root/lock/holder" state)" = held ]; }

take_lease() { # whoever comes back with the number of before changes nothing more, and is told why
  given=$(of "$root/lock/holder" fence)
  leased || return 0
  why="the lease of run $w_run could not be broken"
  sh "$home/lease.sh" break - "$w_run" "the host's watchdog" - 0 "release $w_release went back" "$root" "$given" >/dev/null 2>&1 &&
    ! leased
}

hear() { # COMMAND...: its status; sets out to the last line of its answer, and said to what it complains of
  both=$({
    out=$("$@" 2>&4 4>&-)
    printf '\n%s %s' "$?" "$(printf '%s\n' "$out" | tail -n 1)"
  } 4>&1)
  said=${both%"$nl"*} both=${both##*"$nl"}
  out=${both#* }
  return "${both%% *}"
}

look_at() { # NAME: sets spec to that of our container of this name; empty without one. Status 1: nobody knows
  labels='{{index .Config.Labels "fleetdeploy.service"}}|{{index .Config.Labels "fleetdeploy.spec"}}'
  # The answer alone is read: the client has warnings of its own, which say nothing about the container.
  # shellcheck disable=SC2086  words
  if hear $limit docker inspect --type container --format "$labels" "$1"; then
    spec=${out#*|}
    why="the container $1 is not the service's${said:+ ($(printf '%s' "$said" | tail -n 1))}"
    [ "${out%%|*}" = "$(of "$home/firing" service)" ]
    return
  fi
  spec=
  why="Docker: $(printf '%s' "$said" | tail -n 1)"
  case $said in *"o such container"* | *"o such object"*) return 0 ;; esac
  return 1
}

engine() { # COMMAND...
  said=$($limit docker "$@" 2>&1) && return 0
  why="docker $1: $(printf '%s' "$said" | tail -n 1)"
  return 1
}

restore() {
  container=$(of "$home/firing" container) previous=$(of "$home/firing" previous)
  wanted=$(of "$home/firing" spec) back=$(of "$home/firing" back)
  why="the configuration cannot be written"
  # Marked as tfserving/model_config.py does it, until a new process has read it.
  {
    echo '# fleetdeploy loads this: until this line is gone, the server may have another configuration'
    cat "$home/previous.config"
  } | put "$root/config/model.config" 0644 || return 1
  look_at "$container" || return 1
  present=$spec
  look_at "$previous" || return 1
  if [ "$spec" = "$wanted" ] && [ "$present" != "$wanted" ]; then
    if [ -n "$present" ]; then
      engine stop -t 10 "$container" && engine rm --force "$container" || return 1
    fi
    engine rename "$previous" "$container" && engine start "$container" || return 1
  elif [ "$present" = "$wanted" ]; then
    engine restart -t 10 "$container" || return 1 # a new process reads the file
  else
    why="the container of release $back is no longer on the host"
    return 1
  fi
  why="the configuration cannot be written"
  put "$root/config/model.config" 0644 <"$home/previous.config" || return 1
  why="releases/current cannot be written"
  [ -e "$root/releases/$back.json" ] || return 0
  [ "$(cat "$root/releases/current" 2>/dev/null)" = "$back" ] ||
    printf '%s\n' "$back" | put "$root/releases/current" 0644 || return 1
  # What serves comes first: to try all of it again would restart the server.
  strike || { nap 1 && strike; } || stays="; releases/history cannot be changed, and may still name it"
}

strike() { # what went back was proven too early: nobody may ever go back to it. Status 1 where its line stays
  [ "$w_release" != "$back" ] || return 0
  history=$root/releases/history
  if [ -e "$history" ]; then
    { [ -f "$history" ] && [ -r "$history" ]; } || return 1
    grep -Fqs "{\"id\":\"$w_release\"," "$history"
    case $? in
      0)
        # By sed, as grep gives no lines of a file that a crash left with other bytes than text.
        sed "/^{\"id\":\"$(printf '%s' "$w_release" | sed 's/[.]/[.]/g')\",/d" "$history" >"$home/history.new" &&
          (put "$history" 0600 <"$home/history.new")
        status=$?
        rm -f "$home/history.new"
        [ "$status" -eq 0 ] || return 1
        ;;
      1) ;;
      *) return 1 ;;
    esac
  fi
  rm -f "$root/releases/$w_release.json" && synced "$root/releases"
}

get() { # ADDRESS PORT PATH: what is answered, by whatever the host has to ask with
  if command -v curl >/dev/null 2>&1; then
    curl -q -s -m 5 --noproxy '*' "http://$1:$2$3"
  elif command -v bash >/dev/null 2>&1; then
    # shellcheck disable=SC2016
    $limit bash -c '
      exec 3<>"/dev/tcp/$1/$2" || exit 7
      printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$3" "$1" >&3
      while IFS= read -r -t 5 line <&3 || [ -n "$line" ]; do printf "%s\n" "$line"; line=; done' get "$1" "$2" "$3"
  else
    wget -q -T 5 -O - "http://$1:$2$3"
  fi 2>/dev/null
}

is_back() { # whether every version of the release before is AVAILABLE
  place=$(of "$home/firing" rest)
  sed -n 's/^serves //p' "$home/firing" >"$home/serves.new" || return 1
  while read -r model numbers; do
    answer=$(get "${place% *}" "${place#* }" "/v1/models/$model" | tr -d ' \r\n\t')
    for each in $numbers; do
      why="$model $each was not AVAILABLE again within $patience s"
      case $answer in *"\"version\":\"$each\",\"state\":\"AVAILABLE\""*) ;; *) return 1 ;; esac
    done
  done <"$home/serves.new"
  rm -f "$home/serves.new"
}

case $verb in
  arm) # NONCE RUN RELEASE AFTER LINES LINES LENGTH TELLING <guard.sh and lease.sh, of so many lines, and model.config
    nonce=$1 w_run=$2 w_release=$3 after=$4 lines=$5 more=$6 length=$7 telling=$8
    ours
    guard -s
    carried
    plain "$home"
    [ -d "$home" ] || mkdir "$home" || die 1 "cannot make $home"
    [ ! -e "$home/firing" ] || ! alive || die 48 "a watchdog goes back at this moment"
    if mv "$home/armed" "$home/ended" 2>/dev/null; then end_guard "$home/ended"; fi
    [ ! -e "$home/firing" ] || forget "$home/firing"
    (cd "$home" && rm -f -- * && cat >payload && flush payload) || die 1 "cannot write to $home"
    got=$(($(wc -c <"$home/payload")))
    [ "$got" -eq "$length" ] || die 1 "only $got of $length bytes arrived"
    head -n "$lines" "$home/payload" | put "$home/guard.sh" 0600 &&
      tail -n "+$((lines + 1))" "$home/payload" | head -n "$more" | put "$home/lease.sh" 0600 &&
      tail -n "+$((lines + more + 1))" "$home/payload" | put "$home/previous.config" 0600 &&
      rm -f "$home/payload" || die 1 "cannot write to $home"
    token=$nonce
    clock # in whole seconds, rounded down: one more, so that it never fires early
    {
      printf 'armed %s %s %s\n' "$w_run" "$w_release" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
      printf 'token %s\nfence %s\nboot %s\n' "$token" "$fence" "$(boot)"
      printf 'after %s\ndeadline %s\n%s\n' "$after" "$((now + after + 1))" "$telling"
    } | put "$home/armed" 0600 || die 1 "cannot write to $home"
    count_down "$after"
    audit "watchdog of run $w_run over release $w_release: armed, $after s"
    say "armed $w_run $w_release"
    ;;
  confirm) # NONCE RUN
    nonce=$1
    w_run=
    [ -d "$home" ] || die 1 "nothing was armed here"
    plain "$home"
    guard -s
    head_of "$home/armed"
    if [ "$w_run" = "$2" ]; then
      carried
      mv "$home/armed" "$home/told" 2>/dev/null
    fi
    if head_of "$home/told"; then # moved just now, or by a confirm that was cut off
      flush "$home"
      end_guard "$home/told"
      verdict confirmed "in time" || die 1 "cannot write to $home"
      rm -f "$home/told"
    fi
    if [ -e "$home/firing" ]; then say "firing $(sed -n '1s/^armed //p' "$home/firing")"; else
      say "$(cat "$home/verdict" 2>/dev/null)"
    fi
    ;;
  disarm) # NONCE SECONDS
    nonce=$1
    if [ -d "$home" ]; then
      plain "$home"
      guard -s
      if [ -e "$home/armed" ]; then
        carried
        if mv "$home/armed" "$home/ended" 2>/dev/null; then
          flush "$home"
          head_of "$home/ended"
          end_guard "$home/ended"
          rm -f "$home/ended" "$home/verdict"
          audit "watchdog of run $w_run over release $w_release: disarmed"
        fi
      fi
      exec 9>&- # which it needs to take the lease
      await_end "$2"
    fi
    if [ -e "$home/verdict" ]; then say "$(cat "$home/verdict")"; else say none; fi
    ;;
  wait | fire) # TOKEN
    token=$1
    for each in 3 4 5 6 7 8 9; do eval "exec $each>&-"; done
    trap '' HUP
    cd / || exit 1
    if [ "$verb" = wait ]; then
      it_is_me
      while clock && my_own "$home/armed" && [ "$now" -lt "$(of "$home/armed" deadline)" ]; do nap 1; done
    fi
    fire || : # with nothing to do it has not failed, as systemd would keep it
    ;;
  *) die 2 "no verb $verb" ;;
esac
