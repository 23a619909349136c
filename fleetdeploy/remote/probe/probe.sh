# Everything that planning needs to know about this host, in one go. POSIX sh, behind look.sh; it changes nothing.
#
# sh -s -- NONCE [image REF]... [service INDEX DIRECTORY ADDRESS REST_PORT CONTAINER PREVIOUS [model NAME]...]...
#
# ADDRESS is where the service shall listen, or - when that is not known. Answers in frames:
#   NONCE NAME STATUS LENGTH
#   LENGTH bytes, and a newline
# STATUS is ok, absent (looked for, is not there) or unknown (could not be read: the bytes say why).

LC_ALL=C
export LC_ALL
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY CDPATH
unset TIME_STYLE QUOTING_STYLE BLOCK_SIZE LS_BLOCK_SIZE DF_BLOCK_SIZE POSIXLY_CORRECT
umask 077
cap=2000000
nonce=$1
shift

frame() { # NAME STATUS TEXT
  if [ "${#3}" -gt "$cap" ]; then
    set -- "$1" unknown "more than $cap bytes"
  fi
  printf '\n%s %s %s %d\n%s\n' "$nonce" "$1" "$2" "${#3}" "$3"
}

# The output of a command, or what it said when it failed; without its last newlines, within 10 s where that can be had.
if timeout 1 true >/dev/null 2>&1; then limit="timeout 10"; else limit=; fi
answer=
ask() {
  answer=$($limit "$@" 2>/dev/null)
  code=$?
  case $code in
    0) return 0 ;;
    124 | 143)
      answer="$1: no answer within 10 s"
      return 124
      ;;
  esac
  answer=$($limit "$@" 2>&1)
  code=$?
  return "$code"
}

report() { # NAME COMMAND...: frame with the output, unknown when the command failed
  name=$1
  shift
  if ! command -v "$1" >/dev/null 2>&1; then
    frame "$name" unknown "$1: not found on the host"
  elif ask "$@"; then
    frame "$name" ok "$answer"
  else
    frame "$name" unknown "$1 (status $code): $answer"
  fi
}

file() { # NAME PATH: the text of a file
  look "$2"
  case $? in
    1) frame "$1" absent "" ;;
    2) frame "$1" unknown "$2: a directory on the way cannot be entered" ;;
    *)
      if text=$(cat -- "$2" 2>&1 && echo x); then
        text=${text%x}
        frame "$1" ok "$text"
      else
        frame "$1" unknown "$text"
      fi
      ;;
  esac
}

docker_facts() {
  if ! command -v docker >/dev/null 2>&1; then
    frame docker unknown "docker: not found on the host"
    return
  fi
  if ! ask docker ps --all --no-trunc --format '{{.ID}} {{.Label "fleetdeploy.service"}} {{.Names}}'; then
    frame docker unknown "$answer"
    return
  fi
  listed=$answer
  report docker docker info --format '{{json .ServerVersion}} {{json .Runtimes}}'
  inspect_containers "$(printf '%s\n' "$listed" | ours)"
}

ours() { # of the lines "ID LABEL NAMES": the ids of those with our label, or with a name that we would give
  while IFS=' ' read -r id first second; do
    case $second in
      "") case "$wanted_names" in *" $first "*) printf ' %s' "$id" ;; esac ;; # no label: the second word is the name
      *) printf ' %s' "$id" ;;
    esac
  done
}

inspect_containers() { # IDS: one JSON object a line; a container that went away meanwhile is left out
  if [ -n "$1" ]; then
    # shellcheck disable=SC2086
    set -- docker inspect --type container --format '{"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Image}},"status":{{json .State.Status}},"started_at":{{json .State.StartedAt}},"exit_code":{{json .State.ExitCode}},"restart_count":{{json .RestartCount}},"labels":{{json .Config.Labels}},"ports":{{json .HostConfig.PortBindings}}}' $1
    if ! listing=$($limit "$@" 2>/dev/null) && ! ask "$@"; then
      case $answer in
        *"o such container"* | *"o such object"*) ;;
        *)
          frame containers unknown "$answer"
          return
          ;;
      esac
    fi
  fi
  docker_answers=yes
  frame containers ok "$listing"
}

image() { # INDEX REFERENCE
  if [ -z "$docker_answers" ]; then
    frame "image.$1" unknown "docker was not asked, for it gave no answer before"
  elif ask docker image inspect --format '{{.Id}}' "$2"; then
    frame "image.$1" ok "$answer"
  else
    case $answer in
      *"o such image"* | *"o such object"*) frame "image.$1" absent "" ;;
      *) frame "image.$1" unknown "$answer" ;;
    esac
  fi
}

