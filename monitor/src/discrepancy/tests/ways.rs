//! Datagrams that need no answer, what the host says to itself, and failures that are made up for.

use super::*;
use crate::observe::Drop;

const IBM: &str = "[[system]]\nproduct = \"ibm-backup-recovery\"\n";

impl Bench {
    fn of(config: &str) -> Self {
        Self {
            expectations: expectations(&config::parse("test.toml", config).unwrap()),
            ..Self::new()
        }
    }

    fn port_unreachable(&mut self, id: FlowId) {
        let last = Some(self.now());
        self.flow(id).icmp = vec![IcmpErrors {
            kind: IcmpKind::PortUnreachable,
            received: true,
            packets: 1,
            first: last,
            last,
        }];
    }

    fn of_side(&mut self, flow: &str, side: Side) -> Verdict {
        let is_it = |e: &Expectation| e.key.flow == flow && e.key.side == side;
        let index = self.expectations.iter().position(is_it).unwrap();
        self.assess().judgements[index].take().unwrap().verdict
    }

    /// A question by UDP and its answer.
    fn is_answered(&mut self, id: FlowId) {
        self.transmit(id, data);
        self.receive(id, data);
    }
}

fn datagram(side: Side, peer: &str, service_port: u16) -> FlowId {
    FlowId { transport: Transport::Udp, ..flow(side, peer, service_port) }
}

#[test]
fn traps_that_leave_are_ok_and_end_their_refusal() {
    let mut bench = Bench::of(&format!(
        "{IBM}roles = [\"cluster\"]\npeers.network-management-system = [\"10.20.0.5\"]\n\
         [[system.expect]]\nflow = \"snmp-trap-162\"\nwithin = \"1m\"\n"
    ));
    const TRAP: &str = "snmp-trap-162";
    let trap = datagram(Side::Client, "10.20.0.5", 162);
    bench.transmit(trap, data);
    bench.verdict(TRAP);
    bench.wait(1);
    assert_eq!(bench.verdict(TRAP), (Verdict::Ok, None));
    bench.transmit(trap, data);
    bench.port_unreachable(trap);
    assert_eq!(bench.verdict(TRAP), (Verdict::Refused, Some(Cause::RemoteRefused)));
    // Silence about the next one does not clear it: errors are limited.
    bench.wait(1);
    bench.transmit(trap, data);
    bench.verdict(TRAP);
    bench.wait(1);
    assert_eq!(bench.verdict(TRAP), (Verdict::Refused, Some(Cause::RemoteRefused)));
    bench.wait(5);
    bench.transmit(trap, data);
    bench.wait(1);
    assert_eq!(bench.verdict(TRAP), (Verdict::Ok, None));
    // They are due, and no longer sent.
    bench.wait(62);
    assert_eq!(bench.verdict(TRAP), (Verdict::Missing, Some(Cause::NeverConnected)));
}

#[test]
fn traps_that_reach_a_socket_are_ok_and_end_their_refusal() {
    let mut bench = Bench::of(&format!(
        "{IBM}roles = [\"network-management-system\"]\npeers.cluster = [\"10.20.0.5\"]\n"
    ));
    const TRAP: &str = "snmp-trap-162";
    let trap = datagram(Side::Server, "10.20.0.5", 162);
    bench.receive(trap, data);
    let last = Some(bench.now());
    bench.flow(trap).dropped = vec![Drop {
        at_device: false,
        netfilter: None,
        own: None,
        reason: "NO_SOCKET".into(),
        received: true,
        opening: false,
        datagram: true,
        packets: 1,
        first: last,
        last,
        interface: None,
        port: 0,
    }];
    assert_eq!(bench.verdict(TRAP), (Verdict::Refused, Some(Cause::NoListener)));
    bench.wait(1);
    bench.receive(trap, data);
    bench.flow(trap).sockets.received.packets = 1;
    assert_eq!(bench.verdict(TRAP), (Verdict::Ok, None));
    // Seen on the wire, and at no socket.
    bench.wait(i64::from(27 * 3600));
    bench.receive(trap, data);
    assert_eq!(bench.verdict(TRAP), (Verdict::Unknown, None));
}

#[test]
fn multicast_belongs_to_the_flows_of_which_the_document_says_so() {
    let config = format!(
        "{IBM}roles = [\"cluster\"]\npeers.cluster = [\"10.20.0.0/24\"]\npeers.dns-server = [\"10.20.0.5\"]\n"
    );
    for group in ["224.0.0.251", "ff02::fb", "255.255.255.255"] {
        let mut bench = Bench::of(&config);
        let sent = datagram(Side::Client, group, 5353);
        bench.transmit(sent, data);
        bench.transmit(datagram(Side::Client, group, 53), data);
        bench.assess();
        bench.wait(1);
        for (flow, expected) in [
            ("discovery-5353", Verdict::Ok),
            ("mdns-nodes-5353", Verdict::Ok),
            ("mdns-server-5353", Verdict::Ok),
            ("dns-53", Verdict::Idle),
        ] {
            assert_eq!(bench.of_side(flow, Side::Client), expected, "{flow} {group}");
        }
        assert_eq!(bench.assess().unexpected_total, 0, "{group}");
    }
    let mut bench = Bench::of(&config);
    let heard = datagram(Side::Server, "10.20.0.7", 5353);
    bench.receive(heard, data);
    bench.flow(heard).sockets.received.packets = 1;
    assert_eq!(bench.of_side("discovery-5353", Side::Server), Verdict::Ok);
}

