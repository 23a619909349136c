# Starts a command so that it ends with its channel. POSIX sh; `sh -c FILE fleetdeploy SECONDS MARK COMMAND...`.
#
# sshd ends nothing when a channel or its connection goes. So where the host has timeout(1) with -k (GNU, newer
# busybox), that ends the process group after SECONDS; and where setpriv(1) has --pdeathsig (util-linux 2.33), the
# kernel tells timeout when the session's sshd dies, which passes it on to the group. MARK and the session's number
# stand in the environment: sweep.sh finds by them what a signal through the channel does not reach.
limit=$1
marked=$2
shift 2
read -r session 2>/dev/null </proc/$$/stat && session=${session##*) } && session=${session#* * * }
export FLEETDEPLOY_COMMAND="$marked.${session%% *}"

up() { # PID: sets parent
  read -r parent 2>/dev/null <"/proc/$1/stat" && parent=${parent##*) } && parent=${parent#* } && parent=${parent%% *}
}

# A signal that sudo's child gets at its parent's death is of no use: sudo lives on, and loses its own when it becomes
# root. There, and without setpriv, a long command is watched by a process of its own; a short one has its deadline.
watch() {
  first=$$
  while up "$first" && [ "$parent" -gt 1 ] && read -r name <"/proc/$parent/comm"; do
    case $name in
      sshd* | dropbear*)
        daemon=$parent
        while sleep 1 && read -r self </proc/self/stat && self=${self##*) } && self=${self#* } &&
          [ "${self%% *}" -eq $$ ]; do
          up "$first" && [ "$parent" -eq "$daemon" ] || kill -s TERM $$
        done
        return
        ;;
    esac
    first=$parent
  done
}
at_death=
setpriv --pdeathsig TERM timeout -k 5 1 true >/dev/null 2>&1 && at_death=yes
if [ "$limit" -gt 70 ] && { [ -z "$at_death" ] || [ "${SUDO_COMMAND+sudo}" ]; }; then
  watch </dev/null >/dev/null 2>&1 &
fi
[ -z "$at_death" ] || exec setpriv --pdeathsig TERM timeout -k 5 "$limit" "$@"
timeout -k 5 1 true >/dev/null 2>&1 && exec timeout -k 5 "$limit" "$@"
exec "$@"