listening() {
  if [ ! -r /proc/net/tcp ]; then
    frame listening unknown "/proc/net/tcp cannot be read"
    return
  fi
  frame listening ok "$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep ' 0A ')"
}

addresses() {
  if command -v ip >/dev/null 2>&1 && ask ip -o -4 addr show; then
    frame addresses ok "$answer"
  elif [ -r /proc/net/fib_trie ]; then
    frame addresses ok "$(cat /proc/net/fib_trie)"
  else
    frame addresses unknown "neither ip nor /proc/net/fib_trie"
  fi
}

disk() { # NAME DIRECTORY: df of the nearest directory that exists, blocks of 1 KiB and then inodes
  at=$2
  while [ -n "$at" ] && [ ! -d "$at" ]; do at=${at%/*}; done
  if ask df -P -k "${at:-/}"; then
    blocks=$answer
    if ask df -P -i "${at:-/}"; then inodes=$answer; else inodes=; fi
    frame "$1" ok "$blocks
--
$inodes"
  else
    frame "$1" unknown "$answer"
  fi
}

versions() { # NAME DIRECTORY: each numeric directory with its manifest and the sizes of its files
  look "$2/models"
  case $? in
    1)
      frame "$1" absent ""
      return
      ;;
    2)
      frame "$1" unknown "$2/models: a directory on the way cannot be entered"
      return
      ;;
  esac
  if ! ls "$2/models" >/dev/null 2>&1; then
    frame "$1" unknown "$2/models cannot be listed"
    return
  fi
  found=0
  for path in "$2"/models/*/*; do
    number=${path##*/}
    model=${path%/*}
    model=${model##*/}
    case $number in
      0* | *[!0-9]* | "") continue ;;
    esac
    [ -d "$path" ] && [ ! -L "$path" ] || continue
    frame "$1.$found.name" ok "$model $number"
    file "$1.$found.manifest" "$2/manifests/$model/$number.sha256"
    if ask find "$path" ! -type d -exec ls -ln {} +; then
      frame "$1.$found.sizes" ok "$path
$answer"
    else
      frame "$1.$found.sizes" unknown "$answer"
    fi
    found=$((found + 1))
  done
  for path in "$2"/models/*; do
    if [ -d "$path" ] && ! ls "$path" >/dev/null 2>&1; then
      frame "$1" unknown "$path cannot be listed"
      return
    fi
  done
  frame "$1" ok "$found"
}

release() { # NAME DIRECTORY: the text of the current release record
  look "$2/releases/current"
  case $? in
    1) frame "$1" absent "" ;;
    2) frame "$1" unknown "$2/releases: a directory on the way cannot be entered" ;;
    *)
      current=$(cat -- "$2/releases/current" 2>&1)
      case $current in
        "" | *[!A-Za-z0-9_.-]*) frame "$1" unknown "$2/releases/current does not hold a release id" ;;
        *)
          if [ -e "$2/releases/$current.json" ]; then
            file "$1" "$2/releases/$current.json"
          else
            frame "$1" unknown "$2/releases/$current.json is missing"
          fi
          ;;
      esac
      ;;
  esac
}

proven() { # NAME DIRECTORY: the history of releases, which whoever writes it keeps short
  look "$2/releases/history"
  case $? in
    1) frame "$1" absent "" ;;
    2) frame "$1" unknown "$2/releases: a directory on the way cannot be entered" ;;
    *)
      if text=$(tail -c 500000 "$2/releases/history" 2>&1); then
        frame "$1" ok "$text"
      else
        frame "$1" unknown "$text"
      fi
      ;;
  esac
}

watched() { # NAME DIRECTORY: the line of what stands in watchdog/, and why what is armed there will not act
  for state in firing armed verdict; do
    look "$2/watchdog/$state"
    case $? in
      0)
        if ! text=$(cat "$2/watchdog/$state" 2>&1); then
          frame "$1" unknown "$text"
          return
        fi
        line=$(printf '%s\n' "$text" | head -n 1)
        case $state in
          firing) line="firing ${line#* }" ;;
          armed)
            if ! printf '%s\n' "$text" | grep -Fqx "boot $(cat /proc/sys/kernel/random/boot_id)"; then
              line="$line the host was rebooted since, so nothing counts down any longer"
            elif [ "$(sed 's/[. ].*//' /proc/uptime)" -gt "$((60 + $(printf '%s\n' "$text" | sed -n 's/^deadline \([0-9][0-9]*\)$/\1/p')))" ]; then
              line="$line its time is over, and nothing counts down any longer"
            fi
            ;;
        esac
        frame "$1" ok "$line"
        return
        ;;
      2)
        frame "$1" unknown "$2/watchdog: a directory on the way cannot be entered"
        return
        ;;
    esac
  done
  frame "$1" absent ""
}

