//! What the daemon and a service manager tell each other, and what the log tells.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    time::Duration,
};

use tests::{AGENT, Daemon, HOST4, Pair, attempt, config, listen, until};

const PATIENCE: Duration = Duration::from_secs(2);

/// Where the daemon says how it is; it goes with the value.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn of(pair: &Pair) -> Self {
        let path = std::env::temp_dir().join(format!("{}-notify", pair.host.name()));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        Self { socket, path }
    }

    /// The next message.
    fn told(&self) -> String {
        let mut text = [0; 256];
        let length = self.socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim_end().to_owned()
    }

    /// The next message that is no sign of life.
    fn news(&self) -> String {
        let mut told = (0..100).map(|_| self.told());
        told.find(|told| told != "WATCHDOG=1").unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

#[test]
fn a_service_manager_is_told_how_it_is() {
    let pair = Pair::new();
    let manager = Manager::of(&pair);
    let by = ["env", &format!("NOTIFY_SOCKET={}", manager.path.display())];
    let daemon = Daemon::launch_by(&pair.host, &by, config::SQL_SERVER, &[]);
    assert_eq!(manager.told(), "READY=1");
    // Ready is: there is a report, and every hook watches.
    assert!(daemon.report().coverage.iter().all(|hook| hook.attached));
    for _ in 0..3 {
        assert_eq!(manager.told(), "WATCHDOG=1");
    }

    for (what, succeeds) in [(config::BACKUP_SERVER, 1.0), ("colour = 1\n", 0.0)] {
        daemon.reload(what);
        let told = manager.news();
        assert!(told.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told}");
        assert_eq!(manager.news(), "READY=1");
        // The pages are made once for a report.
        daemon.next_report();
        let series = daemon.series("backupflow_config_last_reload_successful", &[]);
        assert_eq!(series[0].1.to_bits(), f64::to_bits(succeeds));
    }
    assert!(daemon.stop().0.success());
    assert_eq!(manager.news(), "STOPPING=1");
}

#[test]
fn a_service_manager_is_told_why_it_does_not_start() {
    let pair = Pair::new();
    let manager = Manager::of(&pair);
    let by = ["env", &format!("NOTIFY_SOCKET={}", manager.path.display())];
    let daemon = Daemon::launch_by(&pair.host, &by, "colour = 1\n", &[]);
    let told = manager.told();
    let file = daemon.config_file();
    let first = format!("{}: system: no system is configured (and 1 more)", file.display());
    assert_eq!(told, format!("STATUS=config refused: {first}"));
}

#[test]
fn a_port_that_systemd_opened_is_served() {
    let pair = Pair::new();
    let by = ["systemd-socket-activate", "--listen=127.0.0.1:10150"];
    let config = format!("{}\n[web]\nlisten = \"127.0.0.1:10151\"\n", config::SQL_SERVER);
    let mut daemon = Daemon::launch_by(&pair.host, &by, &config, &[]);
    // It is started by whoever comes first.
    let port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10150);
    until("the port", tests::DEADLINE, || pair.host.inside(|| TcpStream::connect(port)).map(drop));
    daemon.wait();
    let listening = pair.host.run("ss", &["-Hltn"]);
    assert_eq!(listening.lines().count(), 1, "{listening}");
    assert!(listening.contains("127.0.0.1:10150"), "{listening}");
    let log = daemon.log();
    let warning = "systemd opened another port than the config has opened=127.0.0.1:10150 \
                   config=127.0.0.1:10151";
    assert!(log.contains(warning), "{log}");
    assert!(daemon.stop().0.success());
}

#[test]
fn the_log_tells_when_a_discrepancy_opens_and_closes() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    assert!(!daemon.log().contains("agent-50051"), "{}", daemon.log());
    let story = |what: &str| {
        let log = daemon.log();
        let mut lines = log.lines().filter(|line| line.contains("agent-50051"));
        let found: Vec<String> = lines.by_ref().map(str::to_owned).collect();
        if found.last().is_some_and(|line| line.contains(what)) { Ok(found) } else { Err(found) }
    };

    let at = SocketAddr::new(HOST4, 50051);
    attempt(&pair.peer, at, PATIENCE).unwrap_err();
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let opened = until("the opening", tests::DEADLINE, || story("REFUSED"));
    let place = "ibm-backup-recovery: agent-50051, from cluster to this host, port 50051/tcp";
    let said = format!("REFUSED  {place}: no-listener with 10.20.0.2, since ");
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(opened[0].contains(&said), "{opened:?}");
    assert!(opened[0].ends_with(" UTC"), "{opened:?}");

    let listener = listen(&pair.host, at);
    drop(attempt(&pair.peer, at, PATIENCE).unwrap());
    drop(listener);
    let both = until("the closing", tests::DEADLINE, || story("is over"));
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[1].contains(&format!("OK  {place}: refused for ")), "{both:?}");
    assert!(both[1].ends_with("s, no-listener, is over"), "{both:?}");
}
