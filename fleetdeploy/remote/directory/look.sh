# Whether a path is there. POSIX sh, put before the probe and the scripts of a service's directory.
look() { # PATH: status 0 it is there, 1 it is not, 2 nobody knows: a directory on the way cannot be entered
  [ -e "$1" ] || [ -L "$1" ] && return 0
  up=${1%/*}
  while [ -n "$up" ] && [ ! -e "$up" ]; do up=${up%/*}; done
  [ -d "${up:-/}" ] && [ -x "${up:-/}" ] && return 1
  return 2
}
