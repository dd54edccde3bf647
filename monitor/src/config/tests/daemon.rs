//! `[web]`, `[kernel]` and `[state]`.

use std::path::Path;

use super::{accepted, faults, help, with};

#[test]
fn defaults_stand_where_nothing_is_written() {
    let config = accepted(&with(""));
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:10150");
    assert_eq!(config.kernel.flows, 16_384);
    let config = accepted(&with("[web]\n[kernel]"));
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:10150");
    assert_eq!(config.kernel.flows, 16_384);
}

#[test]
fn listen_is_an_address_with_a_port() {
    for (written, better) in [
        ("10150", "127.0.0.1:10150"),
        (":9090", "0.0.0.0:9090"),
        ("localhost:9090", "127.0.0.1:9090"),
        ("localhost:http", "127.0.0.1:10150"),
        ("192.0.2.1", "192.0.2.1:10150"),
        ("::1", "[::1]:10150"),
        ("192.0.2.1:65536", "127.0.0.1:10150"),
    ] {
        let text = with(&format!("[web]\nlisten = \"{written}\""));
        let expected = format!("5:10: web.listen: `{written}` is not an address with a port");
        assert_eq!(faults(&text), expected);
        assert_eq!(help(&text), format!("write it as `{better}`"));
    }
}

#[test]
fn a_web_config_file_has_a_full_path() {
    assert_eq!(accepted(&with("")).web.config_file, None);
    let config = accepted(&with("[web]\nconfig_file = \"/etc/backupflow/web.toml\""));
    assert_eq!(config.web.config_file.unwrap().to_str(), Some("/etc/backupflow/web.toml"));
    let text = with("[web]\nconfig_file = \"web.toml\"");
    assert_eq!(faults(&text), "5:15: web.config_file: `web.toml` is no full path");
    let text = with("[web]\nconfig_file = 1");
    let expected = "5:15: web.config_file: expected a string, found an integer";
    assert_eq!(faults(&text), expected);
}

#[test]
fn files_have_a_full_path() {
    for (section, key) in [("kernel", "pin"), ("state", "file")] {
        let text = |path| with(&format!("[{section}]\n{key} = \"{path}\""));
        for path in ["", "state", "../state", "/"] {
            let refused = faults(&text(path));
            assert!(
                refused.ends_with(&format!("{section}.{key}: `{path}` is no full path")),
                "{refused}"
            );
        }
    }
    assert_eq!(accepted(&with("")).state.file, Path::new("/var/lib/backupflow/state.json"));
    let config = accepted(&with("[state]\nfile = \"/srv/seen\""));
    assert_eq!(config.state.file, Path::new("/srv/seen"));
}

#[test]
fn the_status_socket_has_a_path_a_mode_and_a_group() {
    let status = accepted(&with("")).status;
    assert_eq!(status, super::super::Status::default());
    assert_eq!((status.socket.to_str(), status.mode), (Some("/run/backupflow/status.sock"), 0o660));
    let text = with("[status]\nsocket = \"/run/x\"\nmode = \"0600\"\ngroup = \"backup\"");
    let status = accepted(&text).status;
    assert_eq!((status.socket.to_str(), status.mode), (Some("/run/x"), 0o600));
    assert_eq!((status.group.as_deref(), status.required), (Some("backup"), true));

    let long = format!("/{}", "x".repeat(96));
    for (written, expected) in [
        ("mode = \"660\"", "5:8: status.mode: `660` is not a mode"),
        ("mode = \"0888\"", "5:8: status.mode: `0888` is not a mode"),
        ("mode = \"04755\"", "5:8: status.mode: `04755` is not a mode"),
        ("mode = 660", "5:8: status.mode: expected a string, found an integer"),
        ("socket = \"status.sock\"", "5:10: status.socket: `status.sock` is no full path"),
        (
            &format!("socket = \"{long}\""),
            "5:10: status.socket: the path has 97 bytes, at most 96 are possible",
        ),
    ] {
        assert_eq!(faults(&with(&format!("[status]\n{written}"))), expected);
    }
}

#[test]
fn the_flow_map_has_bounds() {
    for flows in ["15", "1048577", "-1", "4294967312"] {
        let text = with(&format!("[kernel]\nflows = {flows}"));
        let expected =
            format!("5:9: kernel.flows: {flows} is out of range, expected 16 to 1048576");
        assert_eq!(faults(&text), expected);
    }
    for flows in [16, 1_048_576] {
        let config = accepted(&with(&format!("[kernel]\nflows = {flows}")));
        assert_eq!(config.kernel.flows, flows);
    }
}

#[test]
fn faults_of_all_parts_come_at_once_in_the_order_of_the_text() {
    let text = "[kernel]\nflows = 1.5\n[web]\nlisten = \"x\"\n[[system]]\nproduct = \"ibm-backup-recovery\"\n\
                roles = [\"x\"]\npeers.cluster = [\"10.0.0.1/8\"]\n";
    let expected = "2:9: kernel.flows: expected an integer, found a float\n\
                    4:10: web.listen: `x` is not an address with a port\n\
                    7:10: system[0].roles[0]: ibm-backup-recovery has no role `x`\n\
                    8:18: system[0].peers.cluster[0]: `10.0.0.1/8` has host bits set";
    assert_eq!(faults(text), expected);
}

#[test]
fn hooks_are_disabled_by_name() {
    let config = accepted(&with("[kernel]\ndisable = [\"drop\", \"retransmit\"]"));
    assert_eq!(config.kernel.disable, ["drop", "retransmit"]);
    let text = with("[kernel]\ndisable = [\"drops\"]");
    assert_eq!(faults(&text), "5:12: kernel.disable[0]: no hook `drops`");
    assert!(help(&text).starts_with("did you mean `drop`?"));
}

#[test]
fn a_probe_is_asked_for_and_says_how_often() {
    assert_eq!(accepted(&with("")).probe.every, None);
    let every = |text: &str| with(&format!("[probe]\nevery = \"{text}\""));
    for (text, minutes) in [("1m", 1), ("15m", 15), ("1h 30m", 90), ("1d", 24 * 60)] {
        let written = accepted(&every(text)).probe.every;
        assert_eq!(written, Some(jiff::SignedDuration::from_mins(minutes)), "{text}");
    }
    for text in ["", "59s", "0m", "-15m", "25h", "15", "never", "1mo"] {
        let refused = faults(&every(text));
        assert_eq!(refused, format!("5:9: probe.every: `{text}` is no time from 1m to 24h"));
    }
    assert_eq!(faults(&with("[probe]")), "4:1: probe.every: `every` is missing");
    assert_eq!(
        faults(&with("[probe]\nevery = 15")),
        "5:9: probe.every: expected a string, found an integer"
    );
    assert_eq!(
        faults(&with("[probe]\nevery = \"15m\"\ntimeout = \"5s\"")),
        "6:1: probe.timeout: unknown key `timeout`"
    );
}
