# Ends what is left of the command that guard.sh started under MARK; what left its session did so to stay, and is not
# touched. POSIX sh; `sh -c FILE fleetdeploy MARK`. Status 0: nothing is left.
left() { # sets pids
  pids=
  for file in $(grep -lzF "FLEETDEPLOY_COMMAND=$1." /proc/[0-9]*/environ 2>/dev/null); do
    pid=${file#/proc/}
    pid=${pid%/*}
    session=$(tr '\0' '\n' 2>/dev/null <"$file" | sed -n "s/^FLEETDEPLOY_COMMAND=$1\.//p")
    read -r now 2>/dev/null <"/proc/$pid/stat" && now=${now##*) } && now=${now#* * * } || continue
    [ "${now%% *}" != "$session" ] || pids="$pids $pid"
  done
  [ -n "$pids" ]
}
# A second to end by itself, then half of one to be gone; some know no fractions of a second.
for signal in TERM 0 0 0 0 0 0 0 0 0 KILL 0 0 0 0 0; do
  left "$1" || exit 0
  # shellcheck disable=SC2086  several words
  kill -s "$signal" $pids 2>/dev/null
  sleep 0.1 2>/dev/null || sleep 1
done
! left "$1"
