//! Start, reload and end.

use std::{fs, path::PathBuf, process::Output};

use tests::{Daemon, Flow, Namespace, Pair, binary, command, config, tcx_programs};

const AGENT: Flow<'_> = Flow("agent-50051", "server", "cluster");

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

/// Runs the program as nobody without any capability, to its end.
fn as_nobody(namespace: &Namespace, arguments: &[&str]) -> Output {
    command::output(
        command::program("nsenter")
            .arg(format!("--net={}", namespace.path().display()))
            .args(["--", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["--inh-caps", "-all", "--bounding-set", "-all", "--"])
            .arg(binary())
            .args(arguments),
    )
}

/// A config file that anyone may read; it goes with the value.
struct ConfigFile(PathBuf);

impl ConfigFile {
    fn new(namespace: &Namespace, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{}.toml", namespace.name()));
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn bad_config_ends_it_before_the_kernel_is_touched() {
    let namespace = Namespace::new("host");
    let file = ConfigFile::new(&namespace, "[[system]]\nproduct = \"no-such-product\"\n");
    // Without any right, so that touching the kernel would fail in other words.
    let output = as_nobody(&namespace, &["run", "--config", file.0.to_str().unwrap()]);
    let (stdout, stderr) = command::text(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stdout, "");
    assert!(stderr.contains("unknown product `no-such-product`"), "{stderr}");
    assert!(!stderr.contains("CAP_"), "{stderr}");
}

#[test]
fn without_rights_it_says_so_in_a_sentence() {
    let namespace = Namespace::new("host");
    let file = ConfigFile::new(&namespace, config::SQL_SERVER);
    let output = as_nobody(&namespace, &["run", "--config", file.0.to_str().unwrap()]);
    let (stdout, stderr) = command::text(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stdout, "");
    assert_eq!(
        stderr,
        "backupflow: this process lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: run as root, or with \
         CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, so that programs can be loaded and attached\n"
    );
}

/// What `doctor` says in a mount namespace of its own, after a line of the shell there.
fn doctor(prepare: &str) -> (Option<i32>, String) {
    let output = command::output(
        command::program("unshare")
            .args(["--mount", "sh", "-c", &format!("{prepare} && exec \"$0\" doctor")])
            .arg(binary()),
    );
    let (stdout, stderr) = command::text(&output);
    assert_eq!(stderr, "", "{prepare}");
    (output.status.code(), stdout)
}

/// The two lines on what is not there.
fn lacks<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let mut lines = text.lines().skip_while(|line| !line.contains(name));
    let both = [lines.next(), lines.next()];
    both.into_iter().flatten().map(str::trim).collect()
}

#[test]
fn doctor_says_what_is_lost() {
    let (code, text) = doctor("true");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().any(|line| line.starts_with("ok") && line.contains("BTF")), "{text}");

    let (code, text) = doctor("mount -t tmpfs none /sys/kernel/btf");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        lacks(&text, "BTF"),
        [
            "lacks BTF           no /sys/kernel/btf/vmlinux",
            "without it: drops and their reasons cannot be read, packets on the wire are counted \
             all the same",
        ]
    );

    let root = "$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)";
    let (code, text) = doctor(&format!("umount -l {root}"));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        lacks(&text, "cgroup v2"),
        [
            "lacks cgroup v2     not mounted",
            "without it: what reaches a socket cannot be told from what the host drops, packets \
             on the wire are counted all the same",
        ]
    );
}
