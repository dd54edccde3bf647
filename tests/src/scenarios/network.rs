//! The network of the scenarios: the host, a router, the peers behind it, and a container behind the host.

use std::fmt::Write as _;

use super::{
    plan::{FIRST, HOST, Net, ROUTER, STRANGER, Scenario, Side, Translation, address, ports},
    steps::Kind,
};
use crate::{
    Namespace,
    net::{HOST_MAC, PEER_MAC, join, neighbours},
};

const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];
const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 4];
const GATE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
const CONTAINER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 6];

/// Containers: the first is masqueraded and has what is published, the second has an address of its own.
pub(crate) const HIDDEN_CONTAINER: u16 = 2;
pub(crate) const OPEN_CONTAINER: u16 = 3;

/// The machines.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) host: Namespace,
    pub(crate) router: Namespace,
    pub(crate) peer: Namespace,
    pub(crate) container: Namespace,
}

impl Network {
    /// One for these scenarios.
    pub(crate) fn new(scenarios: &[Scenario]) -> Self {
        let [host, router, peer, container] =
            ["host", "router", "peer", "container"].map(Namespace::new);
        join(&host, "eth0", HOST_MAC, &router, "eth0", NEAR_MAC);
        join(&router, "eth1", FAR_MAC, &peer, "eth0", PEER_MAC);
        join(&host, "veth1", GATE_MAC, &container, "eth0", CONTAINER_MAC);
        for namespace in [&host, &router, &peer, &container] {
            namespace.sysctl("net/ipv4/ip_forward", "1");
            namespace.sysctl("net/ipv6/conf/all/forwarding", "1");
            // Each SYN is answered once.
            namespace.sysctl("net/ipv4/tcp_synack_retries", "0");
        }
        let network = Self { host, router, peer, container };
        for is_ipv6 in [false, true] {
            network.connect(is_ipv6, scenarios);
        }
        network.host.nft(&host_rules(scenarios));
        network.router.nft(&router_rules(scenarios));
        network
    }

    fn connect(&self, is_ipv6: bool, scenarios: &[Scenario]) {
        let Self { host, router, peer, container } = self;
        let (one, many, nodad) = if is_ipv6 { (128, 64, " nodad") } else { (32, 24, "") };
        let [near, behind, containers] = [Net::Near, Net::Behind, Net::Containers]
            .map(|net| move |number| address(net, is_ipv6, number));
        let there: Vec<u16> = scenarios.iter().map(|it| it.number).chain([STRANGER]).collect();
        let near_all: Vec<_> = there.iter().map(|&number| near(number)).collect();
        let behind_all: Vec<_> = there.iter().map(|&number| behind(number)).collect();
        let via = |device, mac, gate| neighbours(device, mac, &[gate]);
        host.ip(&format!(
            "address add {}/{many} dev eth0{nodad}\naddress add {}/{many} dev veth1{nodad}\n\
             {}{}{}route add default via {}",
            near(HOST),
            containers(HOST),
            neighbours("eth0", NEAR_MAC, &near_all),
            via("eth0", NEAR_MAC, near(ROUTER)),
            neighbours("veth1", CONTAINER_MAC, &[HIDDEN_CONTAINER, OPEN_CONTAINER].map(containers)),
            near(ROUTER),
        ));
        router.ip(&format!(
            "address add {}/{one} dev eth0{nodad}\naddress add {}/{many} dev eth1{nodad}\n\
             route add {}/{one} dev eth0\nroute add {}/{many} dev eth1\n\
             {}route add {}/{many} via {} dev eth0\n{}{}",
            near(ROUTER),
            behind(ROUTER),
            near(HOST),
            near(0),
            via("eth0", HOST_MAC, near(HOST)),
            containers(0),
            near(HOST),
            neighbours("eth1", PEER_MAC, &near_all),
            neighbours("eth1", PEER_MAC, &behind_all),
        ));
        let mut own = format!(
            "{}address add {}/{many} dev eth0{nodad}\nroute add default via {}\n",
            via("eth0", FAR_MAC, behind(ROUTER)),
            behind(FIRST - 1),
            behind(ROUTER)
        );
        for address in near_all.iter().chain(&behind_all) {
            writeln!(own, "address add {address}/{one} dev eth0{nodad}").unwrap();
        }
        peer.ip(&own);
        container.ip(&format!(
            "address add {}/{many} dev eth0{nodad}\naddress add {}/{many} dev eth0{nodad}\n\
             {}route add default via {}",
            containers(HIDDEN_CONTAINER),
            containers(OPEN_CONTAINER),
            via("eth0", GATE_MAC, containers(HOST)),
            containers(HOST),
        ));
    }
}

