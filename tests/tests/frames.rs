//! Odd frames, sent as they are.

use std::net::{Ipv4Addr, Ipv6Addr};

use tests::{
    AGENT, Daemon, Flow, Pair, RawSocket, Wire, config,
    frame::{
        ACK, IPV4, IPV6, QINQ, SYN, TCP, UDP, VLAN, ethernet, extension, fragment, ipv4, ipv6, tcp,
        udp,
    },
};

const SERVED: Flow<'_> = Flow("scan-32006", "server", "client");
const HERE4: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
const THERE4: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 2);
const HERE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 1);
const THERE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 2);
const NOTHING: Wire = Wire::new(0, 0);

/// What was received of a flow, and what was lost, after these frames.
#[track_caller]
fn after(frames: &[Vec<u8>], flow: Flow<'_>, received: Wire, lost: &[(&str, u64)]) {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, &[config::SQL_SERVER, config::BACKUP_SERVER].concat());
    let before = pair.host.counted("eth0");
    let raw = RawSocket::new(&pair.peer, "eth0");
    for frame in frames {
        raw.send(frame);
    }
    let crossed = pair.host.counted("eth0").since(before);
    assert_eq!(crossed.received.packets, frames.len() as u64);
    assert_eq!(crossed.transmitted, NOTHING);
    lost_and_counted(&daemon, flow, received, lost);
}

fn lost_and_counted(daemon: &Daemon<'_>, flow: Flow<'_>, received: Wire, lost: &[(&str, u64)]) {
    daemon.settles(&format!("{received:?} and {lost:?}"), |report| {
        let counted = flow.counted(report);
        let losses = report.lost();
        if counted == (received, NOTHING) && losses == lost {
            Ok(())
        } else {
            Err(format!("{counted:?} {losses:?}"))
        }
    });
}

fn opening4() -> Vec<u8> {
    ipv4(THERE4, HERE4, TCP, 0, 0, &tcp(40000, 50051, SYN, &[]))
}

#[test]
fn tags_count_four_bytes_each() {
    let frames = [
        ethernet(&[], IPV4, &opening4()),
        ethernet(&[VLAN], IPV4, &opening4()),
        ethernet(&[QINQ, VLAN], IPV4, &opening4()),
        // The kernel takes the outer one off, two are looked through.
        ethernet(&[QINQ, VLAN, VLAN], IPV4, &opening4()),
        ethernet(&[VLAN], IPV6, &ipv6(THERE6, HERE6, TCP, &tcp(40000, 50051, SYN, &[7; 100]))),
        ethernet(&[QINQ, VLAN, VLAN, VLAN], IPV4, &opening4()),
    ];
    after(&frames, AGENT, Wire::new(5, 54 + 58 + 62 + 66 + 178), &[("unparsable", 1)]);
}

#[test]
fn ipv6_extension_headers_are_looked_through() {
    const HOP_BY_HOP: u8 = 0;
    const DESTINATION: u8 = 60;
    let segment = tcp(40000, 50051, SYN, &[7; 10]);
    let many = |count: u32| {
        let last = extension(TCP, &segment);
        (1..count).fold(last, |inner, _| extension(DESTINATION, &inner))
    };
    let two = extension(DESTINATION, &extension(TCP, &segment));
    let frames = [
        ethernet(&[], IPV6, &ipv6(THERE6, HERE6, HOP_BY_HOP, &two)),
        ethernet(&[VLAN], IPV6, &ipv6(THERE6, HERE6, HOP_BY_HOP, &two)),
        ethernet(&[], IPV6, &ipv6(THERE6, HERE6, DESTINATION, &many(6))),
        ethernet(&[], IPV6, &ipv6(THERE6, HERE6, DESTINATION, &many(7))),
    ];
    let plain = 14 + 40 + 20 + 10;
    let bytes = (plain + 16) + (plain + 16 + 4) + (plain + 48);
    after(&frames, AGENT, Wire::new(3, bytes), &[("unparsable", 1)]);
}

#[test]
fn ipv4_options_are_looked_over() {
    let frames = [1_u8, 5, 10].map(|options| {
        let packet = ipv4(THERE4, HERE4, TCP, 0, options, &tcp(40000, 50051, SYN, &[]));
        ethernet(&[], IPV4, &packet)
    });
    after(&frames, AGENT, Wire::new(3, 3 * 54 + 4 * (1 + 5 + 10)), &[]);
}

