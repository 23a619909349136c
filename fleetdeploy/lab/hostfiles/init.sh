#!/bin/sh
# Makes this process, alone in new mount, UTS, IPC and PID namespaces, the first process of a lab host.
#
# init.sh HOST_DIRECTORY HOST_NAME [HIDDEN_DIRECTORY...]
#
# The host's root is an overlay over the machine's own root: it sees the machine's programs and changes none of them.
# What must be real directories is bound over it: /srv and /root survive a reboot, and Docker's storage driver cannot
# stand on an overlay. HIDDEN directories of the machine look empty on the host.
set -eu
umask 022
directory=$1 name=$2
shift 2
root=$directory/merged

mount --make-rprivate /
hostname "$name"
mount -t overlay overlay -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for hidden in "$@"; do
    [ ! -d "$root$hidden" ] || mount -t tmpfs -o mode=0755 tmpfs "$root$hidden"
done
mount --bind "$directory/root" "$root/root"
mount --bind "$directory/srv" "$root/srv"
mkdir -p "$root/var/lib/docker"
mount --bind "$directory/docker" "$root/var/lib/docker"

# A host that was rebooted has another boot id; here all hosts share the machine's kernel.
mkdir "$root/run/fdlab"
cat /proc/sys/kernel/random/uuid >"$root/run/fdlab/boot_id"
mount --bind "$root/run/fdlab/boot_id" "$root/proc/sys/kernel/random/boot_id"

cd "$root"
mkdir -p .fdlab-machine
pivot_root . .fdlab-machine
umount -l /.fdlab-machine
rmdir /.fdlab-machine
exec tini -- /usr/local/sbin/fdlab-services start
