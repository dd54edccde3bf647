#!/busybox/busybox sh
# Process 1 of a machine that `cargo xtask vmtest` makes. What it says goes to the second serial line, in parts
# that begin with "== NAME".
export HOME=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox
/busybox/busybox --install -s /busybox
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
chmod 1777 /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ifconfig lo up
# Its device is there only with the module.
modprobe tun
stty -F /dev/ttyS1 raw -echo -opost
exec > /dev/ttyS1 2>&1 < /dev/null
. /vmtest/environment

echo "== doctor"
backupflow doctor
echo "== programs"
verifier --nocapture
echo "== tests"
namespaces --include-ignored $ARGUMENTS
echo "== end"
poweroff -f
