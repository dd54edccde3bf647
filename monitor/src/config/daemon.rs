//! `[web]`, `[status]`, `[kernel]` and `[state]`: how the daemon itself runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::log::{At, Log};
use super::section::Field;
use super::{words, written};
use crate::observe::MACHINE_HOOKS;

/// The port of the status page and the metrics; the public list of exporter ports is full up to 9999.
const PORT: u16 = 10150;
/// The bounds of the flow map's capacity.
const FLOWS: std::ops::RangeInclusive<u32> = 16..=1_048_576;

/// The longest path of a socket in bytes, less what a name beside it needs.
const LONGEST_SOCKET: usize = 96;

/// What the daemon serves, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The address and port that the status page, the report and the metrics are served on.
    pub listen: SocketAddr,
    /// The file that guards it with TLS and passwords, a full path.
    pub config_file: Option<PathBuf>,
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT), config_file: None }
    }
}

/// Sizes of what the kernel programs keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// How many flows the kernel's map holds, 16 to 1,048,576; what does not fit is counted as lost.
    pub flows: u32,
    /// Hooks that are not attached, by name.
    pub disable: Vec<&'static str>,
    /// Where the counts are kept over a restart, if it is in bpffs.
    pub pin: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { flows: 16_384, disable: Vec::new(), pin: PathBuf::from("/sys/fs/bpf/backupflow") }
    }
}

/// What is kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The file in which it is kept.
    pub file: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self { file: PathBuf::from("/var/lib/backupflow/state.json") }
    }
}

/// Where `status` asks the running daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The socket, a full path.
    pub socket: PathBuf,
    /// Whether the file says where: then the daemon does not start without it.
    pub required: bool,
    /// Its permissions.
    pub mode: u32,
    /// The name of its group; that of the daemon where it is absent.
    pub group: Option<String>,
}

impl Default for Status {
    fn default() -> Self {
        let socket = PathBuf::from("/run/backupflow/status.sock");
        Self { socket, required: false, mode: 0o660, group: None }
    }
}

pub(super) fn mean_status(status: &written::Status, log: &mut Log<'_>) -> Option<Status> {
    let default = Status::default();
    let socket = match &status.socket {
        Field::Absent => Some(default.socket),
        Field::Invalid => None,
        Field::Given(socket) => mean_socket(socket, log),
    };
    let mode = match &status.mode {
        Field::Absent => Some(default.mode),
        Field::Invalid => None,
        Field::Given(mode) => mean_mode(mode, log),
    };
    let group = match &status.group {
        Field::Given(group) => Some(group.value.clone()),
        Field::Absent | Field::Invalid => None,
    };
    let required = matches!(status.socket, Field::Given(_));
    Some(Status { socket: socket?, required, mode: mode?, group })
}

fn mean_socket(socket: &At<String>, log: &mut Log<'_>) -> Option<PathBuf> {
    if socket.value.len() > LONGEST_SOCKET {
        let message = format!(
            "the path has {} bytes, at most {LONGEST_SOCKET} are possible",
            socket.value.len()
        );
        log.fault(&socket.place, message, None);
        return None;
    }
    mean_path(socket, "/run/backupflow/status.sock", log)
}

fn mean_mode(mode: &At<String>, log: &mut Log<'_>) -> Option<u32> {
    let digits = mode.value.strip_prefix('0').filter(|digits| digits.len() == 3);
    let number = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
    if number.is_none() {
        let message = format!("{} is not a mode", words::quote(&mode.value));
        let help = "write four digits, such as `0660`: the owner and the group may ask".to_owned();
        log.fault(&mode.place, message, Some(help));
    }
    number
}

pub(super) fn mean_web(web: &written::Web, log: &mut Log<'_>) -> Option<Web> {
    let config_file = match &web.config_file {
        Field::Absent => Some(None),
        Field::Invalid => None,
        Field::Given(file) => mean_path(file, "/etc/backupflow/web.toml", log).map(Some),
    };
    let listen = match &web.listen {
        Field::Absent => Some(Web::default().listen),
        Field::Invalid => None,
        Field::Given(listen) => mean_listen(listen, log),
    };
    Some(Web { listen: listen?, config_file: config_file? })
}

fn mean_listen(listen: &At<String>, log: &mut Log<'_>) -> Option<SocketAddr> {
    let text = &listen.value;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let corrected = if let Ok(address) = text.parse::<IpAddr>() {
        Some(SocketAddr::new(address, PORT).to_string())
    } else if let Some(port) = text.strip_prefix("localhost:") {
        Some(format!("127.0.0.1:{port}"))
    } else {
        text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"))
    };
    // A correction that would be refused in turn is no help.
    let corrected = corrected.filter(|text| text.parse::<SocketAddr>().is_ok());
    let example = corrected.unwrap_or_else(|| Web::default().listen.to_string());
    log.fault(
        &listen.place,
        format!("{} is not an address with a port", words::quote(text)),
        Some(format!("write it as `{example}`")),
    );
    None
}

pub(super) fn mean_kernel(kernel: &written::Kernel, log: &mut Log<'_>) -> Option<Kernel> {
    let flows = mean_flows(&kernel.flows, log);
    let disable = mean_disable(&kernel.disable, log);
    let pin = match &kernel.pin {
        Field::Absent => Some(Kernel::default().pin),
        Field::Invalid => None,
        Field::Given(pin) => mean_path(pin, "/sys/fs/bpf/backupflow", log),
    };
    Some(Kernel { flows: flows?, disable: disable?, pin: pin? })
}

fn mean_flows(flows: &Field<i64>, log: &mut Log<'_>) -> Option<u32> {
    let flows = match flows {
        Field::Absent => return Some(Kernel::default().flows),
        Field::Invalid => return None,
        Field::Given(flows) => flows,
    };
    let number = u32::try_from(flows.value).ok();
    let number = number.filter(|number| FLOWS.contains(number));
    if number.is_none() {
        let (least, most) = (FLOWS.start(), FLOWS.end());
        log.fault(
            &flows.place,
            format!("{} is out of range, expected {least} to {most}", flows.value),
            None,
        );
    }
    number
}

fn mean_disable(disable: &Field<Vec<At<String>>>, log: &mut Log<'_>) -> Option<Vec<&'static str>> {
    let names = match disable {
        Field::Absent => return Some(Vec::new()),
        Field::Invalid => return None,
        Field::Given(names) => &names.value,
    };
    let mut hooks = Vec::new();
    for name in names {
        if let Some(hook) = MACHINE_HOOKS.into_iter().find(|hook| *hook == name.value) {
            hooks.push(hook);
        } else {
            let message = format!("no hook {}", words::quote(&name.value));
            let help = words::instead(&name.value, "hooks", MACHINE_HOOKS.into_iter());
            log.fault(&name.place, message, help);
        }
    }
    (hooks.len() == names.len()).then_some(hooks)
}

pub(super) fn mean_state(state: &written::State, log: &mut Log<'_>) -> Option<State> {
    match &state.file {
        Field::Absent => Some(State::default()),
        Field::Invalid => None,
        Field::Given(file) => {
            let file = mean_path(file, "/var/lib/backupflow/state.json", log)?;
            Some(State { file })
        }
    }
}

/// A full path, for which `example` stands in the help.
fn mean_path(written: &At<String>, example: &str, log: &mut Log<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(&written.value);
    if path.is_absolute() && path.parent().is_some() {
        return Some(path);
    }
    let message = format!("{} is no full path", words::quote(&written.value));
    log.fault(&written.place, message, Some(format!("write one such as `{example}`")));
    None
}
