//! What is known after a restart without pinned maps.

use std::{fs, io::ErrorKind, net::SocketAddr};

use tests::{
    AGENT, DEADLINE, Daemon, Directory, HOST4, Open, Pair, command, config, listen, until,
};

const AT: SocketAddr = SocketAddr::new(HOST4, 50051);

/// A config in which port 50051 is due by default.
fn due(directory: &Directory) -> String {
    directory.keeping(&config::SQL_SERVER.replace("agent-*", "grpc-*"))
}

fn succeed(pair: &Pair) {
    Open::new(&pair.peer, &listen(&pair.host, AT), AT).close();
}

fn lines(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn last_success_survives_a_stop_and_a_kill() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    let daemon = Daemon::start(&pair.host, &due(&directory));
    let said = daemon.verdict(AGENT, "unknown", None);
    assert_eq!(said.evidence.reason.as_deref(), Some("watched for less than 26h"));
    let watched_since = daemon.report().watched_since;
    succeed(&pair);
    let first = daemon.verdict(AGENT, "ok", None);
    assert!(first.last_success.is_some());
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");

    for _ in 0..2 {
        let daemon = Daemon::start(&pair.host, &due(&directory));
        let said = daemon.verdict(AGENT, "ok", None);
        assert_eq!(
            (said.last_success, said.last_seen),
            (first.last_success, first.last_seen),
            "{}",
            daemon.log()
        );
        assert_eq!(said.evidence.peers_seen, 0);
        let report = daemon.report();
        assert_eq!(report.watched_since, watched_since);
        // Its own first writing is over.
        until("a file", DEADLINE, || match daemon.report().state.unwrap().written {
            Some(written) if written > report.started => Ok(()),
            other => Err(other),
        });
        daemon.kill();
    }
    let daemon = Daemon::start(&pair.host, &due(&directory));
    succeed(&pair);
    let last = daemon.settles("a later success", |report| {
        let said = AGENT.find(report).last_success;
        if said > first.last_success { Ok(()) } else { Err(format!("{said:?}")) }
    });
    assert_eq!(AGENT.find(&last).verdict, "ok");
}

#[test]
fn broken_file_is_set_aside_and_told() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    fs::write(directory.state(), "{\"schema\":1,").unwrap();
    let daemon = Daemon::start(&pair.host, &due(&directory));
    daemon.verdict(AGENT, "unknown", None);
    let aside = directory.path().join("state.json.broken");
    assert_eq!(fs::read_to_string(&aside).unwrap(), "{\"schema\":1,");
    let told = format!("set aside as {}", aside.display());
    succeed(&pair);
    daemon.verdict(AGENT, "ok", None);
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!((lines(&log, &told), lines(&log, "ERROR")), (1, 1), "{log}");
    let daemon = Daemon::start(&pair.host, &due(&directory));
    daemon.verdict(AGENT, "ok", None);
    assert_eq!(lines(&daemon.log(), "ERROR"), 0, "{}", daemon.log());
}

/// A file system in memory at the directory, until the value goes.
struct Mounted<'d>(&'d Directory);

impl<'d> Mounted<'d> {
    fn with(directory: &'d Directory, options: &str) -> Self {
        let at = directory.path().to_str().unwrap();
        command::run("mount", &["-t", "tmpfs", "-o", options, "none", at]);
        Self(directory)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        command::run("umount", &[self.0.path().to_str().unwrap()]);
    }
}

#[test]
fn directory_that_cannot_be_written_to_is_told_once() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    let read_only = Mounted::with(&directory, "ro");
    let daemon = Daemon::start(&pair.host, &due(&directory));
    let fault = until("a fault", DEADLINE, || daemon.report().state.unwrap().fault.ok_or(()));
    assert!(fault.contains("Read-only file system"), "{fault}");
    succeed(&pair);
    daemon.verdict(AGENT, "ok", None);
    let written = "backupflow_state_last_write_timestamp_seconds";
    assert_eq!(daemon.series(written, &[]), [(written.to_owned(), 0.0)]);
    let (code, text) = daemon.status();
    assert_eq!(code, Some(0), "{text}");
    let told = format!("not kept over a restart: {}: {fault}", directory.state().display());
    assert!(text.contains(&told), "{text}");
    // The last writing fails too.
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!(lines(&log, "will not be known after a restart"), 1, "{log}");
    drop(read_only);
}

#[test]
fn full_disk_is_told_and_costs_no_count() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    let mounted = Mounted::with(&directory, "size=64k");
    let fill = directory.path().join("fill");
    let full = fs::write(&fill, vec![0; 1 << 20]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    let daemon = Daemon::start(&pair.host, &due(&directory));
    let fault = until("a fault", DEADLINE, || daemon.report().state.unwrap().fault.ok_or(()));
    assert!(fault.contains("No space left on device"), "{fault}");
    let open = Open::new(&pair.peer, &listen(&pair.host, AT), AT);
    open.send(50_000, 50_000);
    let sent = open.close();
    daemon.settles("every segment", |report| {
        let (received, transmitted) = AGENT.counted(report);
        let counted = (received.packets, transmitted.packets);
        if counted == (sent.up, sent.down) { Ok(()) } else { Err(format!("{counted:?}")) }
    });
    let last = daemon.verdict(AGENT, "ok", None).last_success;
    let told = format!("not kept over a restart: {}: {fault}", directory.state().display());
    assert!(daemon.status().1.contains(&told));
    // With space again, the last writing succeeds.
    fs::remove_file(fill).unwrap();
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!(lines(&log, "will not be known after a restart"), 1, "{log}");
    let daemon = Daemon::start(&pair.host, &due(&directory));
    assert_eq!(daemon.verdict(AGENT, "ok", None).last_success, last);
    drop(daemon);
    drop(mounted);
}
