# What files.sh and lease.sh share: a service's directory on its host, and who may change it. POSIX sh, put before theirs
# and behind look.sh.
#
# lock/ holds the lease. `fence` is the highest fencing number that was ever given out. `holder` is who holds the lease,
# or the last who did. `guard` is locked by flock(1): shared by whoever changes the directory or renews, alone by whoever
# takes, releases or breaks. So what a verb was allowed to do is done before somebody else gets the lease, and the kernel
# frees the lock of whoever ends. Time is the host's own, in seconds since it booted.
#
# Status 41: the directory is not ours; 45: a tool is missing; 46: another run has the lease; 47: the last holder is
# still at work; 49: this run has the lease already, for a host of another name.

LC_ALL=C
export LC_ALL
unset CDPATH TIME_STYLE QUOTING_STYLE BLOCK_SIZE DF_BLOCK_SIZE POSIXLY_CORRECT
umask 022

die() {
  status=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$status"
}

synced() { # [-f] PATH...: on the disk before anything is renamed. Status 1 where the disk did not take it
  said=$(sync "$@" 2>&1) && return
  # sync(1) with a file is not everywhere, nor can every file system do it; all of it is always right. What lies in
  # memory alone tells which it is: no disk can fail it.
  case $1 in -*) option=$1 ;; *) option= ;; esac
  case $said in
    *"Invalid argument"*) ;;
    *)
      if sync ${option:+"$option"} /dev 2>/dev/null; then
        printf '%s\n' "$said" >&2
        return 1
      fi
      ;;
  esac
  sync
}

flush() { synced "$@" || die 1 "what was written to $root did not reach the disk"; }

audit() { printf '%s %s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$run" "$fence" "$*" >>"$root/audit.log"; }

plain() { # a path of ours must not be a symbolic link: it would lead what we write elsewhere
  for each in "$@"; do
    [ ! -L "$each" ] || die 41 "$each is a symbolic link; nothing is written through it"
  done
}

folder() {
  plain "$1"
  [ -d "$1" ] || mkdir "$1" 2>/dev/null || [ -d "$1" ] || die 1 "cannot make $1"
}

ours() { # the service's directory carries our marker, is empty, or is not there yet
  plain "$root"
  if [ ! -d "$root" ]; then
    # Nobody else gets in: a template may put secrets into model.config, which must be readable to the container's user.
    # The container needs no way through here, as what it reads is mounted into it.
    { mkdir -p "$root" && chmod 0700 "$root"; } || die 1 "cannot make $root"
  elif [ ! -f "$root/.fleetdeploy" ] && [ -n "$(ls -A "$root")" ] && [ ! -f "$root/.fleetdeploy" ]; then
    die 41 "$root exists, is not empty and was not made by fleetdeploy (there is no $root/.fleetdeploy)"
  fi
  plain "$root/.fleetdeploy" "$root/audit.log" "$root/drained"
  if [ ! -f "$root/.fleetdeploy" ]; then
    echo "This directory belongs to fleetdeploy." >"$root/.fleetdeploy" || die 1 "cannot write to $root"
    flush "$root"
  fi
  for part in models staging config releases manifests lock; do folder "$root/$part"; done
  plain "$root/lock/guard" "$root/lock/fence" "$root/lock/holder"
}

clock() { # sets now: seconds since the host booted
  read -r now _ </proc/uptime || die 45 "/proc/uptime cannot be read on the host"
  now=${now%%.*}
}

guard() { # -s or -x: until this shell and all it started have ended
  command -v flock >/dev/null 2>&1 || die 45 "flock: not found on the host"
  # `exec` alone would end the shell at a file that cannot be opened.
  command exec 9<>"$root/lock/guard" || die 1 "cannot write to $root/lock"
  clock
  asked=$now evicted=
  while :; do
    said=$(flock "$1" -n 9 2>&1)
    status=$?
    [ "$status" -ne 0 ] || return 0
    # Busy is 1 without a word; with one it is an error, which some tell by the same status.
    [ "$status" -eq 1 ] && [ -z "$said" ] || die 1 "$root/lock/guard cannot be locked: ${said:-status $status}"
    clock
    [ "$((now - asked))" -lt 10 ] || { holder && die 47 "a step of run $h_run of $h_owner is still at work in $root"; }
    if [ "$1" = -x ] && [ -z "$evicted" ] && [ "$((now - asked))" -ge 2 ]; then
      # The holder's step waits for a controller that does not speak; its connection goes as it would a moment later.
      holder
      if takeable; then evict; fi
      evicted=yes
    fi
    sleep 0.1 2>/dev/null || sleep 1 # a step takes about as long; some know no fractions
  done
}

number() { # what the shell can add up as it stands: 18 digits at most, and none that it would read as octal
  case $1 in "" | *[!0-9]* | 0?* | ???????????????????*) return 1 ;; esac
}