#[test]
fn first_fragment_counts_and_the_others_are_told() {
    const MORE: u16 = 0x2000;
    const FRAGMENT: u8 = 44;
    let datagram = udp(40000, 32006, &[9; 3000]);
    let pieces = [&datagram[..1440], &datagram[1440..2880], &datagram[2880..]];
    let train4 = [(MORE, pieces[0]), (MORE + 180, pieces[1]), (360, pieces[2])]
        .map(|(field, piece)| ethernet(&[], IPV4, &ipv4(THERE4, HERE4, UDP, field, 0, piece)));
    let train6 = [(0, true, pieces[0]), (180, true, pieces[1]), (360, false, pieces[2])].map(
        |(offset, more, piece)| {
            let piece = fragment(UDP, offset, more, piece);
            ethernet(&[], IPV6, &ipv6(THERE6, HERE6, FRAGMENT, &piece))
        },
    );
    // A fragment that is the whole.
    let whole = fragment(UDP, 0, false, &udp(40000, 32006, &[9; 10]));
    let whole = ethernet(&[], IPV6, &ipv6(THERE6, HERE6, FRAGMENT, &whole));
    let frames = [train4.as_slice(), &train6, &[whole]].concat();
    let bytes = (14 + 20 + 1440) + (14 + 40 + 8 + 1440) + (14 + 40 + 8 + 8 + 10);
    after(&frames, SERVED, Wire::new(3, bytes), &[("fragment", 4)]);
}

#[test]
fn what_cannot_be_parsed_is_told() {
    let four = opening4();
    let six = ipv6(THERE6, HERE6, TCP, &tcp(40000, 50051, SYN, &[]));
    let with = |packet: &[u8], at: usize, byte: u8| {
        let mut packet = packet.to_vec();
        packet[at] = byte;
        packet
    };
    let malformed = [
        ethernet(&[], IPV4, &four[..10]),
        ethernet(&[], IPV4, &four[..19]),
        // A header of four words, one of another version, ports and flags cut off.
        ethernet(&[], IPV4, &with(&four, 0, 0x44)),
        ethernet(&[], IPV4, &with(&four, 0, 0x65)),
        ethernet(&[], IPV4, &four[..23]),
        ethernet(&[], IPV4, &four[..33]),
        ethernet(&[], IPV6, &six[..20]),
        ethernet(&[], IPV6, &with(&six, 0, 0x40)),
        ethernet(&[], IPV6, &six[..43]),
        // An extension header that is longer than the packet.
        ethernet(&[], IPV6, &ipv6(THERE6, HERE6, 60, &[6, 200, 0, 0, 0, 0, 0, 0])),
        ethernet(&[], IPV6, &ipv6(THERE6, HERE6, 44, &[6, 0, 0])),
        // A second tag with nothing behind it.
        ethernet(&[QINQ], VLAN, &[0, 101]),
    ];
    let unrelated = [
        ethernet(&[], 0x0806, &[0; 28]),
        ethernet(&[], IPV4, &ipv4(THERE4, HERE4, 1, 0, 0, &[8, 0, 0, 0, 0, 1, 0, 1])),
        ethernet(&[], IPV4, &ipv4(THERE4, HERE4, TCP, 0, 0, &tcp(40000, 22, SYN, &[]))),
        ethernet(&[], IPV4, &ipv4(THERE4, HERE4, UDP, 0, 0, &udp(40000, 50051, &[1]))),
        ethernet(&[VLAN], 0x88cc, &[0; 40]),
    ];
    let frames = [malformed.as_slice(), &unrelated].concat();
    after(&frames, AGENT, NOTHING, &[("unparsable", malformed.len() as u64)]);
}

#[test]
fn segment_of_an_unknown_connection_is_told_and_opens_nothing() {
    let data = |from| {
        let segment = tcp(40000, 50051, ACK, &[5; 100]);
        ethernet(&[], IPV4, &ipv4(from, HERE4, TCP, 0, 0, &segment))
    };
    let answer = ethernet(&[], IPV4, &ipv4(THERE4, HERE4, TCP, 0, 0, &tcp(50051, 40000, ACK, &[])));
    let opening = ethernet(&[], IPV4, &opening4());
    // The flow is the peer's: what comes after the opening belongs to it, from any port.
    let frames = [data(THERE4), answer, opening, data(THERE4), data(Ipv4Addr::new(10, 20, 0, 9))];
    after(&frames, AGENT, Wire::new(2, 54 + 154), &[("unplaced", 3)]);
}

#[test]
fn headers_outside_the_linear_part_are_read() {
    let pair = Pair::new();
    for end in [&pair.host, &pair.peer] {
        end.ip("link set eth0 mtu 9000");
    }
    let daemon = Daemon::start(&pair.host, &[config::SQL_SERVER, config::BACKUP_SERVER].concat());
    let raw = RawSocket::new(&pair.peer, "eth0");
    let segment = tcp(40000, 50051, SYN, &[7; 5000]);
    let four = ethernet(&[], IPV4, &ipv4(THERE4, HERE4, TCP, 0, 0, &segment));
    let six = ethernet(&[], IPV6, &ipv6(THERE6, HERE6, TCP, &segment));
    // The link header, half of the addresses, the ports and not the flags, all.
    let splits = [14, 30, 38, 54, 70];
    for linear in splits {
        raw.send_split(&four, linear);
        raw.send_split(&six, if linear < 30 { linear } else { linear + 20 });
    }
    let bytes = (four.len() + six.len()) as u64;
    let count = splits.len() as u64;
    lost_and_counted(&daemon, AGENT, Wire::new(2 * count, count * bytes), &[]);
}
