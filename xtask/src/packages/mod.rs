//! `packages-test`: the packages, on a machine of their own with systemd as process 1.
//!
//! The machine is a container (systemd-nspawn) made of Debian's packages, with a network and a bpffs of
//! its own. Its kernel is this one. What is tried there stands in `guest.sh`.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    command::{in_group, output, run as execute, target},
    dist, setup,
};

/// Programs, and Debian's packages that have them.
const TOOLS: [(&str, &str); 3] =
    [("systemd-nspawn", "systemd-container"), ("mmdebstrap", "mmdebstrap"), ("lintian", "lintian")];

/// What the tests take in the container.
const INSIDE: &str =
    "--include=systemd,systemd-sysv,dbus,iproute2,nftables,netcat-openbsd,curl,jq,procps,rpm";

const GUEST: &str = include_str!("guest.sh");

/// Runs the tests at the end of the container's start, and ends it then.
const UNIT_NAME: &str = "packages-test.service";
const UNIT: &str = "[Unit]
After=multi-user.target
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
TimeoutStartSec=600
ExecStart=/bin/bash /packages/guest.sh
StandardOutput=file:/packages/log
";

/// Starts the container, in a mount namespace that takes what is mounted along when it ends.
const START: &str = r#"set -e
mount --make-rprivate /
mkdir -p /run/systemd/nspawn
mount -t tmpfs none /run/systemd/nspawn
mkdir -p "$1.bpf"
mount -t bpf -o mode=700 none "$1.bpf"
systemd-nspawn --quiet --boot --directory="$1" --bind="$1.bpf:/sys/fs/bpf" --console=interactive \
    --register=no --keep-unit --private-network --link-journal=no --resolv-conf=off --timezone=off \
    --capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN --system-call-filter=bpf || echo "it ended with $?"
# Its cgroups stay otherwise.
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    find "$root$own/payload" "$root$own/supervisor" -depth -type d -exec rmdir {} + 2> /dev/null || true
done
"#;

/// Runs the program (`run --config FILE`) as a user with the capabilities of the unit, and no way to more.
const AS_USER: &str = r#"#!/bin/sh
# The folder of the config, for the state and the status socket.
chown -R 65534:65534 "${3%/*}"
three=-all,+bpf,+net_admin,+perfmon
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps "$three" \
    --ambient-caps "$three" --bounding-set "$three" -- "${0%/*}/backupflow" "$@"
"#;

/// The container's files. They go with the value.
struct Machine(PathBuf);

impl Machine {
    /// Unpacks them, and puts the packages and the tests there.
    fn unpack(base: &Path, packages: [&Path; 4]) -> anyhow::Result<Self> {
        let machine = Self(folder().join("machine"));
        machine.remove();
        fs::create_dir_all(machine.0.join("packages"))?;
        execute(in_group(&["tar", "--extract", "--file"]).arg(base).arg("-C").arg(&machine.0))?;
        for package in packages {
            let name = package.file_name().context("a package without a name")?;
            fs::copy(package, machine.0.join("packages").join(name))?;
        }
        fs::write(machine.0.join("packages/guest.sh"), GUEST)?;
        let units = machine.0.join("etc/systemd/system");
        fs::create_dir_all(units.join("default.target.wants"))?;
        fs::write(units.join(UNIT_NAME), UNIT)?;
        symlink(
            Path::new("..").join(UNIT_NAME),
            units.join("default.target.wants").join(UNIT_NAME),
        )?;
        Ok(machine)
    }

    /// Runs it to its end, and gives what the tests said.
    fn boot(&self) -> anyhow::Result<String> {
        let start = self.0.with_extension("sh");
        fs::write(&start, START)?;
        let inside = format!("unshare --mount sh {} {}", start.display(), self.0.display());
        // It wants a terminal.
        let words = ["timeout", "600", "script", "--quiet", "--return", "--command", &inside];
        let console = in_group(&words)
            .arg("/dev/null")
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            // The hooks of the root cgroup see all of the machine, and are not attached where only a part is visible.
            .env("SYSTEMD_NSPAWN_USE_CGNS", "0")
            .output()
            .context("cannot run systemd-nspawn")?;
        fs::read_to_string(self.0.join("packages/log")).with_context(|| {
            format!("it did not start:\n{}", String::from_utf8_lossy(&console.stdout))
        })
    }

    fn remove(&self) {
        drop(fs::remove_dir_all(&self.0));
        drop(fs::remove_dir(self.0.with_extension("bpf")));
        drop(fs::remove_file(self.0.with_extension("sh")));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.remove();
    }
}

fn folder() -> PathBuf {
    target().join("packages-test")
}

/// Builds the packages and tries them on a release of Debian.
pub(crate) fn run(suite: &str) -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "a container takes root: run it as root");
    setup::ensure_packages(&TOOLS)?;
    dist::run()?;
    let (old, old_rpm) = (dist::deb("1")?, dist::rpm("1")?);
    dist::change_first_config()?;
    let (new, new_rpm) = (dist::deb("2")?, dist::rpm("2")?);
    let base = base(suite)?;
    let log = Machine::unpack(&base, [&old, &new, &old_rpm, &new_rpm])?.boot()?;
    fs::remove_file(new)?;
    fs::remove_file(new_rpm)?;
    print!("{log}");
    if log.lines().last() != Some("all passed") {
        bail!("the packages do not do what they should");
    }
    core_scenarios()
}

/// The tests of verdicts and causes, with the packaged program and the rights that the unit gives.
fn core_scenarios() -> anyhow::Result<()> {
    // Where any user may run it.
    let folder = env::temp_dir().join("backupflow-packages-test");
    execute(
        in_group(&["install", "-D", "--target-directory"])
            .args([&folder, &target().join("release/backupflow")]),
    )?;
    let program = folder.join("as-user");
    fs::write(&program, AS_USER)?;
    fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let words = ["cargo", "test", "--quiet", "--package", "tests", "--", "--test-threads=2"];
    let mut tests = in_group(&words);
    let tested = execute(tests.args(["causes::", "verdicts::"]).env("BACKUPFLOW_BIN", program));
    fs::remove_dir_all(folder)?;
    tested
}

/// The files of a Debian, fetched once.
fn base(suite: &str) -> anyhow::Result<PathBuf> {
    let base = folder().join(format!("{suite}.tar"));
    if !base.exists() {
        println!("packages-test: fetching Debian {suite}");
        fs::create_dir_all(folder())?;
        // Whole or not at all.
        let part = folder().join("part.tar");
        output(in_group(&["mmdebstrap", "--variant=minbase", INSIDE, suite]).arg(&part))?;
        fs::rename(part, &base)?;
    }
    Ok(base)
}
