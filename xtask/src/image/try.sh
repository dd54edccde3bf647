#!/bin/bash
# Builds the image, runs it between two network namespaces, and compares its counts with what was sent. Run in a mount
# namespace of its own, from the repository's root: FOLDER BASE PACKAGES
set -eu
folder=$1 base=$2 packages=$3
host=backupflow-image peer=backupflow-image-peer cgroup=/sys/fs/cgroup/backupflow-image

fail() {
    echo "FAILED: $*"
    pod logs backupflow || true
    exit 1
}
# Images and containers are kept apart from the machine's.
pod() {
    local command=$1
    shift
    podman --root "$folder/storage" --runroot "$folder/run" --events-backend none "$command" "$@"
}
end() {
    pod rm --force --time 5 backupflow > /dev/null 2>&1 || true
    echo $$ > /sys/fs/cgroup/cgroup.procs
    for _ in $(seq 50); do rmdir $cgroup 2> /dev/null && break || sleep 0.1; done
    ip netns delete $host 2> /dev/null || true
    ip netns delete $peer 2> /dev/null || true
    umount --recursive "$folder/storage/overlay" 2> /dev/null || true
    rm -rf "$folder/storage" "$folder/run" "$folder/etc"
}
trap end EXIT
report() { ip netns exec $host curl --silent --fail http://127.0.0.1:10150/api/v1/report; }
counted() { report | jq '[.expectations[] | select(.flow == "scan-32006" and .peer_group == "client").evidence.peers[].received.packets] | add'; }
# Asks again for up to 30 s.
until_counted() {
    local found
    for _ in $(seq 300); do
        found=$(counted 2> /dev/null) || true
        [ "$found" = "$1" ] && return
        sleep 0.1
    done
    fail "datagrams: expected $1, found $found"
}
send() { ip netns exec $peer bash -c "for ((i = 0; i < $1; i++)); do echo x > /dev/udp/10.20.0.1/32006; done"; }

# As on a machine that has cgroup v2 alone, and counts that end with this test.
mount -t cgroup2 none /sys/fs/cgroup
mount -t bpf -o mode=700 none /sys/fs/bpf
# In a cgroup of its own, as containers are.
mkdir $cgroup
echo $$ > $cgroup/cgroup.procs
ip netns add $host
ip netns add $peer
ip -n $host link add eth0 type veth peer name eth0 netns $peer
ip -n $host address add 10.20.0.1/24 dev eth0
ip -n $peer address add 10.20.0.2/24 dev eth0
for name in $host $peer; do ip -n $name link set eth0 up; done
ip -n $host link set lo up

mkdir -p "$folder/etc"
cat > "$folder/etc/config.toml" << 'END'
[[system]]
product = "gigavault-storage"
roles = ["server"]
peers.client = ["10.20.0.0/24"]
END

pod import "$base" localhost/debian > /dev/null
# No limits and cgroups: what only a whole machine may set.
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
pod build --quiet --isolation chroot --network host --build-arg BASE=localhost/debian --tag backupflow \
    --file deploy/container/Containerfile "$packages" > /dev/null
limits+=(--cgroups disabled)

# The command of the document.
run=$(sed -n '/^podman run --detach/,/^    backupflow$/p' docs/container.md)
run=${run/podman run/pod run \"\$\{limits[@]\}\"}
run=${run/--network=host/--network=ns:\/run\/netns\/$host}
run=${run/\/etc\/backupflow:/\$folder\/etc:}
eval "$run" > /dev/null
until_counted 0
send 100
until_counted 100
pod exec backupflow /bin/grep -E '^Cap(Eff|Bnd)' /proc/1/status | sort -u -k 2 | grep -c 000000c000001000 | grep -qx 1 || fail "other capabilities"
unwatched=$(ip netns exec $host curl --silent http://127.0.0.1:10150/metrics | grep '^backupflow_hook_attached' | grep -vc ' 1$' || true)
[ "$unwatched" = 0 ] || fail "$unwatched hooks do not watch"
pod exec backupflow backupflow status > /dev/null && fail "no discrepancy, though nothing listens"
pod exec backupflow backupflow reload > /dev/null || fail "the reload"
pod restart --time 5 backupflow > /dev/null
until_counted 100
send 10
until_counted 110
echo "image-test: counted 110 datagrams of 110, over a restart"