fn range(kind: Kind) -> String {
    let (first, last) = ports(kind);
    format!("{first}-{last}")
}

/// A statement for each scenario of a translation.
fn each(
    scenarios: &[Scenario],
    side: Side,
    translation: Translation,
    rule: impl Fn(&Scenario) -> String,
) -> String {
    let those = scenarios.iter();
    let those = those.filter(|it| (it.flow.side, it.translation) == (side, translation));
    those.map(|it| rule(it) + "\n").collect()
}

const fn family(scenario: &Scenario) -> &'static str {
    if scenario.is_ipv6 { "ip6" } else { "ip" }
}

fn host_rules(scenarios: &[Scenario]) -> String {
    let (drops_in, drops_out) = (range(Kind::FirewallIn), range(Kind::FirewallOut));
    let redirected = each(scenarios, Side::Server, Translation::Redirect, |it| {
        let version = if it.is_ipv6 { "ipv6" } else { "ipv4" };
        format!("meta nfproto {version} tcp dport {} redirect to :{}", it.port(), it.listens())
    });
    let published = each(scenarios, Side::Server, Translation::Published, |it| {
        let container = it.address(Net::Containers, HIDDEN_CONTAINER);
        let to = std::net::SocketAddr::new(container, it.listens());
        format!("iifname eth0 tcp dport {} dnat {} to {to}", it.port(), family(it))
    });
    let destinations = each(scenarios, Side::Client, Translation::Destination, |it| {
        let (family, asked) = (family(it), it.asked().ip());
        format!("{family} daddr {asked} dnat {family} to {}", it.peer())
    });
    let hidden = |is_ipv6| address(Net::Containers, is_ipv6, HIDDEN_CONTAINER);
    // Where the service's port is another behind it, the firewall drops before.
    let early = [Translation::Redirect, Translation::Published].map(|translation| {
        each(scenarios, Side::Server, translation, |it| {
            format!("iifname eth0 tcp sport {drops_in} tcp dport {} drop", it.port())
        })
    });
    let leaves = |hook: &str| {
        format!(
            "type filter hook {hook}\noifname eth0 tcp sport {drops_out} drop\n\
             oifname eth0 tcp dport {drops_out} drop"
        )
    };
    format!(
        "chain first {{\ntype filter hook prerouting priority raw\n{}}}\n\
         chain enters {{\ntype filter hook input priority filter\niifname eth0 tcp sport {drops_in} drop\n\
         iifname eth0 tcp dport {drops_in} drop\n}}\nchain out {{\n{}\n}}\nchain through {{\n{}\n}}\n\
         chain nat_in {{\ntype nat hook prerouting priority dstnat\n{redirected}{published}}}\n\
         chain nat_out {{\ntype nat hook output priority -100\n{destinations}}}\n\
         chain masks {{\ntype nat hook postrouting priority srcnat\n\
         oifname eth0 ip saddr {} masquerade\noifname eth0 ip6 saddr {} masquerade\n}}\n",
        early.concat(),
        leaves("output priority filter"),
        leaves("forward priority filter"),
        hidden(false),
        hidden(true),
    )
}

fn router_rules(scenarios: &[Scenario]) -> String {
    let (lost, late) = (range(Kind::Lost), range(Kind::Late));
    let first = |family: &str| {
        let asker = format!("{family} saddr . tcp sport . tcp dport");
        format!(
            "tcp sport {late} tcp flags syn / syn,ack {asker} != @seen_{family} \
             add @seen_{family} {{ {asker} }} drop"
        )
    };
    let passed_on = each(scenarios, Side::Client, Translation::Router, |it| {
        let (family, to) = (family(it), it.peer_itself());
        format!("{family} daddr {} tcp dport {} dnat {family} to {to}", it.peer(), it.port())
    });
    let (behind4, behind6) = (address(Net::Behind, false, 0), address(Net::Behind, true, 0));
    format!(
        "set seen_ip {{\ntype ipv4_addr . inet_service . inet_service\nflags dynamic\nsize 65535\n}}\n\
         set seen_ip6 {{\ntype ipv6_addr . inet_service . inet_service\nflags dynamic\nsize 65535\n}}\n\
         chain first {{\ntype filter hook prerouting priority raw\n\
         iifname eth0 tcp sport {lost} drop\niifname eth0 tcp dport {lost} drop\n{}\n{}\n}}\n\
         chain nat_in {{\ntype nat hook prerouting priority dstnat\n{passed_on}}}\n\
         chain masks {{\ntype nat hook postrouting priority srcnat\n\
         oifname eth0 ip saddr {behind4}/24 masquerade\n\
         oifname eth0 ip6 saddr {behind6}/64 masquerade\n}}\n",
        first("ip"),
        first("ip6"),
    )
}
