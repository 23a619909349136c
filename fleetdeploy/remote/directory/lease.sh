# The verbs of leases, for all services of a host in one go. POSIX sh, behind directory.sh:
# VERB NONCE RUN OWNER ORIGIN TTL WHY [DIRECTORY FENCE]...
#
# take: for every directory, or status 46 at the first that another run has; renew and check that this run still has
# them; release; show; break. Answers the time, and a frame for each directory:
#   NONCE now BOOT UPTIME
#   NONCE INDEX WORD FENCE, and below it what lock/holder says

verb=$1 nonce=$2 run=$3 owner=$4 origin=$5 ttl=$6 why=$7
shift 7

keep() { # NAME TEXT: all or nothing
  new=$root/lock/$1.fleetdeploy-new.$$
  { printf '%s\n' "$2" >"$new" && flush "$new" && mv -f "$new" "$root/lock/$1"; } || die 1 "cannot write $root/lock/$1"
  flush "$root/lock"
}

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
  if mine; then
    write held "$h_since" "$now" "$ttl"
  elif takeable; then
    [ "$h_state" != held ] || evict
    from="$h_run of $h_owner" was=$h_state
    # The number first: whoever dies in between has only made it grow.
    fence=$((last + 1))
    keep fence "$fence"
    write held "$now" "$now" "$ttl"
    audit "lease taken by $owner$([ "$was" != held ] || echo " over from run $from")"
  else
    answer held
    exit 46
  fi
  answer taken
}

renewed() {
  [ -d "$root/lock" ] || die 46 "its directory is gone"
  plain "$root" "$root/lock" "$root/lock/guard" "$root/lock/holder"
  guard -s
  holder
  mine || lost
  daemon
  # Not at every step: it is written and synced.
  if [ "$((3 * (now - h_renewed)))" -ge "$ttl" ] || [ "$h_boot" != "$boot" ] || [ "$h_daemon" != "$daemon" ]; then
    write held "$h_since" "$now" "$ttl"
  fi
  answer renewed
}

released() {
  [ -d "$root/lock" ] || return 0
  plain "$root" "$root/lock" "$root/lock/guard" "$root/lock/holder"
  guard -x
  holder
  # Number 0: whichever this run got, if it did. Nobody has told it.
  [ "$fence" -ne 0 ] || fence=$h_fence
  mine || return 0
  write released "$h_since" "$now" 0
  audit "lease released"
}

broken() {
  [ -d "$root/lock" ] || return 0
  plain "$root" "$root/lock" "$root/lock/guard" "$root/lock/holder"
  holder
  [ "$h_state" = held ] || return 0
  guard -x
  holder
  [ "$h_state" = held ] || return 0
  evict
  fence=$h_fence
  answer broken
  daemon='' from="$h_run of $h_owner, number $h_fence"
  fence=$((last + 1))
  keep fence "$fence"
  write broken "$now" "$now" 0
  audit "lease of run $from broken by $owner: $why"
}

clock
read -r boot </proc/sys/kernel/random/boot_id
printf '\n%s now %s %s\n' "$nonce" "$boot" "$now"
index=0
while [ $# -gt 0 ]; do
  root=$1 fence=$2
  shift 2
  case $verb in
    take) claim ;;
    renew) renewed ;;
    release) released ;;
    show) answer seen ;;
    break) broken ;;
    *) die 2 "no verb $verb" ;;
  esac
  exec 9>&-
  index=$((index + 1))
done
