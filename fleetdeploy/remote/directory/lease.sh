# The verbs of leases, for all services of a host in one go. POSIX sh, behind directory.sh:
# VERB NONCE RUN OWNER ORIGIN TTL WHY [DIRECTORY FENCE]...
#
# take: for every directory, or status 46 at the first that another run has; renew and check that this run still has
# them; release; show; break, of which FENCE is the one that was seen, or 0. Answers the time, and a frame for each directory:
#   NONCE now BOOT UPTIME
#   NONCE INDEX WORD FENCE, and below it what lock/holder says

verb=$1 nonce=$2 run=$3 owner=$4 origin=$5 ttl=$6 why=$7
shift 7

keep() { # NAME TEXT: all or nothing
  new=$root/lock/$1.fleetdeploy-new.$$
  # Not the shell's own printf: dash does not say that it is the space that is missing.
  if printf '%s\n' "$2" | cat >"$new" && synced "$new" && mv -f "$new" "$root/lock/$1" && synced "$root/lock"; then
    return
  fi
  rm -f "$new"
  return 1
}

unwritten() { die 1 "cannot write to $root/lock"; }

write() { # STATE SINCE RENEWED TTL
  keep holder "fence $fence
run $run
owner $owner
origin $origin
boot $boot
since $2
renewed $3
ttl $4
daemon $daemon
state $1
why $why"
}

known() { # whether there is a lock at all; an error where that cannot be seen
  look "$root/lock/."
  case $? in
    1) return 1 ;;
    2) die 1 "$root/lock: a directory on the way cannot be entered" ;;
  esac
  plain "$root" "$root/lock" "$root/lock/guard" "$root/lock/fence" "$root/lock/holder"
}

shown() { # changes nothing, and asks for no lock
  fence=0
  look "$root/lock/holder"
  case $? in
    1) printf '\n%s %d seen 0\n' "$nonce" "$index" ;;
    2) printf '\n%s %d unknown 0\n%s\n' "$nonce" "$index" "$root/lock: a directory on the way cannot be entered" ;;
    *)
      if text=$(cat "$root/lock/holder" 2>&1); then word=seen; else word=unknown; fi
      printf '\n%s %d %s 0\n%s\n' "$nonce" "$index" "$word" "$text"
      ;;
  esac
}

answer() { # WORD
  text=
  [ ! -f "$root/lock/holder" ] || text=$(cat "$root/lock/holder")
  printf '\n%s %d %s %s\n%s\n' "$nonce" "$index" "$1" "$fence" "$text"
}

claim() {
  ours
  guard -x
  holder
  daemon
  rm -f "$root"/lock/*.fleetdeploy-new.*
  fence=$last
  if [ "$left" -gt 0 ] && [ "$h_run" = "$run" ] && [ "$h_origin" != "$origin" ]; then
    die 49 "this run has the lease of $root already, for a host of another name"
  elif mine; then
    write held "$h_since" "$now" "$ttl" || unwritten
  elif takeable; then
    [ "$h_state" != held ] || evict
    from="$h_run of $h_owner" was=$h_state
    # The number first: whoever dies in between has only made it grow.
    fence=$((last + 1))
    keep fence "$fence" && write held "$now" "$now" "$ttl" || unwritten
    audit "lease taken by $owner$([ "$was" != held ] || echo " over from run $from")"
  else
    answer held
    exit 46
  fi
  answer taken
}

renewed() {
  known || die 46 "its directory is gone"
  guard -s
  holder
  mine || lost
  daemon
  # Not at every step: it is written and synced.
  if [ "$((3 * (now - h_renewed)))" -ge "$ttl" ] || [ "$h_boot" != "$boot" ] || [ "$h_daemon" != "$daemon" ]; then
    # Where nothing can be written any more the lease is still this run's for the time that is left: what it began
    # must be taken back.
    write held "$h_since" "$now" "$ttl" || [ "$left" -gt 0 ] || unwritten
  fi
  answer renewed
}

released() {
  known || return 0
  guard -x
  holder
  # Number 0: whichever this run got, if it did. Nobody has told it.
  [ "$fence" -ne 0 ] || fence=$h_fence
  mine || return 0
  write released "$h_since" "$now" 0 || unwritten
  audit "lease released"
}

breakable() {
  holder
  case $h_state in held | damaged) takeable ;; *) return 1 ;; esac
}

broken() {
  known && breakable || return 0
  guard -x
  breakable || return 0
  evict
  fence=$h_fence
  answer broken
  daemon='' from="$h_run of $h_owner, number $h_fence"
  fence=$((last + 1))
  keep fence "$fence" && write broken "$now" "$now" 0 || unwritten
  audit "lease of run $from broken by $owner: $why"
}

clock
read -r boot </proc/sys/kernel/random/boot_id
printf '\n%s now %s %s\n' "$nonce" "$boot" "$now"
index=0 failed=0
while [ $# -gt 0 ]; do
  root=$1 fence=$2
  shift 2
  case $verb in
    take) claim ;;
    renew) renewed ;;
    release) (released) || failed=$? ;; # one that cannot be let go of keeps none of the others
    show) shown ;;
    break) broken ;;
    *) die 2 "no verb $verb" ;;
  esac
  exec 9>&-
  index=$((index + 1))
done
exit "$failed"
