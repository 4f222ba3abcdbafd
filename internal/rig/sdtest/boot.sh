# Becomes the machine's systemd. Runs as PID 1 of fresh mount, pid, uts, ipc, net and cgroup namespaces:
#   sh -euc "$(cat boot.sh)" sdtest LOWER HOSTNAME
# LOWER is the root folder that the machine sees through an overlay, and never changes.

# Everything lives in a tmpfs that only this namespace sees, so the host keeps not even an empty folder. LOWER is
# entered first, because the tmpfs may hide it.
mount --make-rprivate /
cd "$1"
mount -t tmpfs -o mode=755 sdtest /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=.,upperdir=/mnt/upper,workdir=/mnt/work sdtest /mnt/root
cd /mnt/root

# The interface systemd expects of a container: what belongs to the kernel of the host is read-only (with a writable
# /sys udevd would start and reach the host's devices), the machine's own network settings are not.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
[ ! -e proc/sysrq-trigger ] || mount --bind /dev/null proc/sysrq-trigger
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero full random urandom tty; do
	: >dev/$d
	mount --bind /dev/$d dev/$d
done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for d in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${d%:*} dev/${d#*:}; done

# What the host's administrator enabled, configured or forbade is not wanted here, and its journal is not ours.
rm -rf etc/systemd etc/rc?.d etc/fstab etc/machine-id etc/hostname usr/sbin/policy-rc.d var/log/journal
mkdir -p etc/systemd/system etc/systemd/journald.conf.d run/host
tr -d - <proc/sys/kernel/random/uuid >etc/machine-id
echo "$2" >etc/hostname
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nAudit=no\n' >etc/systemd/journald.conf.d/sdtest.conf
# Nothing is newer than at the last boot: ConditionNeedsUpdate= in systemd.unit(5).
: >etc/.updated
: >var/.updated
# What turns settings into units has nothing to turn here, and would run at each daemon-reload.
mkdir etc/systemd/system-generators
for g in usr/lib/systemd/system-generators/systemd-*; do : >"etc/systemd/system-generators/${g##*/}"; done
[ -e etc/hosts ] || echo '127.0.0.1 localhost' >etc/hosts
for u in getty.target systemd-logind.service systemd-sysctl.service systemd-update-utmp.service \
	systemd-journald-audit.socket systemd-journal-flush.service systemd-update-utmp-runlevel.service \
	dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
	sys-fs-fuse-connections.mount systemd-tmpfiles-clean.timer; do
	: >etc/systemd/system/$u # an empty file masks, as a link to /dev/null does, and takes no process
done

pivot_root . .
umount -l .
cd /

# Whoever started us now creates /run/host/notify, on which systemd says when it has booted, and then closes our input.
echo mounted
read -r _ || :

# Neither modules nor the clock are namespaced.
exec setpriv --bounding-set=-sys_module,-sys_time env -i container=sdtest NOTIFY_SOCKET=/run/host/notify \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=0 </dev/null
