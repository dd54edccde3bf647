//! The other forms of the export.

use std::{fs, net::SocketAddr, path::Path, process};

use tests::{
    HOST4, HOST6, Namespace, PEER4, PEER6, Pair, binary,
    command::{feed, output, program, text},
};

use super::{
    HOSTS, export,
    probe::{Probe, Transport, Way, none_passes},
};

#[test]
fn standalone_ruleset_drops_all_else() {
    let pair = Pair::new();
    // Neighbours have to be found: by ICMPv6, which the namespaces keep back otherwise.
    for end in [&pair.host, &pair.peer] {
        end.nftables("delete table ip6 quiet");
        end.ip("neighbour flush dev eth0 nud permanent");
    }
    let ruleset = export("linux-physical-server", &["nftables", "--standalone"]);
    for _ in 0..2 {
        pair.host.nftables(&ruleset);
    }
    let tcp = |way, client, service, port| Probe {
        way,
        transport: Transport::Tcp,
        service: SocketAddr::new(service, port),
        client,
    };
    let own = "127.0.0.1".parse().unwrap();
    for probe in [
        tcp(Way::In, PEER4, HOST4, 50051),
        tcp(Way::In, PEER6, HOST6, 50051),
        tcp(Way::Out, HOST4, PEER4, 11117),
        tcp(Way::Out, HOST6, PEER6, 11117),
        tcp(Way::Within, own, own, 59999),
        tcp(Way::Within, own, own, 22),
    ] {
        probe
            .passes(&pair, &probe.serve(&pair))
            .unwrap_or_else(|error| panic!("{probe:?}: {error}"));
    }
    for probe in [tcp(Way::In, PEER4, HOST4, 22), tcp(Way::Out, HOST6, PEER6, 22)] {
        none_passes(&[probe], &pair, &probe.serve(&pair));
    }
}

#[test]
fn chains_go_into_the_table_that_is_named() {
    let host = Namespace::new("export");
    host.nftables(&export("mssql-server", &["nftables", "--table", "firewall"]));
    let listed = host.run("nft", &["list", "tables"]);
    assert_eq!(listed, "table inet firewall\n");
}

#[test]
fn firewalld_takes_every_rule() {
    if !Path::new("/usr/bin/firewall-offline-cmd").exists() {
        println!("firewalld is not installed: nothing was tried");
        return;
    }
    // The machine's own configuration is hidden from this, and this from the machine.
    let inside = "mount -t tmpfs none /etc/firewalld && cd /etc/firewalld && cat > export.sh\n\
                  sh export.sh && sh export.sh && firewall-offline-cmd --check-config || exit\n\
                  for policy in backupflow-in backupflow-out\n\
                  do firewall-offline-cmd --policy=$policy --list-rich-rules\ndone\n";
    for host in HOSTS {
        let script = export(host, &["firewalld"]);
        let output = feed("unshare", &["--mount", "sh", "-c", inside], &script);
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{host}: {stderr}");
        // It leaves out what it cannot make sense of, and what is there twice.
        assert_eq!(stdout.lines().count(), script.matches("<rule").count(), "{host}: {stderr}");
    }
}

#[test]
fn faults_of_the_config_are_told() {
    let directory = std::env::temp_dir().join(format!("bft-{}-export", process::id()));
    fs::create_dir(&directory).unwrap();
    let file = directory.join("config.toml");
    fs::write(&file, "colour = 1\n").unwrap();
    let told =
        |command: &[&str]| output(program(binary()).args(command).arg("--config").arg(&file));
    let check = told(&["check"]);
    let export = told(&["catalog", "export", "--format", "nftables"]);
    let elsewhere = told(&["catalog", "export", "--format", "json", "--standalone"]);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!((export.status.code(), text(&export)), (Some(1), text(&check)));
    assert!(text(&export).1.contains("unknown key `colour`"), "{export:?}");
    assert_eq!(elsewhere.status.code(), Some(2), "{elsewhere:?}");
}
