//! The comments.

use super::*;

#[test]
fn name_of_a_process_stays_in_its_comment() {
    let evidence = host().listening(2548, "a\nproduct = \"x\"\u{7f}\u{1b}[31m");
    let proposals = proposals(&evidence);
    let text = reads(&evidence, &proposals);
    let line = r#"# - a\nproduct = \"x\"\u{7f}\u{1b}[31m listens on 2548/tcp (agent-2548)"#;
    assert!(text.contains(line), "{text}");
}

#[test]
fn comments_say_how_often_and_for_how_long() {
    let mut evidence = host().listening(2548, "").connected_from(2548, "10.1.2.3");
    evidence.watched = Some(60);
    for seen in evidence.flows.values_mut() {
        *seen = Seen { connections: 2, opened: 3, packets: 40 };
    }
    let mut flow = *evidence.flows.keys().next().unwrap();
    (flow.side, flow.service_port) = (Side::Client, 8086);
    evidence.flows.insert(flow, Seen { connections: 0, opened: 0, packets: 1 });
    let text = reads(&evidence, &proposals(&evidence));
    assert!(text.contains("packets were watched for 60 s"), "{text}");
    let seen = "    # its port 8086/tcp: 1 packet in 60 s\n    # this host's port 2548/tcp: \
                2 connections now, 40 packets, 3 connections opened in 60 s\n    \"10.1.2.3\",\n";
    assert!(text.contains(seen), "{text}");
}
