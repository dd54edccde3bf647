//! Peers: addresses, networks, names, and what only looks like one.

use super::{accepted, faults, help, with};

fn peers(list: &str) -> String {
    with(&format!("peers.cluster = [{list}]"))
}

#[test]
fn addresses_networks_and_names_are_peers() {
    for (written, meant) in [
        ("10.1.1.1", "10.1.1.1"),
        ("10.1.1.1/32", "10.1.1.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("FD00:20::1", "fd00:20::1"),
        ("fd00:20::/64", "fd00:20::/64"),
        ("::ffff:10.1.1.1", "10.1.1.1"),
        ("::ffff:10.1.1.0/120", "10.1.1.0/24"),
        ("BR.example.com.", "br.example.com"),
        ("backup-01", "backup-01"),
        ("3com", "3com"),
        ("10.0.0.example", "10.0.0.example"),
    ] {
        let config = accepted(&peers(&format!("\"{written}\"")));
        assert_eq!(config.systems[0].peers["cluster"][0].to_string(), meant);
    }
}

#[test]
fn what_only_looks_like_a_peer_is_a_fault() {
    let long = format!("{}.example", "a".repeat(64));
    let longer = "a.".repeat(127) + "aa";
    for (written, why) in [
        ("10.0.0.300", "is not an IPv4 address"),
        ("10.0.0", "is not an IPv4 address"),
        ("010.0.0.1", "is not an IPv4 address"),
        ("10.0.0.0/33", "has no such prefix length"),
        ("10.0.0.0/+8", "has no such prefix length"),
        ("10.0.0.0/", "has no such prefix length"),
        ("fd00::/129", "has no such prefix length"),
        ("10.0.0/8", "is not a network"),
        ("br.example.com/24", "is not a network"),
        ("10.0.0.5/24", "has host bits set"),
        ("fd00::1/64", "has host bits set"),
        ("0.0.0.0", "is no machine's address"),
        ("::", "is no machine's address"),
        ("fe80::1%eth0", "has a zone"),
        ("fd00::zz", "is not an IPv6 address"),
        ("br.example.com:50051", "has a port, and a peer has none"),
        ("[fd00::1]:443", "has a port, and a peer has none"),
        ("[fd00::1]", "is not an IPv6 address"),
        ("https://br.example.com", "is a URL"),
        ("*", "is not a host name"),
        ("", "is empty"),
        (" 10.0.0.1", "is not a host name: it holds ` `"),
        ("my_host", "is not a host name: it holds `_`"),
        ("größe", "is not a host name: it holds `ö`"),
        ("-a.example", "is not a host name: a label neither starts nor ends with `-`"),
        ("a-.example", "is not a host name: a label neither starts nor ends with `-`"),
        ("a..example", "is not a host name: between dots stand 1 to 63 characters"),
        (".", "is not a host name: between dots stand 1 to 63 characters"),
        (&long, "is not a host name: between dots stand 1 to 63 characters"),
        (&longer, "is longer than 253 characters"),
    ] {
        let lines = faults(&peers(&format!("\"{written}\"")));
        let start = "4:18: system[0].peers.cluster[0]: `";
        assert!(lines.starts_with(start) && lines.ends_with(why), "{lines}");
    }
}

#[test]
fn host_bits_name_the_network() {
    let help = help(&peers("\"10.0.0.5/24\""));
    assert_eq!(help, "the network is `10.0.0.0/24`; the machine alone is `10.0.0.5`");
}

#[test]
fn a_peer_stands_once_however_it_is_written() {
    let text = peers("\"10.1.1.1\", \"a.example\", \"10.1.1.1/32\", \"A.example.\"");
    let expected = "4:43: system[0].peers.cluster[2]: `10.1.1.1/32` stands here twice\n\
                    4:58: system[0].peers.cluster[3]: `A.example.` stands here twice";
    assert_eq!(faults(&text), expected);
}

#[test]
fn peers_play_roles_of_the_product() {
    let text = with("peers.clutser = [\"10.1.1.1\"]");
    let expected = "4:7: system[0].peers.clutser: ibm-backup-recovery has no role `clutser`";
    assert_eq!(faults(&text), expected);
    assert!(help(&text).starts_with("did you mean `cluster`?"));
}

#[test]
fn a_lone_peer_wants_brackets() {
    let text = with("peers.cluster = \"10.1.1.1\"");
    let expected = "4:17: system[0].peers.cluster: expected an array of strings, found a string";
    assert_eq!(faults(&text), expected);
}