#[test]
fn datagrams_to_every_machine_are_not_unexpected() {
    let groups = ["administration-server", "administration-console", "dedupe-server", "io-server"];
    let groups = groups.iter().chain(&["maintenance-server", "client"]);
    let peers = groups.map(|group| format!("peers.dlo-{group} = [\"10.20.0.0/24\"]\n"));
    let peers = peers.collect::<Vec<_>>().concat();
    let mut bench = Bench::of(&format!(
        "[[system]]\nproduct = \"arctera-dlo\"\nscenario = \"exclusive-boi\"\n\
         roles = [\"storage-location\"]\n{peers}"
    ));
    for (side, peer, port) in [
        (Side::Server, "10.99.0.7", 137),
        (Side::Server, "10.99.0.7", 138),
        (Side::Client, "10.20.0.7", 137),
        (Side::Client, "10.20.0.255", 137),
        (Side::Client, "255.255.255.255", 138),
    ] {
        bench.receive(datagram(side, peer, port), data);
    }
    assert_eq!(bench.assess().unexpected_total, 0);
    // A stranger at a port that nobody announces himself on.
    bench.receive(flow(Side::Server, "10.99.0.7", 139), data);
    assert_eq!(bench.assess().unexpected_total, 1);
}

#[test]
fn what_the_host_says_to_itself_is_no_traffic_with_others() {
    for (peers, own, expected) in [
        ("", "127.0.0.1", Verdict::Idle),
        ("peers.cluster = [\"10.20.0.0/24\"]\n", "10.20.0.7", Verdict::Idle),
        ("peers.cluster = [\"127.0.0.1\"]\n", "127.0.0.1", Verdict::Ok),
        ("peers.cluster = [\"10.20.0.0/24\", \"10.20.0.7\"]\n", "10.20.0.7", Verdict::Ok),
        ("peers.cluster = [\"br.example.com\"]\n", "10.20.0.7", Verdict::Ok),
    ] {
        let presence = "[[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n";
        let mut bench = Bench::of(&format!("{IBM}roles = [\"host\"]\n{peers}{presence}"));
        let address = "10.20.0.7".parse().unwrap();
        bench.names.insert("br.example.com".to_owned(), vec![address]);
        bench.accept(FlowId { loopback: true, ..flow(Side::Server, own, 50051) });
        assert_eq!(bench.verdict("agent-50051"), (expected, None), "{peers}");
        assert_eq!(bench.assess().unexpected_total, 0);
    }
}

#[test]
fn success_by_the_other_transport_ends_a_failure() {
    let mut bench = Bench::of(&format!(
        "{IBM}roles = [\"cluster\"]\npeers.kerberos-kdc = [\"10.20.0.5\", \"10.20.0.6\"]\n"
    ));
    const KERBEROS: &str = "kerberos-88";
    let (tcp, udp) = (flow(Side::Client, "10.20.0.5", 88), datagram(Side::Client, "10.20.0.5", 88));
    bench.is_answered(udp);
    assert_eq!(bench.verdict(KERBEROS), (Verdict::Ok, None));
    bench.wait(10);
    bench.transmit(tcp, syn);
    bench.verdict(KERBEROS);
    bench.wait(5);
    let blocked = (Verdict::Blocked, Some(Cause::NoAnswer));
    assert_eq!(bench.verdict(KERBEROS), blocked);
    // Another server is another matter.
    bench.is_answered(datagram(Side::Client, "10.20.0.6", 88));
    bench.assess();
    assert_eq!(bench.verdict(KERBEROS), blocked);
    bench.wait(10);
    bench.is_answered(udp);
    bench.assess();
    assert_eq!(bench.verdict(KERBEROS), (Verdict::Ok, None));
}

#[test]
fn success_of_an_alternative_ends_a_failure() {
    let mut bench = Bench::of(
        "[[system]]\nproduct = \"arctera-dlo\"\nscenario = \"exclusive-boi\"\n\
         roles = [\"dlo-administration-server\"]\npeers.storage-location = [\"10.20.0.5\"]\n\
         peers.sql-server = [\"10.20.0.6\"]\npeers.dedupe-storage-location = [\"10.20.0.7\"]\n",
    );
    let group = |bench: &mut Bench| {
        let is_it =
            |e: &Expectation| e.key.flow == "files-135" && e.key.peer_group == "storage-location";
        let index = bench.expectations.iter().position(is_it).unwrap();
        bench.assess().judgements[index].take().unwrap().verdict
    };
    let (first, second) =
        (flow(Side::Client, "10.20.0.5", 445), flow(Side::Client, "10.20.0.5", 139));
    bench.transmit(second, syn);
    bench.receive(second, rst);
    assert_eq!(group(&mut bench), Verdict::Refused);
    bench.wait(30);
    bench.connect(first);
    bench.assess();
    assert_eq!(group(&mut bench), Verdict::Idle);
}

