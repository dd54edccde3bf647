//! The live view, on a terminal.

use std::time::Duration;

use tests::{AGENT, Daemon, HOST4, Pair, Screen, at, binary, config, golden, turned_away};

/// The screen without the rows that nothing stands in: how many they are depends on the numbers.
fn golden_screen(name: &str, screen: &str) {
    let rows: Vec<&str> = screen.lines().filter(|row| !row.trim().is_empty()).collect();
    golden(name, &rows.join("\n"));
}

#[test]
fn screen_shows_what_is_wrong_first_and_more_when_asked() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.peer, at(HOST4, 50051), Duration::from_millis(500));
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let command =
        format!("{} watch --config {}", binary().display(), daemon.config_file().display());
    let wide = Screen::start(&pair.host, &command, 200);
    wide.shows("Start the service");
    golden_screen("watch-wide", &wide.shows("route: by eth0"));
    wide.press("q");
    wide.ends();
    drop(wide);
    let screen = Screen::start(&pair.host, &command, 80);
    screen.shows("Start the service");
    golden_screen("watch-detail", &screen.shows("route: by eth0"));
    screen.press("Enter");
    golden_screen("watch-list", &screen.hides("Start the service"));
    screen.press("Enter");
    screen.shows("Start the service");
    screen.press("Down");
    golden_screen("watch-detail-in-order", &screen.shows("packets received"));
    screen.press("Escape");
    screen.press("d");
    screen.shows("refused");
    daemon.kill();
    screen.shows("no daemon answers");
    screen.press("q");
    screen.ends();
}

#[test]
fn without_a_daemon_or_a_terminal_it_says_so() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let output = tests::command::output(
        tests::command::program(binary()).args(["watch", "--config"]).arg(daemon.config_file()),
    );
    assert_eq!(output.status.code(), Some(1));
    let said = tests::command::text(&output).1;
    assert!(said.contains("`watch` needs a terminal: use `status`"), "{said}");
}
