//! Which tests are run on other kernels, and where one cannot hold.

use super::Options;

/// Counts; devices on devices, each packet counted once; drops of this host's firewall, no listener, no answer;
/// restarts with pinned maps.
const CORE: [&str; 12] = [
    "wire_counts::",
    "datagrams::",
    "frames::",
    "devices::",
    "stacked::",
    "causes::firewall_drops_on_the_way_in_before_routing",
    "causes::firewall_drops_on_the_way_out",
    "causes::flow_that_works_again_is_ok_at_once",
    "verdicts::refused_until_it_is_mended",
    "verdicts::blocked_beyond_the_host_until_it_is_mended",
    "restart::",
    "daemon::doctor",
];

/// Besides.
const MORE: [&str; 9] = [
    "causes::", "verdicts::", "lost_datagrams::", "icmp::", "routes::", "sides::", "interfaces::", "between::", "map_full::",
];

/// Arguments of the tests' program.
pub(super) fn filters(options: &Options) -> Vec<String> {
    if !options.tests.is_empty() {
        return options.tests.clone();
    }
    let more = if options.core { &[][..] } else { &MORE };
    CORE.iter().chain(more).map(|filter| (*filter).to_owned()).collect()
}
