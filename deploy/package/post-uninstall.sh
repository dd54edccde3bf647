# Without the daemon nobody reads the counts, and they keep memory of the kernel.
[ "$1" != 0 ] || rm -rf /sys/fs/bpf/backupflow
[ ! -d /run/systemd/system ] || systemctl daemon-reload || :
