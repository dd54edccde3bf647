//! `probe`: each outbound expectation tried once, now.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use catalog::Ports;
use comfy_table::{ContentArrangement, Table, presets};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};

use super::{Format, output, status};
use crate::{
    config::{self, Config, Peer},
    discrepancy::Cause,
    expect::{Expectation, Standing, expectations},
    observe::{Side, Transport, side_name},
    report::{self, Report},
};

/// Version of the JSON answer's layout.
const SCHEMA: u32 = 1;

/// Attempts at once.
const AT_ONCE: usize = 32;

/// How many times, a second apart, the running daemon is asked why something failed: it waits for an
/// answer for some seconds itself.
const JUDGED_AFTER: u32 = 6;

/// How long a name may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// The JSON answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    probes: &'a [Probe],
}

/// One attempt, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Probe {
    system: String,
    flow: String,
    peer_group: String,
    /// As the config lists it; `null` for an open group.
    peer: Option<String>,
    /// What was connected to.
    address: Option<SocketAddr>,
    result: Outcome,
    /// Until the result.
    milliseconds: Option<u64>,
    /// More of the result, in words.
    detail: Option<String>,
    /// Why it failed, where the running daemon saw it.
    cause: Option<Cause>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// The peer took the connection, which was closed at once.
    Connected,
    /// Answered with RST, by the peer or by a firewall.
    Refused,
    /// No answer in time.
    NoAnswer,
    /// Ended with another error: no route, an ICMP, this host's firewall.
    Failed,
    /// Nothing was sent.
    NotTried,
}

impl Outcome {
    const fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::NoAnswer | Self::Failed)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::NotTried => "not-tried",
        }
    }
}

/// Tries everything, and prints what came of it. With a failure the code is 1.
pub(super) fn run(config: &Path, patience: Duration, format: Format) -> anyhow::Result<ExitCode> {
    let config = config::load(config)?;
    let expectations = expectations(&config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut probes = runtime.block_on(probe_all(&expectations, patience));
    name_causes(&config, &mut probes);
    match format {
        Format::Json => output::json(&Answer { schema: SCHEMA, probes: &probes })?,
        Format::Text => output::text(&text(&probes))?,
    }
    let failed = probes.iter().any(|probe| probe.result.is_failure());
    Ok(ExitCode::from(u8::from(failed)))
}

async fn probe_all(expectations: &[Expectation], patience: Duration) -> Vec<Probe> {
    let outbound = expectations.iter().filter(|expectation| {
        expectation.key.side == Side::Client && expectation.standing == Standing::Expected
    });
    let plans = outbound.flat_map(plan).map(|plan| attempt(plan, patience));
    let probes: Vec<Vec<Probe>> = stream::iter(plans).buffered(AT_ONCE).collect().await;
    probes.into_iter().flatten().collect()
}

/// A peer and a port to try, or why there is nothing to.
struct Plan<'a> {
    expectation: &'a Expectation,
    peer: Option<&'a Peer>,
    target: Result<u16, &'static str>,
}

/// What can be tried of an expectation: one port of one machine each.
fn plan(expectation: &Expectation) -> Vec<Plan<'_>> {
    let not = |why| vec![Plan { expectation, peer: None, target: Err(why) }];
    if !expectation.transports.contains(&Transport::Tcp) {
        return not("a datagram proves nothing without its answer");
    }
    let Some(peers) = expectation.peers.listed() else {
        return not("the config lists no peers");
    };
    let ports = expectation.ports.iter().map(|ports| match *ports {
        Ports::Range { first, last } if first == last => Ok(first),
        Ports::Range { .. } => Err("a range of ports"),
        Ports::Dynamic => Err("the document gives no port number"),
    });
    let targets: Vec<Result<u16, &'static str>> = ports.collect();
    let of_peer = |peer| {
        targets.iter().map(move |target| {
            let target =
                if Peer::is_machine(peer) { *target } else { Err("a network, not a machine") };
            Plan { expectation, peer: Some(peer), target }
        })
    };
    peers.iter().flat_map(of_peer).collect()
}

