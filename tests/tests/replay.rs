//! What a capture shows is what the daemon saw.

use std::{fs, path::Path, time::Duration};

use tests::{
    AGENT, Capture, Daemon, Expectation, Flow, HOST4, HOST6, Open, PEER4, PEER6, Pair, Report, at,
    binary,
    command::{output, program, text},
    config, listen, turned_away,
};

const WORKS: Flow<'_> = Flow("mssql-vdi-11117", "client", "cluster");
const BLOCKED: Flow<'_> = Flow("mssql-vdi-11113", "client", "cluster");
const TURNED_DOWN: Flow<'_> = Flow("mssql-smb-445", "client", "cluster");

/// What somebody without rights is told of a capture: exit code, report and messages.
fn replay(capture: &Path, config: &Path) -> (Option<i32>, Report, String) {
    let output = output(
        program("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(binary())
            .arg("replay")
            .arg(capture)
            .args(["--host", &HOST4.to_string(), "--host", &HOST6.to_string()])
            .args(["--format", "json", "--config"])
            .arg(config),
    );
    let (report, said) = text(&output);
    (output.status.code(), serde_json::from_str(&report).expect(&said), said)
}

#[test]
fn capture_gives_the_verdicts_of_the_daemon() {
    let pair = Pair::without_offloads();
    pair.peer.nft(
        "chain c {\ntype filter hook input priority 0\ntcp dport 11113 drop\n\
         ip daddr 10.20.0.2 tcp dport 445 reject with icmp type admin-prohibited\n}",
    );
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut capture = Capture::start(&pair.host, "eth0");
    let agent = Open::new(&pair.peer, &listen(&pair.host, at(HOST4, 50051)), at(HOST4, 50051));
    agent.send(200_000, 3000);
    let exchanged = agent.close();
    let to = at(PEER4, 11117);
    Open::new(&pair.host, &listen(&pair.peer, to), to).close();
    turned_away(&pair.host, at(PEER4, 445), Duration::from_millis(500));
    turned_away(&pair.host, at(PEER6, 445), Duration::from_millis(500));
    turned_away(&pair.host, at(PEER4, 11113), Duration::from_secs(8));
    let expected = [
        (AGENT, "ok", None),
        (WORKS, "ok", None),
        (TURNED_DOWN, "blocked", Some("remote-prohibited")),
        (BLOCKED, "blocked", Some("no-answer")),
    ];
    for (flow, verdict, cause) in expected {
        daemon.verdict(flow, verdict, cause);
    }
    let live = daemon.report();
    let (file, said) = capture.stop();
    assert!(said.contains("0 packets dropped by kernel"), "{said}");
    let (code, replayed, said) = replay(file, &daemon.config_file());
    assert_eq!((code, &*said), (Some(1), ""));
    for (flow, verdict, cause) in expected {
        let found = flow.find(&replayed);
        assert_eq!((&*found.verdict, found.cause.as_deref()), (verdict, cause), "{found:#?}");
        assert_eq!(flow.counted(&replayed), flow.counted(&live), "{flow:?}");
        let failing = |said: &Expectation| {
            let failing = said.evidence.failing.iter();
            let told =
                failing.map(|peer| (peer.address.clone(), peer.cause.clone(), peer.attempts));
            told.collect::<Vec<_>>()
        };
        assert_eq!(failing(found), failing(flow.find(&live)));
    }
    let causes = TURNED_DOWN.find(&replayed).evidence.failing.iter().map(|peer| &*peer.cause);
    assert_eq!(causes.collect::<Vec<_>>(), ["remote-prohibited", "remote-refused"]);
    assert_eq!(AGENT.counted(&replayed).0.packets, exchanged.up);
}

#[test]
fn capture_that_is_cut_is_told_up_to_there() {
    let pair = Pair::without_offloads();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut capture = Capture::start(&pair.host, "eth0");
    let agent = Open::new(&pair.peer, &listen(&pair.host, at(HOST4, 50051)), at(HOST4, 50051));
    agent.send(3000, 3000);
    let exchanged = agent.close();
    let said = daemon.verdict(AGENT, "ok", None);
    let [peer, _] = said.evidence.peers.as_slice() else { panic!("{said:#?}") };
    let wire = peer.received.wire().and(peer.transmitted.wire());
    capture.holds(wire);
    let (file, _) = capture.stop();
    let whole = fs::read(file).unwrap();
    fs::write(file, &whole[..whole.len() - 1]).unwrap();
    let (code, replayed, said) = replay(file, &daemon.config_file());
    assert_eq!(code, Some(0));
    let expected = "the file ends in the middle of a frame: the report is of what stands before";
    assert!(said.contains(expected), "{said}");
    let (received, transmitted) = AGENT.counted(&replayed);
    let counted = received.packets + transmitted.packets;
    assert_eq!(counted, exchanged.up + exchanged.down - 1);
    assert_eq!(AGENT.find(&replayed).verdict, "ok");
    // What this host may have stopped before the wire is not in a capture.
    let unseen = BLOCKED.find(&replayed);
    assert_eq!(unseen.verdict, "unknown", "{unseen:#?}");
}
