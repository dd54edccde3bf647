//! The comparison finds every kind of difference.

use super::{
    cells::Ports,
    facts::{self, HEADER, Parts},
    reading::{Entry, NOTHING, Pairs, Reading, differences},
};

const FACTS: [&str; 4] = [
    "p\td\tone\ta\tb\ttcp\t80\t80\t-\trequired\t-\t-\n",
    "p\td\tone\ta\tc\ttcp\t80\t80\t-\trequired\t-\t-\n",
    "p\td\ttwo\ta\tb\tudp\t135\t139\t-\trequired\t-\t-\n",
    "p\td\ttwo\ta\tb\tudp\tdynamic\tdynamic\t-\trequired\t-\t-\n",
];
const PARTS: Parts = Parts { section: true, scenario: true, endpoint: true };

fn document() -> Reading {
    let pairs = |to: &[&str]| -> Pairs { to.iter().map(|to| ("a".into(), (*to).into())).collect() };
    let mut reading = Reading::default();
    for (line, section, transport, ports, pairs) in [
        (1, "one", "tcp", Ports::Numbers(80, 80), pairs(&["b", "c"])),
        (2, "two", "udp", Ports::Numbers(135, 139), Pairs::new()),
        (3, "two", "udp", Ports::Dynamic, pairs(&["b"])),
    ] {
        let entry = Entry {
            section: section.to_owned(),
            scenario: NOTHING.to_owned(),
            transport: transport.to_owned(),
            ports,
            endpoint: NOTHING.to_owned(),
        };
        reading.add(line, entry, pairs);
    }
    reading
}

fn found(facts: &str) -> Vec<String> {
    let facts = facts::read(&format!("{HEADER}\n{facts}"));
    differences("d", &document(), &facts::reading(&facts, "d", PARTS))
}

#[test]
fn equal_facts_have_no_difference() {
    assert_eq!(found(&FACTS.concat()), Vec::<String>::new());
    let other = "p\tother\tone\ta\tb\ttcp\t81\t81\t-\trequired\t-\t-\n";
    assert_eq!(found(&(FACTS.concat() + other)), Vec::<String>::new());
}

#[test]
fn every_change_of_a_fact_is_a_difference() {
    let facts = FACTS.concat();
    let pair = "d: one: tcp/80 has 1 pairs instead of 2 (line 1): missing";
    for (changed, expected) in [
        (facts.replace(FACTS[0], ""), vec![format!("{pair} a to b; invented none")]),
        (facts.replace(FACTS[2], ""), vec!["d: two: udp/135-139 is missing (line 2)".to_owned()]),
        (
            facts.clone() + "p\td\tthree\ta\tb\ttcp\t81\t81\t-\trequired\t-\thost\n",
            vec!["d: three: tcp/81 at host is invented".to_owned()],
        ),
        (
            facts.replace("\t139\t", "\t138\t"),
            vec![
                "d: two: udp/135-139 is missing (line 2)".to_owned(),
                "d: two: udp/135-138 is invented".to_owned(),
            ],
        ),
        (
            facts.replace("\tdynamic\tdynamic\t-", "\tdynamic\tdynamic\tsome"),
            vec![
                "d: two: udp/dynamic is missing (line 3): a to b".to_owned(),
                "d: two: udp/dynamic in some is invented".to_owned(),
            ],
        ),
        (
            facts.replace("\ta\tc\t", "\tc\ta\t"),
            vec![
                "d: one: tcp/80 has 2 pairs instead of 2 (line 1): missing a to c; invented c to a"
                    .to_owned(),
            ],
        ),
    ] {
        assert_ne!(changed, facts);
        assert_eq!(found(&changed), expected);
    }
}

#[test]
fn unread_rows_are_differences() {
    let mut document = document();
    document.unread.push((7, "a row".to_owned()));
    let facts = facts::read(&format!("{HEADER}\n{}", FACTS.concat()));
    let facts = facts::reading(&facts, "d", PARTS);
    assert_eq!(differences("d", &document, &facts), ["d: line 7 cannot be read: a row"]);
}

#[test]
fn counts_leave_out_what_is_not_counted() {
    let facts = facts::read(&format!(
        "{HEADER}\n{}p\td\tthree\ta\tb\ttcp\t80\t80\t-\trequired\t-\thost\n",
        FACTS.concat()
    ));
    for (section, endpoint, expected) in [(false, false, 4), (true, false, 5), (false, true, 5)] {
        let parts = Parts { section, scenario: true, endpoint };
        assert_eq!(facts::count(&facts, "d", None, parts), expected);
    }
    let parts = Parts { section: true, scenario: true, endpoint: true };
    assert_eq!(facts::count(&facts, "d", Some("some"), parts), 0);
}
