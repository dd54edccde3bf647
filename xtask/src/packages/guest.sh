#!/bin/bash
# What the packages and the service are tried with, on a machine of its own with systemd as process 1.
# The first thing that does not hold ends it.
set -u
exec 2>&1

step() { echo "== $*"; }
fail() {
    echo "FAILED: $*"
    systemctl status backupflow --no-pager --lines=0
    journalctl -b -u backupflow --no-pager -o short-precise | tail -n 40
    exit 1
}
is() { [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"; }
# Asks again for up to 30 s.
until_is() {
    local what=$1 expected=$2 found
    shift 2
    for _ in $(seq 300); do
        found=$("$@" 2>/dev/null)
        [ "$found" = "$expected" ] && return
        sleep 0.1
    done
    fail "$what: expected '$expected', found '$found'"
}
report() { curl --silent --fail http://127.0.0.1:10150/api/v1/report; }
counted() { report | jq '[.expectations[] | select(.flow == "scan-32006" and .peer_group == "client").evidence.peers[].received.packets] | add'; }
# The count in a report that was begun after now.
settled() {
    local reports=0 last taken
    last=$(report | jq .taken)
    while [ $reports -lt 2 ]; do
        taken=$(report | jq .taken)
        [ "$taken" = "$last" ] || { reports=$((reports + 1)) last=$taken; }
        sleep 0.1
    done
    counted
}
said() { report | jq -r '.expectations[] | select(.flow == "agent-50051") | "\(.verdict) \(.cause)"'; }
unwatched() { curl --silent http://127.0.0.1:10150/metrics | grep '^backupflow_hook_attached' | grep -vc ' 1$'; }
page() { curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:10150/$1"; }
metric() { curl --silent http://127.0.0.1:10150/metrics | awk -v name="$1" '$1 == name { print $2 }'; }
show() { systemctl show --value --property "$1" backupflow; }
process() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$(show MainPID)/status"; }
send() { ip netns exec peer bash -c "for ((i = 0; i < $1; i++)); do echo x > /dev/udp/10.20.0.1/32006; sleep ${2:-0}; done"; }
connect() { ip netns exec peer nc -z -w 1 -s "${1:-10.20.0.2}" 10.20.0.1 50051; }
# The last line of the log on a flow, by a field.
told() { journalctl -b -u backupflow -o json BACKUPFLOW_FLOW=agent-50051 | tail -n 1 | jq -r ".$1"; }

# As unattended upgrades do it: nobody is there to answer a question.
unattended() { DEBIAN_FRONTEND=noninteractive "$@" < /dev/null > /tmp/said 2>&1 || fail "$*: $(cat /tmp/said)"; }
conffiles() { dpkg-query --show --showformat '${Conffiles}' backupflow | sed '/^$/d; s/^ //'; }
# What the documents, units and the config point to is there.
points_to_what_is_there() {
    local named place
    named=$(grep -rhoE '/usr/share/(doc/)?backupflow/[[:alnum:]/._-]*[[:alnum:]]' /usr/share/doc/backupflow \
        /usr/share/backupflow/config.toml /usr/lib/systemd/system/backupflow.* | sort -u)
    [ "$(wc -l <<< "$named")" -ge 5 ] || fail "few places are named: $named"
    for place in $named /usr/share/doc/backupflow/{CHANGELOG.md,web.example.toml,runbooks/no-listener.md} \
        /usr/share/man/man5/backupflow-config.5.gz; do
        [ -e "$place" ] || fail "$place is named, and not there"
    done
    [ ! -e /usr/share/backupflow/grafana/render ] || fail "what only developers need is there"
}

# bpf, perfmon and net_admin.
readonly RIGHTS=000000c000001000
holds_three_rights() {
    for set in CapEff CapPrm CapBnd CapInh CapAmb; do
        is "$set" "$RIGHTS" "$(process $set)"
    done
    is "no new privileges" 1 "$(process NoNewPrivs)"
    is "the user" "$(id -u backupflow)" "$(process Uid)"
}

ip link add name eth0 type veth peer name eth0 netns "$(ip netns add peer && echo peer)"
ip address add 10.20.0.1/24 dev eth0
ip link set eth0 up
ip -n peer address add 10.20.0.2/24 dev eth0
ip -n peer address add 10.20.0.3/24 dev eth0
ip -n peer link set eth0 up

step "install: nothing runs before it is configured, and a start says what is missing"
dpkg --install /packages/backupflow_*-1_amd64.deb > /dev/null || fail "dpkg"
is "enabled" disabled "$(systemctl is-enabled backupflow)"
is "running" inactive "$(systemctl is-active backupflow)"
is "the place for counts" backupflow "$(stat --format %U /sys/fs/bpf/backupflow)"
is "files that an upgrade could ask about" "" "$(conffiles)"
cmp /usr/share/backupflow/config.toml /etc/backupflow/config.toml || fail "another first config"
points_to_what_is_there
systemctl start backupflow 2> /dev/null && fail "it started without a config"
journalctl -b -u backupflow | grep -q 'no system is configured' || fail "no word of the config"
is "starts" 0 "$(show NRestarts)"
is "its exit code" 78 "$(show ExecMainStatus)"
show StatusText | grep -q '^config refused: .*no system is configured' || fail "status: $(show StatusText)"
systemctl stop backupflow
systemctl reset-failed backupflow 2> /dev/null
cat > /etc/backupflow/config.toml << 'END'
[[system]]
product = "gigavault-storage"
roles = ["server"]
peers.client = ["10.20.0.0/24"]

[[system]]
product = "ibm-backup-recovery"
roles = ["host"]
peers.cluster = ["10.20.0.0/24"]
END
cp /etc/backupflow/config.toml /packages/
# The same, but for a test's patience.
mkdir -p /etc/systemd/system/backupflow.service.d
printf '[Service]\nWatchdogSec=3\n' > /etc/systemd/system/backupflow.service.d/test.conf
systemctl daemon-reload

step "start: ready with a report, every hook attached, three capabilities and no more"
systemctl enable --now --quiet backupflow || fail "it does not start"
is "ready" 200 "$(page readyz)"
is "hooks that do not watch" 0 "$(unwatched)"
holds_three_rights
send 100
until_is "datagrams" 100 counted

step "discrepancies: the verdicts, and a line in the journal for each start and end"
connect && fail "something listens"
until_is "no listener" "refused no-listener" said
until_is "the journal" "refused no-listener" eval 'echo $(told BACKUPFLOW_VERDICT) $(told BACKUPFLOW_CAUSE)'
is "its system" ibm-backup-recovery "$(told BACKUPFLOW_SYSTEM)"
is "its priority" 4 "$(told PRIORITY)"
is "its unit" backupflow.service "$(told _SYSTEMD_UNIT)"
nft add table inet test
nft add chain inet test input '{ type filter hook input priority 0; }'
nft add rule inet test input tcp dport 50051 drop
connect
until_is "a firewall" "blocked local-firewall-in" said
nft delete table inet test
nc -l -k 10.20.0.1 50051 &
listener=$!
until_is "a listener" 0 eval 'connect; echo $?'
until_is "works" "ok null" said
until_is "the journal" "ok local-firewall-in" eval 'echo $(told BACKUPFLOW_VERDICT) $(told BACKUPFLOW_CAUSE)'
told MESSAGE | grep -q 'blocked for [0-9]*s, local-firewall-in, is over' || fail "$(told MESSAGE)"
kill $listener

step "reload: one with faults fails and changes nothing, a good one is applied"
main=$(show MainPID)
echo 'colour = 1' >> /etc/backupflow/config.toml
systemctl reload backupflow 2> /dev/null && fail "a reload with faults succeeded"
is "still running" active "$(systemctl is-active backupflow)"
until_is "its metric" 0 metric backupflow_config_last_reload_successful
backupflow status | grep -q 'has faults and is not applied' || fail "no note of it in status"
sed -i '$d' /etc/backupflow/config.toml
systemctl reload backupflow || fail "the reload"
is "the process" "$main" "$(show MainPID)"
until_is "its metric" 1 metric backupflow_config_last_reload_successful
is "datagrams" 100 "$(counted)"

step "restart: the counts go on, and what fails goes on failing"
# By a peer of which nothing has worked: else the flow would work in part.
connect 10.20.0.3 && fail "something listens"
until_is "no listener" "refused no-listener" said
for _ in 1 2; do
    systemctl restart backupflow
    is "after a restart" "refused no-listener" "$(said)"
done
send 10
until_is "datagrams" 110 counted

step "watchdog: a daemon that hangs is ended and started again, and the counts go on"
main=$(show MainPID)
kill -STOP "$main"
until_is "restarts" 1 show NRestarts
until_is "ready" 200 page readyz
[ "$(show MainPID)" != "$main" ] || fail "the same process"
journalctl -b -u backupflow | grep -q 'Watchdog timeout' || fail "no word of the watchdog"
send 10
until_is "datagrams" 120 counted
holds_three_rights

step "unattended upgrade under traffic, with another first config: the counts go on, the user's config stays"
main=$(show MainPID)
send 200 0.02 &
sender=$!
until_is "traffic" true eval '[ "$(counted)" -gt 130 ] && echo true'
before=$(counted)
unattended dpkg --install /packages/backupflow_*-2_amd64.deb
wait $sender
cmp /usr/share/backupflow/config.toml /etc/backupflow/config.toml > /dev/null && fail "the first config is the same"
cmp /packages/config.toml /etc/backupflow/config.toml || fail "the config is another"
[ "$(show MainPID)" != "$main" ] || fail "the old program runs on"
after=$(settled)
echo "   $before when it began, $after of 320 after it"
{ [ "$after" -gt "$before" ] && [ "$after" -le 320 ]; } || fail "$before, then $after"
send 50
until_is "datagrams" $((after + 50)) counted
holds_three_rights

step "bpffs that is gone: it starts, says so, knows what failed from its state, and counts from zero without that too"
systemctl stop backupflow
mv /usr/lib/tmpfiles.d/backupflow.conf /tmp/
mkdir /tmp/pins && mount --move /sys/fs/bpf /tmp/pins 2> /dev/null || umount --lazy /sys/fs/bpf
systemctl start backupflow || fail "it does not start"
journalctl -b -u backupflow | grep -q 'bpffs: not mounted; without it: counts begin at zero' || fail "no word of it"
is "datagrams" $((after + 50)) "$(counted)"
systemctl stop backupflow
rm /var/lib/backupflow/state.json
systemctl start backupflow || fail "it does not start"
is "datagrams" 0 "$(counted)"
systemctl stop backupflow
mount -t bpf -o mode=700 none /sys/fs/bpf
mv /tmp/backupflow.conf /usr/lib/tmpfiles.d/
systemd-tmpfiles --create backupflow.conf

step "socket: systemd owns the port, and the daemon cannot open any"
cp /usr/share/backupflow/systemd/socket-only.conf /etc/systemd/system/backupflow.service.d/
systemctl daemon-reload
systemctl start backupflow.socket backupflow.service || fail "it does not start"
is "ready" 200 "$(page readyz)"
is "hooks that do not watch" 0 "$(unwatched)"
send 5
until_is "datagrams" 5 counted
holds_three_rights

step "remove: it ends, and the kernel keeps nothing; purge: nor do the directories"
dpkg --remove backupflow > /dev/null 2>&1 || fail "dpkg"
pgrep backupflow && fail "it still runs"
[ ! -e /sys/fs/bpf/backupflow ] || fail "counts are left"
cmp /packages/config.toml /etc/backupflow/config.toml || fail "the config is gone"
dpkg --purge backupflow > /dev/null 2>&1 || fail "dpkg"
[ ! -e /etc/backupflow ] || fail "the config is left"
[ ! -e /var/lib/backupflow ] || fail "the state is left"

step "unattended upgrade from a package that had the config as a conffile: the user's stays"
old=/tmp/old
dpkg-deb --raw-extract /packages/backupflow_*-1_amd64.deb $old
sed -i 's/^\(Version: .*\)-1$/\1-0/' $old/DEBIAN/control
echo /etc/backupflow/config.toml > $old/DEBIAN/conffiles
install -D --mode=644 /usr/share/doc/dpkg/copyright $old/etc/backupflow/config.toml
dpkg-deb -Znone --build --root-owner-group $old /packages/old.deb > /dev/null || fail "dpkg-deb"
unattended dpkg --install /packages/old.deb
is "its conffiles" /etc/backupflow/config.toml "$(conffiles | cut -d' ' -f1)"
cp /packages/config.toml /etc/backupflow/
unattended dpkg --install /packages/backupflow_*-2_amd64.deb
is "its state" "install ok installed" "$(dpkg-query --show --showformat '${Status}' backupflow)"
cmp /packages/config.toml /etc/backupflow/config.toml || fail "the config is another"
is "files beside it" config.toml "$(ls /etc/backupflow)"
conffiles | grep -q ' obsolete$' || fail "dpkg still takes it for a conffile: $(conffiles)"
dpkg --purge backupflow > /dev/null 2>&1 || fail "dpkg"
[ ! -e /etc/backupflow ] || fail "the config is left"

step "rpm: its scripts at install, upgrade and removal, as Debian's rpm runs them"
userdel backupflow
rm -r /etc/systemd/system/backupflow.service.d
rpm --install --nodeps /packages/backupflow-*-1.x86_64.rpm || fail "rpm"
is "enabled" disabled "$(systemctl is-enabled backupflow)"
is "running" inactive "$(systemctl is-active backupflow)"
is "the place for counts" backupflow "$(stat --format %U /sys/fs/bpf/backupflow)"
points_to_what_is_there
cp /packages/config.toml /etc/backupflow/
systemctl enable --now --quiet backupflow || fail "it does not start"
holds_three_rights
send 100
until_is "datagrams" 100 counted
main=$(show MainPID)
unattended rpm --upgrade --nodeps /packages/backupflow-*-2.x86_64.rpm
cmp /packages/config.toml /etc/backupflow/config.toml || fail "the config is another"
cmp /usr/share/backupflow/config.toml /etc/backupflow/config.toml.rpmnew || fail "the new one is not beside it"
[ "$(show MainPID)" != "$main" ] || fail "the old program runs on"
is "enabled" enabled "$(systemctl is-enabled backupflow)"
send 10
until_is "datagrams" 110 counted
holds_three_rights
rpm --erase backupflow || fail "rpm"
pgrep backupflow && fail "it still runs"
[ ! -e /sys/fs/bpf/backupflow ] || fail "counts are left"
[ ! -e /etc/systemd/system/multi-user.target.wants/backupflow.service ] || fail "it is still enabled"
cmp --quiet /packages/config.toml /etc/backupflow/config.toml.rpmsave || fail "the config is lost"

echo "all passed"
