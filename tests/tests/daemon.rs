//! Start, reload and end.

use std::{fs, path::PathBuf, process::Output};

use tests::{AGENT, Daemon, Flow, Namespace, Pair, binary, command, config, tcx_programs};

fn reload_succeeded(daemon: &Daemon<'_>) -> Vec<f64> {
    let series = daemon.series("backupflow_config_last_reload_successful", &[]);
    series.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn bad_config_is_refused_and_a_good_one_taken_over() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    assert_eq!(reload_succeeded(&daemon), [1.0]);
    let keys = || -> Vec<(String, String, String)> {
        let expectations = daemon.report().expectations.into_iter();
        expectations.map(|one| (one.flow, one.side, one.peer_group)).collect()
    };
    let before = keys();

    daemon.reload("[[system]]\nproduct = \"no-such-product\"\ncolour = 1\n");
    daemon.settles("the refusal", |_| match reload_succeeded(&daemon)[..] {
        [0.0] => Ok(()),
        _ => Err("not yet refused".to_owned()),
    });
    assert_eq!(keys(), before);
    let log = daemon.log();
    for part in ["no-such-product", "colour", "the old one stays in force"] {
        assert!(log.contains(part), "{log}");
    }

    daemon.reload(config::BACKUP_SERVER);
    daemon.settles("the new config", |report| {
        match (&reload_succeeded(&daemon)[..], report.expectations.first()) {
            ([1.0], Some(first)) if first.product == "gigavault-storage" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(keys().iter().all(|key| !before.contains(key)));
    let host = tests::udp_socket(&pair.host, "10.20.0.1:32006".parse().unwrap());
    let peer = tests::udp_socket(&pair.peer, "10.20.0.2:0".parse().unwrap());
    tests::datagrams(&peer, host.local_addr().unwrap(), &host, 7, 100);
    let bytes = 7 * (14 + 20 + 8 + 100);
    daemon.counts(
        Flow("scan-32006", "server", "client"),
        tests::Wire::new(7, bytes),
        tests::Wire::default(),
    );
}

#[test]
fn told_to_stop_it_ends_well_and_leaves_nothing() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let process = PathBuf::from("/proc").join(daemon.pid().to_string());
    assert!(process.exists());
    assert_eq!(tcx_programs(&pair.host, "eth0"), (1, 1));
    daemon.verdict(AGENT, "idle", None);
    let ((status, log), took) = tests::elapsed(|| daemon.stop());
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took.as_secs() < 4, "{took:?}");
    assert!(!process.exists());
    assert_eq!(tcx_programs(&pair.host, "eth0"), (0, 0));
    assert_eq!(tcx_programs(&pair.host, "lo"), (0, 0));
    assert_eq!(pair.host.run("ss", &["-Hltn"]), "");
}

/// A config and a copy of the program where anyone may read and run them; they go with the value.
struct Readable(PathBuf);

impl Readable {
    fn new(namespace: &Namespace, config: &str) -> Self {
        let readable = Self(std::env::temp_dir().join(namespace.name()));
        fs::create_dir(&readable.0).unwrap();
        fs::write(readable.0.join("config.toml"), config).unwrap();
        // Not by this process: a thread that starts a program would hold the file open for
        // writing for a moment, and then it cannot be run.
        let copy = readable.0.join("backupflow");
        command::run("cp", &[binary().to_str().unwrap(), copy.to_str().unwrap()]);
        readable
    }

    /// Runs the program in a namespace as nobody without any capability, to its end.
    fn run_as_nobody(&self, namespace: &Namespace) -> Output {
        command::output(
            command::program("nsenter")
                .arg(format!("--net={}", namespace.path().display()))
                .args(["--", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
                .args(["--inh-caps", "-all", "--bounding-set", "-all", "--"])
                .arg(self.0.join("backupflow"))
                .args(["run", "--config"])
                .arg(self.0.join("config.toml")),
        )
    }
}

impl Drop for Readable {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn bad_config_ends_it_before_the_kernel_is_touched() {
    let namespace = Namespace::new("host");
    let readable = Readable::new(&namespace, "[[system]]\nproduct = \"no-such-product\"\n");
    // Without any right, so that touching the kernel would fail in other words.
    let output = readable.run_as_nobody(&namespace);
    let (stdout, stderr) = command::text(&output);
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert_eq!(stdout, "");
    assert!(stderr.contains("unknown product `no-such-product`"), "{stderr}");
    assert!(!stderr.contains("CAP_"), "{stderr}");
}

#[test]
fn without_rights_it_says_so_in_a_sentence() {
    let namespace = Namespace::new("host");
    let readable = Readable::new(&namespace, config::SQL_SERVER);
    let output = readable.run_as_nobody(&namespace);
    let (stdout, stderr) = command::text(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stdout, "");
    assert_eq!(
        stderr,
        "backupflow: this process lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: run as root, or with \
         CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, so that programs can be loaded and attached\n"
    );
}

/// What `doctor` says in a mount namespace of its own, after a line of the shell there. The machine's first process,
/// whose mounts `doctor` falls back to, is that shell.
fn doctor(prepare: &str) -> (Option<i32>, String) {
    let output = command::output(
        command::program("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"])
            .arg(format!("{prepare} && exec \"$0\" doctor"))
            .arg(binary()),
    );
    let (stdout, stderr) = command::text(&output);
    assert_eq!(stderr, "", "{prepare}");
    (output.status.code(), stdout)
}

/// What is said of something that is not there: what was looked for, and what is lost.
fn lacks<'t>(text: &'t str, name: &str) -> (&'t str, &'t str) {
    let mut lines = text.lines().skip_while(|line| !line.contains(name));
    let found = lines.next().and_then(|line| line.strip_prefix("lacks")).map(str::trim);
    let lost = lines.next().and_then(|line| line.trim().strip_prefix("without it: "));
    found.zip(lost).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn doctor_says_what_is_lost() {
    let (code, text) = doctor("true");
    assert_eq!(code, Some(0), "{text}");
    for name in ["BTF", "cgroup v2"] {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.starts_with("ok "), "{text}");
    }

    let (code, text) = doctor("mount -t tmpfs none /sys/kernel/btf");
    assert_eq!(code, Some(0), "{text}");
    let (found, lost) = lacks(&text, "BTF");
    assert_eq!(found, "BTF             no /sys/kernel/btf/vmlinux");
    assert!(lost.contains("packets on the wire are counted all the same"), "{text}");

    let root = "$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)";
    let (code, text) = doctor(&format!("umount -l {root}"));
    assert_eq!(code, Some(0), "{text}");
    let (found, lost) = lacks(&text, "cgroup v2");
    assert_eq!(found, "cgroup v2       not mounted");
    assert!(lost.contains("packets on the wire are counted all the same"), "{text}");
}
