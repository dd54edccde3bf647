//! A second daemon that is started by mistake.

use std::fs;

use tests::{AGENT, Bpffs, DEADLINE, Daemon, HOST4, Open, Pair, listen, until};

const WHAT_TO_DO: &str =
    "One watches all products of a host: add a [[system]] to its config, or end it first";

/// Starts one with a file of its own, and gives what it said when it ended.
fn refused(pair: &Pair, config: &str) -> String {
    let file = std::env::temp_dir().join(format!("{}-second.toml", pair.host.name()));
    fs::write(&file, config).unwrap();
    let net = format!("--net={}", pair.host.path().display());
    let words =
        [&net, "--", tests::binary().to_str().unwrap(), "run", "--config", file.to_str().unwrap()]
            .map(str::to_owned);
    let output = tests::command::output(
        tests::command::program("timeout").args(["20", "nsenter"]).args(words),
    );
    fs::remove_file(file).unwrap();
    assert_eq!(output.status.code(), Some(1));
    tests::command::text(&output).1
}

#[test]
fn a_second_daemon_is_refused_and_the_first_one_counts_on() {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let daemon = Daemon::start(&pair.host, &bpffs.config(1024));
    let open =
        Open::new(&pair.peer, &listen(&pair.host, (HOST4, 50051).into()), (HOST4, 50051).into());
    open.send(10_000, 10_000);

    // By the same config.
    let said = refused(&pair, &fs::read_to_string(daemon.config_file()).unwrap());
    assert!(said.contains("listening on 127.0.0.1:10150: another program is there"), "{said}");
    assert!(said.contains(WHAT_TO_DO), "{said}");

    // By another one that shares nothing but the counts.
    let folder = std::env::temp_dir().join(format!("{}-second", pair.host.name()));
    fs::create_dir(&folder).unwrap();
    let apart = format!(
        "{}\n[web]\nlisten = \"127.0.0.1:10151\"\n[state]\nfile = \"{at}/state.json\"\n\
         [status]\nsocket = \"{at}/status.sock\"\n",
        bpffs.config(1024),
        at = folder.display(),
    );
    let said = refused(&pair, &apart);
    assert!(said.contains("another backupflow counts there"), "{said}");
    assert!(said.contains(WHAT_TO_DO), "{said}");
    fs::remove_dir_all(folder).unwrap();

    open.send(300_000, 200_000);
    let sent = open.close();
    let exact = |report: &tests::Report| {
        let (received, transmitted) = AGENT.counted(report);
        let counted = (received.packets, transmitted.packets);
        if counted == (sent.up, sent.down) { Ok(()) } else { Err(format!("{counted:?} {sent:?}")) }
    };
    daemon.settles("every segment", exact);
    // Killed, it is in nobody's way.
    daemon.kill();
    let daemon = Daemon::start(&pair.host, &bpffs.config(1024));
    until("every segment", DEADLINE, || exact(&daemon.report()));
}
