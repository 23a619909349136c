# What doctor wants to know of this host beyond the probe. POSIX sh; it stands behind probe.sh, whose functions and
# frames it uses, and is given its words by `set --`; it changes nothing.
#
# [image REF]... [service DIRECTORY]...

# Programs of administrators, which many logins have not in their PATH.
wide="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

tools() {
  for tool in sh flock sync sha256sum setsid setpriv timeout rsync find df stat tail head date docker; do
    if command -v "$tool" >/dev/null 2>&1; then echo "$tool yes"; else echo "$tool no"; fi
  done
}

# sshd's settings for this very connection, by the file that the sshd above this process was started with.
sshd_settings() {
  if ! command -v sshd >/dev/null 2>&1; then
    frame sshd unknown "sshd: not found on the host"
    return
  fi
  at=$$
  config=
  while [ "$at" -gt 1 ] && [ -r "/proc/$at/stat" ]; do
    line=$(tr '\0' ' ' 2>/dev/null <"/proc/$at/cmdline")
    case $line in
      *sshd*" -f "*) config=$(printf '%s\n' "$line" | sed -n 's/.* -f \([^ ]*\).*/\1/p') ;;
    esac
    at=$(sed -n 's/.*) [^ ]* \([0-9]*\) .*/\1/p' "/proc/$at/stat")
    [ -n "$at" ] || break
  done
  from=${SSH_CONNECTION:-}
  if [ -n "$from" ]; then
    # shellcheck disable=SC2086
    set -- $from
    set -- -C "user=${SUDO_USER:-$(id -un)},host=$1,addr=$1,laddr=$3,lport=$4"
  else
    set --
  fi
  report sshd sshd -T ${config:+-f "$config"} "$@"
}

dockerd() { # the words that the engine was started with, then its file
  words=
  if read -r pid 2>/dev/null </var/run/docker.pid; then set -- "/proc/$pid"; else set -- /proc/[0-9]*; fi
  for entry in "$@"; do
    if read -r name 2>/dev/null <"$entry/comm" && [ "$name" = dockerd ]; then
      words="$words$(tr '\0' ' ' 2>/dev/null <"$entry/cmdline")
"
    fi
  done
  settings=/etc/docker/daemon.json
  named=$(printf '%s\n' "$words" | sed -n 's/.*--config-file[= ]\([^ ]*\).*/\1/p' | head -n 1)
  [ -z "$named" ] || settings=$named
  look "$settings"
  case $? in
    1) frame dockerd ok "$words--" ;;
    0)
      if text=$(cat -- "$settings" 2>&1); then
        frame dockerd ok "$words--
$text"
      else
        frame dockerd unknown "$text"
      fi
      ;;
    *) frame dockerd unknown "$settings: a directory on the way cannot be entered" ;;
  esac
}

docker_more() {
  if [ -z "$docker_answers" ]; then
    for name in docker_info docker_version docker_root; do
      frame "$name" unknown "Docker gave no answer before"
    done
    return
  fi
  report docker_info docker info --format '{{json .}}'
  report docker_version docker version --format '{{json .Server}}'
  root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null)
  disk docker_root "${root:-/var/lib/docker}"
}

gpu_more() {
  report gpu_settings nvidia-smi --query-gpu=index,persistence_mode,mig.mode.current,ecc.errors.uncorrected.volatile.total --format=csv,noheader,nounits
  if [ "${code:-0}" = 124 ]; then
    frame cuda unknown "nvidia-smi gave no answer before"
  else
    report cuda nvidia-smi
  fi
  for tool in nvidia-ctk nvidia-container-cli nvidia-container-toolkit; do
    if command -v "$tool" >/dev/null 2>&1; then
      report toolkit "$tool" --version
      return
    fi
  done
  frame toolkit unknown "neither nvidia-ctk nor nvidia-container-cli is in the PATH"
}

synchronised() {
  if command -v timedatectl >/dev/null 2>&1 && ask timedatectl show -p NTPSynchronized; then
    frame ntp ok "$answer"
  elif command -v chronyc >/dev/null 2>&1 && ask chronyc tracking; then
    frame ntp ok "$answer"
  elif command -v ntpq >/dev/null 2>&1 && ask ntpq -c rv; then
    frame ntp ok "$answer"
  else
    frame ntp unknown "neither timedatectl nor chronyc nor ntpq tells"
  fi
}

security() {
  if command -v getenforce >/dev/null 2>&1; then echo "SELinux $(getenforce 2>&1)"; fi
  if [ -r /sys/module/apparmor/parameters/enabled ]; then
    echo "AppArmor $(cat /sys/module/apparmor/parameters/enabled)"
  fi
}

cgroups() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    frame cgroup ok 2
  elif [ -d /sys/fs/cgroup/memory ]; then
    frame cgroup ok 1
  else
    frame cgroup unknown "/sys/fs/cgroup is not as expected"
  fi
}

places() { # NAME DIRECTORY: of it and of what lies in it, the nearest directory there is, its device, may we write
  lines=
  for part in "" /models /staging; do
    at=$2$part
    while [ -n "$at" ] && [ ! -d "$at" ]; do at=${at%/*}; done
    device=$(stat -c %d "${at:-/}" 2>/dev/null)
    if [ -w "${at:-/}" ]; then may=yes; else may=no; fi
    mount=$(df -P "${at:-/}" 2>/dev/null | sed -n '2s/.*% *//p')
    lines="$lines${part#/} ${device:-?} $may ${at:-/} ${mount:-?}
"
  done
  frame "$1" ok "$lines"
}

doctor() {
  file os /etc/os-release
  report kernel uname -srm
  report user id -un
  frame tools ok "$(tools)"
  report rsync rsync --version
  (PATH=$wide && sshd_settings)
  docker_more
  dockerd
  (PATH=$wide && gpu_more)
  synchronised
  frame security ok "$(security)"
  cgroups
  file memory /proc/meminfo
  file mounts /proc/self/mounts
  frame nofile ok "$(ulimit -n)"
  file file_nr /proc/sys/fs/file-nr
  images=0
  index=0
  while [ $# -gt 0 ]; do
    case $1 in
      image)
        if [ -n "$docker_answers" ]; then
          if ask docker image inspect --format '{{json .Config.Env}}' "$2"; then
            frame "image_env.$images" ok "$answer"
          else
            case $answer in
              *"o such image"* | *"o such object"*) frame "image_env.$images" absent "" ;;
              *) frame "image_env.$images" unknown "$answer" ;;
            esac
          fi
        else
          frame "image_env.$images" unknown "Docker gave no answer before"
        fi
        images=$((images + 1))
        shift 2
        ;;
      service)
        places "places.$index" "$2"
        index=$((index + 1))
        shift 2
        ;;
      *) shift ;;
    esac
  done
  frame examined ok ""
}