# Where the running container of that name publishes its REST port, as "ADDRESS PORT".
published() {
  printf '%s\n' "$listing" | grep -F "\"name\":\"/$1\"" | grep -F '"status":"running"' |
    sed -n 's/.*"8501\/tcp":\[{"HostIp":"\([0-9a-fA-F.:]*\)","HostPort":"\([0-9]*\)"}.*/\1 \2/p' | sed 's/^ /0.0.0.0 /'
}

get() { # ADDRESS PORT PATH: an HTTP answer with its head, whatever the host has to fetch it with
  if command -v curl >/dev/null 2>&1; then
    curl -q -s -i -m 2 --noproxy '*' "http://$1:$2$3" 2>&1
    case $? in
      0) return 0 ;;
      7) return 7 ;;
      28) return 28 ;;
      *) return 1 ;;
    esac
  fi
  if command -v bash >/dev/null 2>&1; then
    # shellcheck disable=SC2016
    $limit bash -c '
      { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || exit 7
      printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$3" "$1" >&3
      while IFS= read -r -t 2 line <&3 || [ -n "$line" ]; do printf "%s\n" "$line"; line=; done' get "$1" "$2" "$3"
    return
  fi
  if command -v wget >/dev/null 2>&1; then
    wget -S -T 2 -O - "http://$1:$2$3" 2>&1 || return 8
    return 0
  fi
  return 127
}

served() { # NAME CONTAINER ADDRESS PORT MODEL
  place=$(published "$2")
  address=${place% *}
  port=${place#* }
  if [ -z "$place" ]; then
    # Without Docker's word the container may still serve; with it, whatever answers there is not ours.
    address=-
    [ -n "$docker_answers" ] || address=$3
    port=$4
  fi
  case $address in
    -)
      if [ -n "$docker_answers" ]; then
        frame "$1" unknown "nothing listens: no container of the service is running"
      else
        frame "$1" unknown "Docker cannot be asked where the service listens"
      fi
      return
      ;;
    0.0.0.0 | ::) address=127.0.0.1 ;;
  esac
  if [ "$stalled" = "$address $port" ]; then
    frame "$1" unknown "timeout: no answer from $address port $port within 2 s"
    return
  fi
  answer=$(get "$address" "$port" "/v1/models/$5")
  case $? in
    0) frame "$1" ok "$answer" ;;
    7) frame "$1" unknown "nothing listens on $address port $port" ;;
    8)
      case $answer in
        *refused*) frame "$1" unknown "nothing listens on $address port $port" ;;
        *) frame "$1" ok "$answer" ;; # wget fails for a 404 too; its head is in the text
      esac
      ;;
    28 | 124)
      stalled="$address $port"
      frame "$1" unknown "timeout: no answer from $address port $port within 2 s"
      ;;
    127) frame "$1" unknown "no tool: neither curl, bash nor wget on the host" ;;
    *) frame "$1" unknown "failed: $answer" ;;
  esac
}

# Names that a container of ours would have, for the question whether somebody else has taken them.
wanted_names=" "
listing=
docker_answers=
stalled=
skip=0
for word in "$@"; do
  if [ "$skip" -eq 0 ]; then
    case $word in
      image) skip=1 ;;
      model) skip=1 ;;
      service) skip=6 ;;
    esac
  else
    [ "$skip" -gt 2 ] || [ "$kind" != service ] || wanted_names="$wanted_names$word "
    skip=$((skip - 1))
    continue
  fi
  kind=$word
done

frame clock ok "$(date +%s)"
file boot_id /proc/sys/kernel/random/boot_id
file uptime /proc/uptime
docker_facts
report gpus nvidia-smi --query-gpu=index,uuid,name,memory.total,memory.used,compute_cap,driver_version --format=csv,noheader,nounits
addresses
listening

images=0
while [ $# -gt 0 ]; do
  case $1 in
    image)
      image "$images" "$2"
      images=$((images + 1))
      shift 2
      ;;
    service)
      index=$2 directory=$3 bind=$4 rest=$5 container=$6
      shift 7
      file "$index.config" "$directory/config/model.config"
      release "$index.release" "$directory"
      proven "$index.history" "$directory"
      file "$index.drained" "$directory/drained"
      watched "$index.watch" "$directory"
      file "$index.lease" "$directory/lock/holder"
      frame "$index.staging" ok "$(ls -A "$directory/staging" 2>/dev/null)"
      versions "$index.versions" "$directory"
      disk "$index.disk" "$directory"
      models=0
      ;;
    model)
      served "$index.served.$models" "$container" "$bind" "$rest" "$2"
      models=$((models + 1))
      shift 2
      ;;
    *) shift ;;
  esac
done
frame end ok ""
