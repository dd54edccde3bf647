//! Each outbound expectation, tried once.

use serde_json::{Value, json};
use tests::{
    Daemon, Flow, PEER4, Pair, at, binary,
    command::{output, program, text},
    listen,
};

const CONFIG: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "physical-server"]
peers.cluster = ["10.20.0.2", "10.30.0.0/24"]
"#;

/// What `probe` says: its code, and flow, address, result and cause of what was tried.
fn probe(pair: &Pair, daemon: &Daemon<'_>) -> (Option<i32>, Vec<Value>, usize) {
    let output = output(
        program("nsenter")
            .arg(format!("--net={}", pair.host.path().display()))
            .arg("--")
            .arg(binary())
            .args(["probe", "--timeout", "2", "--format", "json", "--config"])
            .arg(daemon.config_file()),
    );
    let (answer, said) = text(&output);
    assert_eq!(said, "");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let probes = answer["probes"].as_array().unwrap();
    let (not, tried): (Vec<&Value>, Vec<&Value>) =
        probes.iter().partition(|probe| probe["result"] == "not-tried");
    for probe in &not {
        assert_eq!(probe["detail"], "a network, not a machine", "{probe}");
    }
    let short =
        |probe: &Value| json!([probe["flow"], probe["address"], probe["result"], probe["cause"]]);
    (output.status.code(), tried.into_iter().map(short).collect(), not.len())
}

#[test]
fn every_outbound_flow_is_tried_once_and_the_daemon_says_why_it_fails() {
    let pair = Pair::new();
    let rule = "chain c {\ntype filter hook input priority 0\ntcp dport 11113 drop\n}";
    pair.peer.nft(rule);
    let daemon = Daemon::start(&pair.host, CONFIG);
    let _service = listen(&pair.peer, at(PEER4, 11117));
    let (code, probes, not_tried) = probe(&pair, &daemon);
    assert_eq!(code, Some(1));
    assert_eq!(
        probes,
        [
            json!(["grpc-11117", "10.20.0.2:11117", "connected", null]),
            json!(["mssql-smb-445", "10.20.0.2:445", "refused", "remote-refused"]),
            json!(["mssql-vdi-11113", "10.20.0.2:11113", "no-answer", "no-answer"]),
            json!(["mssql-vdi-11117", "10.20.0.2:11117", "connected", null]),
        ]
    );
    assert_eq!(not_tried, 4);
    // One attempt each, and its retransmission where nothing answers.
    let said = daemon.verdict(
        Flow("mssql-smb-445", "client", "cluster"),
        "refused",
        Some("remote-refused"),
    );
    assert_eq!(said.evidence.failing[0].attempts, 1);
}

#[test]
fn all_well_is_no_failure() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, CONFIG);
    let _services = [11117, 11113, 445].map(|port| listen(&pair.peer, at(PEER4, port)));
    let (code, probes, _) = probe(&pair, &daemon);
    assert_eq!((code, probes.len()), (Some(0), 4));
}