holder() { # sets h_..., last: the highest fencing number, left: how many seconds the lease still holds, age
  h_fence=0 h_run='' h_owner='' h_origin='' h_boot='' h_since=0 h_renewed=0 h_ttl=0 h_daemon='' h_state='' h_why=''
  for each in holder fence; do
    [ ! -e "$root/lock/$each" ] || [ -r "$root/lock/$each" ] || die 1 "$root/lock/$each cannot be read"
  done
  if [ -f "$root/lock/holder" ]; then
    while IFS=' ' read -r key value; do
      case $key in
        fence) h_fence=$value ;;
        run) h_run=$value ;;
        owner) h_owner=$value ;;
        origin) h_origin=$value ;;
        boot) h_boot=$value ;;
        since) h_since=$value ;;
        renewed) h_renewed=$value ;;
        ttl) h_ttl=$value ;;
        daemon) h_daemon=$value ;;
        state) h_state=$value ;;
        why) h_why=$value ;;
      esac
    done <"$root/lock/holder"
  fi
  last=0 left=0
  if [ -f "$root/lock/fence" ]; then read -r last <"$root/lock/fence"; fi
  # Both are replaced whole and synced, so this is damage: a number that could be lower than one in use is not made up.
  number "$last" || die 1 "$root/lock/fence holds no number: write the highest fencing number of $root/audit.log into it"
  number "$h_fence" && number "$h_since" && number "$h_renewed" && number "$h_ttl" ||
    h_fence=0 h_since=0 h_renewed=0 h_ttl=0 h_state=damaged
  [ "$h_fence" -le "$last" ] || last=$h_fence
  clock
  read -r boot </proc/sys/kernel/random/boot_id
  if [ "$h_boot" != "$boot" ]; then h_since=0 h_renewed=0; fi # whoever held it when the host went down gets its TTL
  [ "$h_renewed" -le "$now" ] || h_renewed=$now
  if [ "$h_state" = held ]; then left=$((h_renewed + h_ttl - now)); fi
  [ "$left" -gt 0 ] || left=0
  age=$((now - h_since))
}

mine() { # after holder
  [ "$h_state" = held ] && [ "$h_run" = "$run" ] && [ "$h_fence" -eq "$fence" ] && [ "$last" -eq "$fence" ]
}

lost() {
  case $h_state in
    held)
      # Whoever takes writes the number first.
      [ "$h_run" != "$run" ] || die 46 "another run began to take over with number $last, and was cut off"
      die 46 "run $h_run of $h_owner took over"
      ;;
    broken) die 46 "$h_owner broke the lease: $h_why" ;;
    released) die 46 "run $h_run of $h_owner had the lease and has ended" ;;
    *) die 46 "nobody holds it, and neither does this run" ;;
  esac
}

carried() { # run and fence: those of the lease, or - and 0 where there is none
  holder
  if [ "$run" = - ]; then
    [ "$left" -eq 0 ] || die 46 "run $h_run of $h_owner holds the lease"
  else
    mine || lost
  fi
}

takeable() { # after holder. Who has the same origin held the same lock of one controller, which its end has freed.
  if [ "$verb" = break ]; then # what was seen, by its number; whichever it is for 0
    [ "$h_state" = damaged ] || [ "$fence" -eq 0 ] || [ "$h_fence" -eq "$fence" ]
    return
  fi
  [ "$left" -eq 0 ] || { [ "$origin" != - ] && [ "$h_origin" = "$origin" ]; }
}

started() { # PID: sets start, empty when there is no such process
  start=''
  read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  # shellcheck disable=SC2086  fields
  set -- ${line##*) }
  parent=$2
  shift 10
  start=${10}
}

serves() { # PID: whether it is a process that serves an SSH connection
  read -r name 2>/dev/null <"/proc/$1/comm" || return 1
  case $name in sshd | sshd-session | dropbear) return 0 ;; esac
  return 1
}

daemon() { # sets daemon: number and start time of what serves this very connection; empty when that is not sure
  # The nearest one holds the connection's keys; the listener, or a monitor, stands above it.
  at=$$ daemon=''
  while started "$at" && [ "$parent" -gt 1 ]; do
    at=$parent
    if serves "$at" && started "$at"; then
      daemon="$at $start"
      return
    fi
  done
}

evict() { # ends the last holder's connection and copies, and with them what is on its way here
  daemon
  if [ "$h_state" = held ] && [ "$h_boot" = "$boot" ] && [ -n "$h_daemon" ] && [ "$h_daemon" != "$daemon" ] &&
    number "${h_daemon% *}" && serves "${h_daemon% *}" && started "${h_daemon% *}" && [ "$start" = "${h_daemon#* }" ]; then
    kill -s KILL "${h_daemon% *}" 2>/dev/null
  fi
  home=$(cd "$root" && pwd -P) || return 0
  for path in /proc/[0-9]*/cwd; do
    case $(readlink "$path" 2>/dev/null) in
      "$home"/staging/*)
        each=${path#/proc/}
        if read -r name 2>/dev/null <"/proc/${each%/cwd}/comm" && [ "$name" = rsync ]; then
          kill -s KILL "${each%/cwd}" 2>/dev/null
        fi
        ;;
    esac
  done
}