#[test]
fn address_that_fails_while_another_of_its_name_works_is_a_note() {
    let config = CONFIG.replace(r#"["10.20.0.0/24"]"#, r#"["br.example.com", "10.20.0.9"]"#);
    let mut bench = Bench::of(&config);
    let addresses = ["10.20.0.7", "fd00:20::7"].map(|address| address.parse().unwrap());
    bench.names.insert("br.example.com".to_owned(), addresses.to_vec());
    const VDI: &str = "mssql-vdi-11113";
    let (four, six) =
        (flow(Side::Client, "10.20.0.7", 11113), flow(Side::Client, "fd00:20::7", 11113));
    for _ in 0..3 {
        bench.transmit(six, syn);
        bench.connect(four);
        bench.assess();
        bench.wait(5);
        let judgement = bench.judge(VDI);
        assert_eq!((judgement.verdict, judgement.failing_total), (Verdict::Ok, 0));
        let note = "to fd00:20::7 port 11113/tcp: attempts fail (no-answer), another address of \
                    br.example.com works";
        assert_eq!(judgement.reason.as_deref(), Some(note));
    }
    // When it does not make up for it any more, both are wrong.
    bench.wait(600);
    bench.transmit(six, syn);
    bench.transmit(four, syn);
    bench.assess();
    bench.wait(5);
    let judgement = bench.judge(VDI);
    assert_eq!((judgement.verdict, judgement.failing_total), (Verdict::Blocked, 2));
}

#[test]
fn machine_is_of_the_group_that_says_most_of_it() {
    let config = |portal: &str, proxies: &str| {
        format!(
            "[[system]]\nproduct = \"ibm-cloud-backup\"\nroles = [\"agent\"]\nscenario = \"commercial\"\n\
             peers.portal = [{portal}]\npeers.amp-proxy = [{proxies}]\n"
        )
    };
    let said = |config: &str, peer: &str| {
        let mut bench = Bench::of(config);
        bench
            .names
            .insert("evwebamp0901.example.com".to_owned(), vec!["10.2.118.12".parse().unwrap()]);
        bench.connect(flow(Side::Client, peer, 8087));
        [bench.verdict("portal-8087").0, bench.verdict("amp-8087").0]
    };
    let (network, proxies) = ("\"10.2.118.0/24\", \"10.0.82.12\"", "\"10.2.118.0/28\"");
    assert_eq!(said(&config(network, proxies), "10.2.118.12"), [Verdict::Idle, Verdict::Ok]);
    assert_eq!(said(&config(network, proxies), "10.2.118.99"), [Verdict::Ok, Verdict::Idle]);
    let named = "\"evwebamp0901.example.com\"";
    assert_eq!(said(&config(network, named), "10.2.118.12"), [Verdict::Idle, Verdict::Ok]);
    // Who is in both is in both.
    let both = config("\"10.2.118.12\"", "\"10.2.118.12\"");
    assert_eq!(said(&both, "10.2.118.12"), [Verdict::Ok, Verdict::Ok]);
    // Another system with the same peers knows of no proxies.
    let other = format!(
        "{}{}",
        config(network, proxies),
        "[[system]]\nname = \"z\"\nproduct = \"ibm-cloud-backup\"\nroles = [\"agent\"]\nscenario = \"commercial\"\npeers.portal = [\"10.2.118.0/24\", \"10.0.82.12\"]\n"
    );
    assert_eq!(said(&other, "10.2.118.12")[0], Verdict::Ok);
}

#[test]
fn session_with_an_unknown_address_may_be_with_a_name_whose_answers_change() {
    let config = CONFIG.replace(r#"["10.20.0.0/24"]"#, r#"["br.example.com"]"#);
    let due = "[[system.expect]]\nflow = \"mssql-*\"\nwithin = \"10s\"\n";
    let config = config.replacen("[[system.expect]]", &format!("{due}[[system.expect]]"), 1);
    let mut bench = Bench::of(&config);
    bench.names.insert("br.example.com".to_owned(), vec!["10.20.0.7".parse().unwrap()]);
    const VDI: &str = "mssql-vdi-11113";
    let missing = (Verdict::Missing, Some(Cause::NeverConnected));
    bench.assess();
    bench.wait(20);
    let other = flow(Side::Client, "10.20.0.8", 11113);
    bench.connect(other);
    assert_eq!(bench.verdict(VDI), missing);
    bench.ledger.note_changing(["br.example.com".to_owned()].into());
    let judgement = bench.judge(VDI);
    assert_eq!((judgement.verdict, judgement.cause), (Verdict::Unknown, None));
    assert!(judgement.reason.unwrap().contains("a name among the peers may stand for"));
    bench.wait(11);
    assert_eq!(bench.verdict(VDI), missing);
}
