//! Alerts of flows.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpStream},
    time::Duration,
};

use tests::{
    Daemon, HOST4, Monitoring, Open, PEER4, Pair, TcpInfo, attempt,
    dns::{DnsServer, Says},
    listen, turned_away, until,
};

use super::{NAME, PATIENCE, SOON, at, fire, fire_within, talk};

/// The host's own address among machines that no config lists, except one by its name.
const AMONG_GUESTS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

/// Where the name leads to afterwards.
const MOVED: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 77));

/// Until the retransmissions of a session say that it is stuck.
const STUCK: Duration = Duration::from_secs(60);

pub(super) fn every_other_failure_fires(
    pair: &Pair,
    daemon: &Daemon<'_>,
    monitoring: &Monitoring<'_>,
    dns: &DnsServer,
) {
    turned_away(&pair.peer, at(HOST4, 32005), PATIENCE);
    talk(pair, at(AMONG_GUESTS, 50051));
    dns.says(NAME, Says::Addresses(vec![MOVED]));
    until("the name's new address", SOON, || {
        let names = daemon.report().names;
        if names.iter().any(|name| name.addresses == [MOVED]) { Ok(()) } else { Err(names) }
    });
    // Programs may use the old address for as long as the answer held.
    until("the old address", SOON, || {
        talk(pair, at(AMONG_GUESTS, 50051));
        let unexpected = daemon.next_report().unexpected;
        let is_moved = unexpected.iter().any(|it| it.cause == "address-changed");
        if is_moved { Ok(()) } else { Err(unexpected) }
    });
    for unexpected in [
        at(AMONG_GUESTS, 32107),
        at(PEER4, 50051),
        at(HOST4, 808),
        at(HOST4, 32004),
        at(HOST4, 32007),
    ] {
        talk(pair, unexpected);
    }
    daemon.reload("[[system]]\n");
    fire(
        monitoring,
        &[
            "BackupflowAddressChanged",
            "BackupflowConfigReloadFailed",
            "BackupflowFlowMissing",
            "BackupflowFlowRefused",
            "BackupflowLegacyPort",
            "BackupflowNameUnresolved",
            "BackupflowPlaintextPort",
            "BackupflowPortMoved",
            "BackupflowProbeFailed",
            "BackupflowUnexpectedDirection",
            "BackupflowUnexpectedPeer",
        ],
    );
}

/// A session of the host, which the firewall of the peer has forgotten by the time it goes on.
#[derive(Debug)]
pub(super) struct Interrupted {
    host: TcpStream,
    _peer: TcpStream,
}

impl Interrupted {
    pub(super) fn open(pair: &Pair) -> Self {
        pair.host.usual_tcp();
        pair.peer.nftables(
            "table inet forgetful {\nchain c {\ntype filter hook input priority 0\n\
             tcp dport 11113 ct state invalid drop\n}\n}\n",
        );
        pair.peer.sysctl("net/netfilter/nf_conntrack_tcp_loose", "0");
        pair.peer.sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", "5");
        let to = at(PEER4, 11113);
        let service = listen(&pair.peer, to);
        let Open { client, server } =
            Open::of(attempt(&pair.host, to, PATIENCE).unwrap(), &service);
        (&client).write_all(&[1; 100]).unwrap();
        (&server).read_exact(&mut [0; 100]).unwrap();
        Self { host: client, _peer: server }
    }

    /// Goes on, in vain.
    pub(super) fn breaks(&self, monitoring: &Monitoring<'_>) {
        until("silence", SOON, || match TcpInfo::of(&self.host).heard {
            heard if heard > Duration::from_millis(11_500) => Ok(()),
            heard => Err(heard),
        });
        (&self.host).write_all(&[1; 100]).unwrap();
        fire_within(monitoring, &["BackupflowSessionInterrupted"], STUCK);
    }
}
