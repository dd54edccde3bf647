//! Syntax, types and unknown keys.

use super::{accepted, faults, help, refused, with};

#[test]
fn a_syntax_error_and_an_unknown_key_come_together() {
    let text = with("colour = 1\nname = \"open\n");
    let expected = "4:1: system[0].colour: unknown key `colour`\n\
                    5:13: invalid basic string, expected `\"`";
    assert_eq!(faults(&text), expected);
}

#[test]
fn several_syntax_errors_come_together() {
    let text = with("name = 1__2\n[web]\nlisten = 2024-13-01");
    let expected = "4:9: `_` may only go between digits, expected nothing\n\
                    6:10: invalid date, expected month between 01 and 12";
    assert_eq!(faults(&text), expected);
}

#[test]
fn what_a_broken_line_may_have_said_is_not_missed() {
    let text = "[[system]]\nproduct \"ibm-backup-recovery\"\nroles = [\"host\"]\n";
    assert_eq!(refused(text).faults.len(), 1, "{}", refused(text));
    assert_eq!(refused(text).faults[0].line, Some(2));
}

#[test]
fn what_another_table_lacks_is_missed_all_the_same() {
    let text = with("name = 1__2\n[[system]]\nroles = [\"host\"]\n[[system.expect]]\nflow = \"*\"");
    let expected = "4:9: `_` may only go between digits, expected nothing\n\
                    5:1: system[1].product: `product` is missing\n\
                    7:1: system[1].expect[0].within: `within` is missing";
    assert_eq!(faults(&text), expected);
}

#[test]
fn keys_under_a_broken_header_are_not_blamed() {
    let text = with("[web\nlisten = \"127.0.0.1:1\"");
    assert_eq!(faults(&text), "4:5: unclosed table, expected `]`");
}

#[test]
fn an_error_at_the_end_of_the_text_points_at_what_is_written() {
    let text = with("name = \"x\"\nsections = [\"agent_communication\"\n\n\n");
    assert_eq!(faults(&text), "5:34: unclosed array, expected `]`");
}

#[test]
fn a_key_given_twice_is_a_fault() {
    let text = with("name = \"a\"\nname = \"b\"");
    assert_eq!(faults(&text), "5:1: duplicate key");
}

#[test]
fn unknown_keys_are_faults_in_every_table() {
    let text = format!(
        "colour = 1\n{}",
        with(
            "naem = \"a\"\n[[system.expect]]\nflow = \"*\"\nwithin = \"1h\"\noften = 1\n[web]\nport = 1\n[kernel]\nflow = 1\n[\"a b\"]"
        )
    );
    let expected = "1:1: colour: unknown key `colour`\n\
                    5:1: system[0].naem: unknown key `naem`\n\
                    9:1: system[0].expect[0].often: unknown key `often`\n\
                    11:1: web.port: unknown key `port`\n\
                    13:1: kernel.flow: unknown key `flow`\n\
                    14:2: \"a b\": unknown key `a b`";
    assert_eq!(faults(&text), expected);
}

#[test]
fn a_misspelt_key_gets_a_suggestion() {
    let help = help(&with("[kernel]\nflow = 1"));
    assert_eq!(help, "did you mean `flows`? known keys: `disable`, `flows`, `pin`");
}

#[test]
fn wrong_types_name_what_was_expected_and_found() {
    let text = "[[system]]\nname = 1\nproduct = true\nroles = 1.5\nsections = {}\nscenario = 2024-01-01\n\
                peers = []\nports = \"a\"\nexpect = 1\n";
    let expected = "2:8: system[0].name: expected a string, found an integer\n\
                    3:11: system[0].product: expected a string, found a boolean\n\
                    4:9: system[0].roles: expected an array of strings, found a float\n\
                    5:12: system[0].sections: expected an array of strings, found a table\n\
                    6:12: system[0].scenario: expected a string, found a date or time\n\
                    7:9: system[0].peers: expected a table, found an array\n\
                    8:9: system[0].ports: expected a table, found a string\n\
                    9:10: system[0].expect: expected an array of tables, found an integer";
    assert_eq!(faults(text), expected);
}

#[test]
fn an_item_of_a_wrong_type_is_named() {
    let text = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"host\", 7]\n";
    let expected = "3:18: system[0].roles[1]: expected a string, found an integer";
    assert_eq!(faults(text), expected);
}

#[test]
fn one_bracket_and_two_are_told_apart() {
    let text = "[system]\nproduct = \"ibm-backup-recovery\"\n";
    let expected = "1:1: system: expected an array of tables, found a table";
    assert_eq!(faults(text), expected);
    assert_eq!(help(text), "write `[[system]]`, with two brackets");
    let text = with("[[web]]");
    assert_eq!(faults(&text), "4:1: web: expected a table, found an array");
    assert_eq!(help(&text), "write `[web]` once");
}

#[test]
fn inline_tables_are_as_good() {
    let text = "system = [{product = \"ibm-backup-recovery\", roles = [\"host\"]}]\nweb = {listen = \"[::1]:80\"}";
    assert_eq!(accepted(text).web.listen.to_string(), "[::1]:80");
}

#[test]
fn columns_count_characters_without_a_byte_order_mark() {
    let text = with("\"größe\".x = 1");
    assert_eq!(faults(&text), "4:1: system[0].\"größe\": unknown key `größe`");
    let text = with("peers.cluster = [\"größe\", \"*\"]");
    let lines = faults(&text);
    let second = lines.lines().nth(1).unwrap();
    assert_eq!(second, "4:27: system[0].peers.cluster[1]: `*` is not a host name");
    assert_eq!(
        faults("\u{feff}x = 1\r\nsystem = 1\r\n").lines().next(),
        Some("1:1: x: unknown key `x`")
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let text = with("name = \"\\u001b[31m\\n\"");
    let expected = "4:8: system[0].name: `\\u{1b}[31m\\n` is not a system's name";
    assert_eq!(faults(&text), expected);
}
