//! A short form of `cargo xtask soak --kills`.

use tests::kills;

#[test]
fn links_of_a_killed_daemon_leave_every_count() {
    let done = kills("tcx", 8, 7, |_| ());
    assert_eq!(done.killed, 8);
    assert!(done.counted > 0 && done.counted <= done.sent, "{done:?}");
}

#[test]
fn filters_of_a_killed_daemon_count_every_packet() {
    let done = kills("clsact", 7, 7, |_| ());
    assert_eq!((done.killed, done.counted), (7, done.sent));
}