/// Tries every address of the peer.
async fn attempt(plan: Plan<'_>, patience: Duration) -> Vec<Probe> {
    let (port, peer) = match (plan.target, plan.peer) {
        (Ok(port), Some(peer)) => (port, peer),
        (Err(why), _) => {
            return vec![plan.ended(None, Outcome::NotTried, None, Some(why.to_owned()))];
        }
        (Ok(_), None) => return Vec::new(),
    };
    let addresses = match addresses(peer, port).await {
        Ok(addresses) => addresses,
        Err(why) => return vec![plan.ended(None, Outcome::Failed, None, Some(why))],
    };
    let mut probes = Vec::new();
    for address in addresses {
        let began = Instant::now();
        let connected = timeout(patience, TcpStream::connect(address)).await;
        let took = u64::try_from(began.elapsed().as_millis()).ok();
        let (outcome, detail) = match connected {
            Ok(Ok(_)) => (Outcome::Connected, None),
            Ok(Err(error)) => told(&error),
            Err(_) => (Outcome::NoAnswer, Some(format!("none in {patience:?}"))),
        };
        probes.push(plan.ended(Some(address), outcome, took, detail));
    }
    probes
}

fn told(error: &io::Error) -> (Outcome, Option<String>) {
    if error.kind() == ErrorKind::ConnectionRefused {
        (Outcome::Refused, None)
    } else {
        (Outcome::Failed, Some(error.to_string()))
    }
}

async fn addresses(peer: &Peer, port: u16) -> Result<Vec<SocketAddr>, String> {
    match peer {
        Peer::Net(net) => Ok(vec![SocketAddr::new(IpAddr::to_canonical(&net.addr()), port)]),
        Peer::Below(name) => Err(format!("*.{name} is no single machine")),
        Peer::Name(name) => match timeout(LOOKUP, lookup_host((name.as_str(), port))).await {
            Ok(Ok(found)) => Ok(found.collect()),
            Ok(Err(error)) => Err(format!("the name is not resolved: {error}")),
            Err(_) => Err(format!("the name is not resolved in {LOOKUP:?}")),
        },
    }
}

impl Plan<'_> {
    fn ended(
        &self,
        address: Option<SocketAddr>,
        result: Outcome,
        milliseconds: Option<u64>,
        detail: Option<String>,
    ) -> Probe {
        let key = &self.expectation.key;
        Probe {
            system: key.system.clone(),
            flow: key.flow.clone(),
            peer_group: key.peer_group.clone(),
            peer: self.peer.map(ToString::to_string),
            address,
            result,
            milliseconds,
            detail,
            cause: None,
        }
    }
}

/// Waits until the running daemon has judged the failures, and takes over what it says. Without one
/// there are no causes.
fn name_causes(config: &Config, probes: &mut [Probe]) {
    for _ in 0..JUDGED_AFTER {
        let mut open = probes.iter_mut().filter(|probe| {
            probe.result.is_failure() && probe.address.is_some() && probe.cause.is_none()
        });
        let Some(first) = open.next() else { return };
        let Ok(report) = status::ask(config) else { return };
        for probe in std::iter::once(first).chain(open) {
            probe.cause = cause(&report, probe);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn cause(report: &Report, probe: &Probe) -> Option<Cause> {
    let is_same = |other: &&report::Expectation| {
        (&other.system, &other.flow, &other.peer_group)
            == (&probe.system, &probe.flow, &probe.peer_group)
            && other.side == side_name(Side::Client)
    };
    let address = probe.address?;
    let failing = &report.expectations.iter().find(is_same)?.evidence.failing;
    let of_it = failing.iter().find(|failing| {
        failing.port == address.port() && failing.address == address.ip().to_string()
    });
    of_it.map(|failing| failing.cause)
}

fn text(probes: &[Probe]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["SYSTEM", "FLOW", "PEER", "ADDRESS", "RESULT", ""]);
    for probe in probes {
        let took = probe.milliseconds.map(|took| format!("in {took} ms"));
        table.add_row([
            probe.system.clone(),
            probe.flow.clone(),
            probe.peer.clone().unwrap_or_else(|| probe.peer_group.clone()),
            probe.address.map_or("-".to_owned(), |address| address.to_string()),
            probe.result.name().to_owned(),
            match probe.cause {
                Some(cause) => format!("{cause}: {}", cause.advice()),
                None => probe.detail.clone().or(took).unwrap_or_default(),
            },
        ]);
    }
    let count = |is: fn(Outcome) -> bool| probes.iter().filter(|probe| is(probe.result)).count();
    let (failed, fine) =
        (count(Outcome::is_failure), count(|outcome| outcome == Outcome::Connected));
    let not_tried = probes.len() - failed - fine;
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n\n{fine} connected, {failed} failed, {not_tried} not tried\n", lines.join("\n"))
}
