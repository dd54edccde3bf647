//! Which tests are run on other kernels, and where one cannot hold.

use super::Options;

/// Counts; devices on devices, each packet counted once; drops of this host's firewall, no listener, no answer;
/// restarts with pinned maps.
const CORE: &[&str] = &[
    "wire_counts::",
    "datagrams::",
    "frames::",
    "devices::",
    "stacked::",
    "causes::firewall_drops_on_the_way_in_before_routing",
    "causes::firewall_drops_on_the_way_out",
    "causes::flow_that_works_again_is_ok_at_once",
    "verdicts::refused_until_it_is_fixed",
    "verdicts::blocked_beyond_the_host_until_it_is_fixed",
    "restart::",
    "without_reasons::",
    "daemon::doctor",
];

/// Besides.
const MORE: &[&str] = &[
    "answers::",
    "causes::",
    "verdicts::",
    "lost_datagrams::",
    "icmp::",
    "routes::",
    "sides::",
    "interfaces::",
    "between::",
    "map_full::",
];

/// Arguments of the tests' program.
pub(super) fn filters(options: &Options) -> Vec<String> {
    if !options.tests.is_empty() {
        return options.tests.clone();
    }
    let more = if options.core { &[] } else { MORE };
    CORE.iter().chain(more).map(|filter| (*filter).to_owned()).collect()
}

/// What cannot hold on some kernels: the kernels, the start of the tests' names, and why.
const SKIPPED: &[(&[&str], &str, &str)] = &[
    (&["5.10"], "answers::", NO_REASONS),
    (&["5.10"], "between::answers_of_this_host_are_dropped", NO_REASONS),
    (&["5.10"], "between::own_firewall_forgets_idle_sessions", NO_REASONS),
    (&["5.10"], "causes::firewall_", NO_REASONS),
    (&["5.10"], "causes::flow_that_works_again", NO_REASONS),
    (&["5.10"], "causes::no_neighbour_answers", NO_REASONS),
    (&["5.10"], "causes::one_half_of_a_product_fails_alone", NO_REASONS),
    (&["5.10"], "causes::reverse_path_filter_drops", NO_REASONS),
    (&["5.10"], "causes::service_listens_on_another_address", NO_REASONS),
    (&["5.10"], "icmp::errors_inside_the_host_count_once", NO_REASONS),
    (&["5.10"], "icmp::firewall_of_this_host_rejects", NO_REASONS),
    (&["5.10"], "lost_datagrams::", NO_REASONS),
    (&["5.10"], "verdicts::blocked_by_the_hosts_firewall", NO_REASONS),
    (&["5.10"], "verdicts::refused_until_it_is_fixed", NO_REASONS),
    (&["6.1"], "between::own_firewall_forgets_idle_sessions", NO_RECEIVER),
    (&["5.10", "6.1"], "answers::another_program_at_the_device", NO_TCX),
    (&["5.10", "6.1"], "causes::another_program_at_the_device", NO_TCX),
    (&["5.10", "6.1"], "interfaces::links_go_with_the_daemon", NO_TCX),
    (&["5.10", "6.1"], "interfaces::filter_of_a_killed_daemon_does_not_count_beside", NO_TCX),
    (ALL, "between::firewall_in_between_forgets_idle_sessions", TOO_SLOW),
    (ALL, "between::full_segments_vanish_where_small_ones_pass", TOO_SLOW),
    (ALL, "verdicts::missing_when_presence_is_due", TOO_SLOW),
    (&["6.1", "6.12", "newest"], "without_reasons::", "this kernel says why it drops a packet"),
];

const ALL: &[&str] = &["5.10", "6.1", "6.12", "newest"];
const NO_REASONS: &str = "Linux says why it drops a packet since 5.17; see without_reasons";
const NO_RECEIVER: &str = "Linux names the receiving socket of a dropped packet since 6.12";
const NO_TCX: &str = "TCX is there since Linux 6.6";
const TOO_SLOW: &str = "an emulated processor needs longer than the test's own times";

/// What `cargo xtask test` leaves to the oldest kernel and the newest: what those between do otherwise is loading, reasons
/// and places of attachment, which the rest of the core shows.
const ONLY_AT_THE_ENDS: &[(&[&str], &str, &str)] = &[
    (&["6.1", "6.12"], "devices::", AT_THE_ENDS),
    (&["6.1", "6.12"], "frames::", AT_THE_ENDS),
    (&["6.1", "6.12"], "stacked::", AT_THE_ENDS),
];
const AT_THE_ENDS: &str = "run on the oldest and the newest kernel; here by `cargo xtask vmtest`";

fn left(
    core: bool,
) -> impl Iterator<Item = &'static (&'static [&'static str], &'static str, &'static str)> {
    SKIPPED.iter().chain(if core { ONLY_AT_THE_ENDS } else { &[] })
}

/// Why a test is not run on a kernel, if so.
pub(super) fn skipped(line: &str, test: &str, core: bool) -> Option<&'static str> {
    left(core)
        .find(|(lines, start, _)| lines.contains(&line) && test.starts_with(*start))
        .map(|(.., why)| *why)
}

/// Arguments of the tests' program that leave those out.
pub(super) fn left_out(line: &str, core: bool) -> Vec<&'static str> {
    let of_this = left(core).filter(|(lines, ..)| lines.contains(&line));
    of_this.flat_map(|(_, start, _)| ["--skip", *start]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_hold_is_left_out_on_that_kernel_only() {
        assert_eq!(
            skipped("5.10", "causes::firewall_rejects_with_a_reset", true),
            Some(NO_REASONS)
        );
        assert_eq!(skipped("6.1", "causes::firewall_rejects_with_a_reset", true), None);
        assert_eq!(left_out("6.12", false).last(), Some(&"without_reasons::"));
        assert_eq!(left_out("6.12", true).last(), Some(&"stacked::"));
        assert_eq!(left_out("newest", true), left_out("newest", false));
    }

    #[test]
    fn tests_that_are_asked_for_replace_the_others() {
        let asked = Options { tests: vec!["restart::".to_owned()], ..Options::default() };
        assert_eq!(filters(&asked), ["restart::"]);
        assert_eq!(filters(&Options::core()), CORE);
        assert_eq!(filters(&Options::default()).len(), CORE.len() + MORE.len());
    }
}
