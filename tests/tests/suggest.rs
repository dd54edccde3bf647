//! A first config from real listeners, connections and packets.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, HOST4, HOST6, Namespace, Open, PEER4, PEER6, Pair, binary,
    command, connect_from, listen, tcx_programs, turned_away, udp_socket, until,
};

fn suggest(namespace: &Namespace, arguments: &[&str]) -> Command {
    let mut command = command::program("nsenter");
    command
        .arg(format!("--net={}", namespace.path().display()))
        .arg("--")
        .arg(binary())
        .arg("suggest")
        .args(arguments);
    command
}

/// Starts to watch.
fn watch(pair: &Pair) -> Child {
    let mut command = suggest(&pair.host, &["--watch", "10m"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the programs", DEADLINE, || match tcx_programs(&pair.host, "eth0") {
        (1, 1) => Ok(()),
        other => Err(other),
    });
    child
}

/// Ends the watch as Ctrl-C does.
fn enough(child: Child) -> Output {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    child.wait_with_output().unwrap()
}

/// What was printed.
fn printed(output: &Output) -> String {
    let (stdout, stderr) = command::text(output);
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

/// A host that a cluster connects to and that connects to the cluster, by both IP versions.
fn connections(pair: &Pair) -> Vec<(TcpListener, Open)> {
    let ends = [
        (&pair.peer, &pair.host, SocketAddr::new(HOST4, 50051)),
        (&pair.peer, &pair.host, SocketAddr::new(HOST6, 50051)),
        (&pair.host, &pair.peer, SocketAddr::new(PEER4, 11113)),
        (&pair.host, &pair.peer, SocketAddr::new(PEER6, 11113)),
    ];
    let connect = |(from, to, address)| {
        let listener = listen(to, address);
        let open = Open::new(from, &listener, address);
        (listener, open)
    };
    ends.map(connect).into()
}

/// The config is fine, and the daemon that has it finds that all is well.
fn holds(pair: &Pair, config: &str) {
    let daemon = Daemon::start(&pair.host, config);
    let checked = command::output(
        command::program(binary()).args(["check", "--config"]).arg(daemon.config_file()),
    );
    assert!(checked.status.success(), "{config}\n{:?}", command::text(&checked));
    for (_listener, open) in connections(pair) {
        open.send(1000, 1000);
        open.close();
    }
    for flow in [AGENT, CLUSTER] {
        let said = daemon.verdict(flow, "ok", None);
        let peers: Vec<&str> = said.evidence.peers.iter().map(|peer| peer.peer.as_str()).collect();
        assert_eq!(peers, ["10.20.0.2", "fd00:20::2"]);
    }
    assert_eq!(daemon.report().unexpected_total, 0);
}

#[test]
fn config_from_sockets_holds() {
    let pair = Pair::new();
    let open = connections(&pair);
    // These tell nothing.
    let _web = listen(&pair.host, SocketAddr::new(HOST4, 443));
    let config = printed(&command::output(&mut suggest(&pair.host, &[])));
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    for line in [
        "roles = [\"ms-sql-server\"]\n",
        "\npeers.cluster = [\n",
        "    # its port 11113/tcp: 1 connection now\n    # this host's port 50051/tcp: 1 connection now\n    \"fd00:20::2\",\n",
        &format!("# - {} listens on 50051/tcp (agent-50051)\n", name.trim()),
        "no packets were watched",
    ] {
        assert!(config.contains(line), "{line}\n{config}");
    }
    let json = printed(&command::output(&mut suggest(&pair.host, &["--format", "json"])));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], 1);
    let systems = json["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1);
    assert_eq!(systems[0]["product"], "ibm-backup-recovery");
    assert_eq!(systems[0]["roles"][0]["role"], "ms-sql-server");
    let peers: Vec<&String> = systems[0]["peers"]["cluster"].as_object().unwrap().keys().collect();
    assert_eq!(peers, ["10.20.0.2", "fd00:20::2"]);
    drop(open);
    holds(&pair, &config);
}

#[test]
fn config_from_packets_holds() {
    let pair = Pair::new();
    let watching = watch(&pair);
    for (_listener, open) in connections(&pair) {
        open.send(1000, 1000);
        open.close();
    }
    let output = enough(watching);
    assert_eq!(tcx_programs(&pair.host, "eth0"), (0, 0));
    let config = printed(&output);
    // The service has ended by now, and only packets tell of it.
    for line in [
        "roles = [\"ms-sql-server\"]\n",
        "# - connections to 50051/tcp of this host were seen (agent-50051)\n",
        "packets, 1 connection opened",
        "packets were watched for",
    ] {
        assert!(config.contains(line), "{line}\n{config}");
    }
    holds(&pair, &config);
}

#[test]
fn attempt_that_was_turned_away_makes_no_service() {
    let pair = Pair::new();
    let watching = watch(&pair);
    turned_away(&pair.peer, SocketAddr::new(HOST4, 50051), DEADLINE);
    nothing(&enough(watching));
}

/// Nothing was proposed; gives what was said of that.
fn nothing(output: &Output) -> String {
    let (stdout, stderr) = command::text(output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr
}

#[test]
fn nothing_is_said_where_nothing_tells() {
    let pair = Pair::new();
    let _services = [22, 443].map(|port| listen(&pair.host, SocketAddr::new(HOST4, port)));
    let _name_server = udp_socket(&pair.host, SocketAddr::new(HOST6, 53));
    let said = nothing(&command::output(&mut suggest(&pair.host, &[])));
    assert!(said.contains("\nlistening: 22/tcp, 53/udp, 443/tcp\n"), "{said}");
    assert!(said.contains("\nconnections on documented ports: none\n"), "{said}");

    // The host's end of this connection has a documented port, by chance.
    let there = SocketAddr::new(PEER4, 443);
    let listener = listen(&pair.peer, there);
    let client = connect_from(&pair.host, SocketAddr::new(HOST4, 50051), there);
    let open = Open::of(client, &listener);
    let asking = udp_socket(&pair.host, SocketAddr::new(HOST4, 0));
    asking.connect(SocketAddr::new(PEER4, 1434)).unwrap();
    let said = nothing(&command::output(&mut suggest(&pair.host, &[])));
    let flows = ": to 10.20.0.2 port 1434/udp; to 10.20.0.2 port 443/tcp\n";
    assert!(said.contains(flows), "{said}");
    assert!(said.contains("used by other software too: 1434/udp\n"), "{said}");
    drop(open);
}
