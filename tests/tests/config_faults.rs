//! A config with faults, at the start, at a reload, and while the daemon runs with what it read before.

use tests::{AGENT, DEADLINE, Daemon, Pair, config, until};

/// Two faults: an unknown key, and a product that is not known.
const FAULTY: &str = "colour = 1\n[[system]]\nproduct = \"none\"\nroles = []\n";

#[test]
fn reload_asks_the_daemon_and_says_what_came_of_it() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let applied = |daemon: &Daemon<'_>| {
        // The pages are made once for a report.
        daemon.next_report();
        daemon.series("backupflow_config_last_reload_successful", &[])[0].1 > 0.0
    };
    daemon.write_config(config::BACKUP_SERVER);
    assert_eq!(daemon.run("reload"), (Some(0), String::new()));
    assert!(applied(&daemon));
    let other = daemon.report().expectations.iter().all(|it| it.product == "gigavault-storage");
    assert!(other, "{:#?}", daemon.report().expectations);

    daemon.write_config(FAULTY);
    let (code, said) = daemon.run("reload");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("backupflow: config refused, the old one stays in force:\n"),
        "{said}"
    );
    assert!(said.contains("config.toml:1:1: colour: ") && said.contains("product"), "{said}");
    assert!(!applied(&daemon));

    daemon.write_config(config::SQL_SERVER);
    assert_eq!(daemon.run("reload"), (Some(0), String::new()));
    assert!(applied(&daemon));
    daemon.verdict(AGENT, "idle", None);
}

#[test]
fn status_shows_what_the_daemon_says_and_the_fault_as_a_note() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    daemon.next_report();
    let (code, before) = daemon.status();
    assert!(!before.contains("faults"), "{before}");
    for faulty in [FAULTY, "[[system]\n", ""] {
        daemon.write_config(faulty);
        let (now, said) = daemon.status();
        assert_eq!(now, code, "{said}");
        assert!(said.contains("agent-50051"), "{said}");
        assert!(said.contains("the config file has faults and is not applied"), "{said}");
    }
}

#[test]
fn start_with_a_fault_says_so_once_and_asks_for_no_other_start() {
    let pair = Pair::new();
    let mut daemon = Daemon::launch(&pair.host, FAULTY, &[]);
    let status = until("the end", DEADLINE, || daemon.ended());
    assert_eq!(status.code(), Some(78));
    let log = daemon.log();
    assert!(log.contains("config.toml:1:1: colour: ") && log.contains("product"), "{log}");
}
