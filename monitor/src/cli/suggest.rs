//! `suggest`: a first config, from what the host does.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Write as _},
    net::TcpStream,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{Format, output};
use crate::{
    clock::Clock,
    config::{Kernel, Web},
    kernel::{self, Mode, Object, holders, listeners, support, watch_interfaces},
    observe::{FlowId, Loss, MACHINE_HOOKS, PortSet, Side, Snapshot, Wire, transport_name},
    source::{KernelSource, flow_id},
    suggest::{self, Evidence, Listener, Proposal, Seen, documented_ports, proposals},
};

/// Version of the JSON answer's layout.
const SCHEMA: u32 = 1;

/// The JSON answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    systems: &'a [Proposal],
}

/// A day has every nightly backup in it.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Reads `60s`, `10m` or `24h`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_error| "write it as `60s`, `10m` or `24h`".to_owned())?;
    match u64::try_from(duration.as_secs()) {
        Ok(seconds) if seconds > 0 && duration <= LONGEST => Ok(seconds),
        _ => Err("it has to be from `1s` to `24h`".to_owned()),
    }
}

pub(super) fn run(seconds: Option<u64>, format: Format) -> anyhow::Result<ExitCode> {
    let evidence = gather(seconds)?;
    let proposals = proposals(&evidence);
    if proposals.is_empty() {
        note(&nothing(&evidence))?;
        return Ok(ExitCode::from(1));
    }
    match format {
        Format::Json => output::json(&Answer { schema: SCHEMA, systems: &proposals })?,
        Format::Text => output::text(&suggest::render(&evidence, &proposals))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn gather(seconds: Option<u64>) -> anyhow::Result<Evidence> {
    let ports = documented_ports();
    let mut evidence = match seconds {
        Some(seconds) => watch(ports.clone(), seconds)?,
        None => Evidence::default(),
    };
    for flow in kernel::connections(&ports)?.iter().filter_map(flow_id) {
        evidence.flows.entry(flow).or_default().connections += 1;
    }
    let listeners = listeners()?;
    let is_documented =
        |listener: &&kernel::Listener| ports.contains(listener.transport, listener.address.port());
    let inodes: BTreeSet<u32> =
        listeners.iter().filter(is_documented).map(|listener| listener.inode).collect();
    let holders = holders(&inodes);
    evidence.listeners = listeners
        .iter()
        .map(|listener| Listener {
            transport: listener.transport,
            address: listener.address,
            process: holders.get(&listener.inode).cloned(),
        })
        .collect();
    Ok(evidence)
}

/// The flows of which packets are seen in so many seconds.
fn watch(ports: PortSet, seconds: u64) -> anyhow::Result<Evidence> {
    support::require()?;
    let mode = Mode::of_this_kernel();
    let listen = Web::default().listen;
    if mode == Mode::Clsact && TcpStream::connect(listen).is_ok() {
        bail!(
            "the daemon is running ({listen}), and on this kernel both cannot watch: stop it first"
        );
    }
    note(&format!(
        "watching for {seconds} s; Ctrl-C ends it and takes what was seen until then\n"
    ))?;
    let started = Clock.now();
    let snapshot = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(Box::pin(count(ports, mode, Duration::from_secs(seconds))))?;
    for hook in &snapshot.coverage {
        if let (Some(interface), Some(fault)) = (&hook.interface, &hook.fault) {
            note(&format!("not watched: {} of {interface}: {fault}\n", hook.hook))?;
        }
    }
    if let Some(lost @ 1..) = snapshot.lost.get(&Loss::FlowMapFull) {
        note(&format!("{lost} packets of more flows than fit were not seen\n"))?;
    }
    let flows = snapshot.flows.wire().filter_map(|(id, wire)| Some((*id, seen(*id, wire)?)));
    Ok(Evidence {
        flows: flows.collect(),
        watched: snapshot.taken.duration_since(started).as_secs().try_into().ok(),
        ..Evidence::default()
    })
}

/// What is counted until the time is over or somebody has enough.
async fn count(ports: PortSet, mode: Mode, time: Duration) -> anyhow::Result<Snapshot> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let interfaces = watch_interfaces().await.context("listing the interfaces")?;
    let object = Object::load(Kernel::default().flows, false, None)?;
    let mut source =
        KernelSource::start(object, mode, interfaces, ports, &MACHINE_HOOKS, Clock.now())?;
    let end = sleep(time);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = source.interfaces_changed() => source.follow_interfaces(Clock.now()),
        }
    }
    let snapshot = source.snapshot(Clock.now(), false, |_, _| false);
    source.stop().await;
    Ok(snapshot?)
}

/// `None` where this host took no part: it only passed packets on, or turned the peer away.
fn seen(id: FlowId, wire: &Wire) -> Option<Seen> {
    let (received, transmitted) = (&wire.received, &wire.transmitted);
    let (own, opened) = match id.side {
        Side::Client => (transmitted.packets.saturating_sub(wire.forwarded), received.syn_ack),
        Side::Server => (transmitted.packets.saturating_sub(transmitted.rst), transmitted.syn_ack),
    };
    (own > 0).then_some(Seen { connections: 0, opened, packets: wire.packets() })
}

/// What was looked at in vain.
fn nothing(evidence: &Evidence) -> String {
    let mut text = String::from("backupflow: nothing here tells of a documented product\n");
    let listening: BTreeSet<(u16, &str)> = evidence
        .listeners
        .iter()
        .map(|listener| (listener.address.port(), transport_name(listener.transport)))
        .collect();
    let listening: Vec<String> =
        listening.into_iter().map(|(port, transport)| format!("{port}/{transport}")).collect();
    let listening = if listening.is_empty() { "nothing".to_owned() } else { listening.join(", ") };
    _ = writeln!(text, "listening: {listening}");
    let flows: BTreeSet<String> = evidence.flows.keys().map(ToString::to_string).collect();
    let flows = if flows.is_empty() {
        "none".to_owned()
    } else {
        flows.into_iter().collect::<Vec<_>>().join("; ")
    };
    _ = writeln!(text, "connections on documented ports: {flows}");
    let shared: Vec<String> = suggest::shared(evidence).into_iter().collect();
    if !shared.is_empty() {
        _ = writeln!(text, "documented, but used by other software too: {}", shared.join(", "));
    }
    text.push_str(match evidence.watched {
        Some(_) => "a config can be written by hand: `backupflow catalog list` shows products and roles\n",
        None => "run it while a backup runs, or with `--watch 10m` as root, or write the config by hand: \
                 `backupflow catalog list` shows products and roles\n",
    });
    text
}

/// Says something beside the config.
fn note(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(text.as_bytes())
}
