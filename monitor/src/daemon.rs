//! The daemon's work, a step at a time: read the counts, judge them, hand out the report.

use std::{cell::LazyCell, collections::BTreeSet, net::IpAddr, path::PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    clock::{Clock, Steps},
    config::{self, Config, Peer},
    discrepancy::Ledger,
    expect::{Expectation, Matcher, Standing, documented_ports, expectations},
    kernel::{Interfaces, KernelLog, Mode, Object, Pins},
    logging,
    names::{Known, KnownNames, Resolver, Sockets},
    probe::Prober,
    report::{self, Changes},
    serve::Shared,
    source::KernelSource,
    state::{self, Keeper},
};

/// How the daemon is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The config file, read again on a reload.
    pub config: PathBuf,
    /// How programs are attached.
    pub attach: Mode,
    /// The kernel programs log rare events.
    pub kernel_log: bool,
}

/// A daemon that watches.
#[derive(Debug)]
pub struct Daemon {
    options: Options,
    clock: Clock,
    steps: Steps,
    started: Timestamp,
    host: String,
    source: KernelSource,
    _pins: Option<Pins>,
    kernel_log: Option<KernelLog>,
    plan: Plan,
    ledger: Ledger,
    keeper: Keeper,
    changes: Changes,
    prober: Prober,
    /// For its questions for names.
    sockets: Sockets,
    shared: Shared,
}

/// What the config asks for.
#[derive(Debug)]
struct Plan {
    expectations: Vec<Expectation>,
    machines: BTreeSet<IpAddr>,
    resolver: Resolver,
}

impl Plan {
    /// Names that were resolved before keep their addresses until they are again.
    fn of(config: &Config, known: KnownNames, sockets: &Sockets, clock: Clock) -> Self {
        let expectations = expectations(config);
        let resolver = Resolver::start(&expectations, known, sockets.clone(), clock);
        Self { machines: machines(&expectations), expectations, resolver }
    }

    /// How many flows are expected; others are only recognised.
    fn expected(&self) -> usize {
        let all = self.expectations.iter();
        all.filter(|expectation| expectation.standing == Standing::Expected).count()
    }
}

impl Daemon {
    /// Loads the programs and attaches them.
    pub fn start(
        config: &Config,
        options: Options,
        interfaces: watch::Receiver<Interfaces>,
        shared: Shared,
    ) -> anyhow::Result<Box<Self>> {
        let clock = Clock;
        let started = clock.now();
        let pins = Pins::prepare(&config.kernel.pin, config.kernel.flows)
            .with_context(|| format!("preparing {}", config.kernel.pin.display()))?;
        let mut object = Object::load(config.kernel.flows, options.kernel_log, pins.as_ref())?;
        let kernel_log = options.kernel_log.then(|| KernelLog::open(&mut object)).transpose()?;
        let sockets = Sockets::hold(&documented_ports(&expectations(config))).unwrap_or_else(|error| {
            tracing::warn!(%error, "no ports for the monitor's own DNS questions: they are counted as this host's");
            Sockets::default()
        });
        let plan = Plan::of(config, KnownNames::new(), &sockets, clock);
        let ports = documented_ports(&plan.expectations);
        object.leave_out_datagrams(&sockets.ports())?;
        let disabled = &config.kernel.disable;
        let mut source =
            KernelSource::start(object, options.attach, interfaces, ports, disabled, started)?;
        let file = &config.state.file;
        let ledger = match state::load(file, started) {
            Some(memory) => {
                if let Some(carried) = &memory.carried {
                    source.resume(carried, memory.watch.until);
                }
                Ledger::resume(memory, started)
            }
            None => Ledger::new(started),
        };
        tracing::info!(expectations = plan.expected(), "watching");
        Ok(Box::new(Self {
            options,
            clock,
            steps: Steps::default(),
            started,
            host: host_name(),
            source,
            _pins: pins,
            kernel_log,
            plan,
            ledger,
            keeper: Keeper::start(file),
            changes: Changes::default(),
            prober: Prober::new(config.probe.every, clock),
            sockets,
            shared,
        }))
    }

    /// Reads the counts and reports.
    pub fn tick(&mut self) -> anyhow::Result<()> {
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        let Self { plan, started, host, .. } = self;
        let now = self.clock.now();
        if let Some(by) = self.steps.step(now, self.clock.since_boot()) {
            tracing::warn!("the clock was set by {by:#}: failures are as old as they were");
            self.ledger.set_clock(by);
        }
        self.ledger.wake(now);
        let known = plan.resolver.known();
        let in_use = |known: &Known| known.in_use(now);
        let names = known.iter().map(|(name, known)| (name.clone(), in_use(known))).collect();
        let named = known.values().flat_map(|it| it.in_use(now)).map(|it| it.to_canonical());
        if known.is_empty() {
            self.source.keep_for(&plan.machines)?;
        } else {
            self.source.keep_for(&plan.machines.iter().copied().chain(named).collect())?;
        }
        let changing = known.iter().filter(|(_, known)| known.may_have_others());
        self.ledger.note_changing(changing.map(|(name, _)| name.clone()).collect());
        let matcher = LazyCell::new(|| Matcher::new(&plan.expectations, &names));
        let is_stranger = |flow: &_, tally: &_| matcher.matches(flow, tally).is_empty();
        let snapshot = self.source.snapshot(now, self.ledger.follows_sessions(), is_stranger)?;
        let assessment = self.ledger.assess(&snapshot, &plan.expectations, &names);
        let failing = assessment.judgements.iter().flatten().flat_map(|said| &said.failing);
        self.source.ask_routes(failing.map(|failing| failing.flow.peer));
        let expectations = &plan.expectations;
        let mut report =
            report::build(host, *started, &snapshot, expectations, &assessment, &known);
        self.prober.tick(now, expectations, &known, &mut self.source)?;
        report.probes = self.prober.last().cloned();
        report.state = Some(self.keeper.state());
        report.notes = self.shared.web(|web| web.weaknesses.clone());
        let changes = self.changes.follow(&report);
        changes.iter().for_each(logging::tell);
        self.shared.publish(report);
        self.keeper.keep(now, &self.ledger, !changes.is_empty());
        Ok(())
    }

    /// Waits until the interfaces are others than before.
    pub async fn interfaces_changed(&mut self) {
        self.source.interfaces_changed().await;
    }

    /// Attaches to new interfaces and forgets those that are gone.
    pub fn follow_interfaces(&mut self) {
        self.source.follow_interfaces(self.clock.now());
    }

    /// Reads the config again. One with faults is refused, and the old one stays in force.
    pub fn reload(&mut self) -> anyhow::Result<()> {
        match config::load(&self.options.config) {
            Ok(config) => {
                let plan = Plan::of(&config, self.plan.resolver.known(), &self.sockets, self.clock);
                self.source.set_ports(documented_ports(&plan.expectations), self.clock.now())?;
                self.plan = plan;
                self.prober.configure(config.probe.every);
                self.shared.reloaded(None);
                tracing::info!(expectations = self.plan.expected(), "config reloaded");
            }
            Err(faults) => {
                self.shared.reloaded(Some(faults.to_string()));
                tracing::error!("config refused, the old one stays in force:\n{faults}");
            }
        }
        Ok(())
    }

    /// Writes down what is known, and detaches everything.
    pub async fn stop(self) {
        self.keeper.finish(self.clock.now(), &self.ledger).await;
        self.source.stop().await;
    }
}

/// The peers that the config has as single addresses.
fn machines(expectations: &[Expectation]) -> BTreeSet<IpAddr> {
    let peers = expectations.iter().filter_map(|it| it.peers.listed()).flatten();
    let addresses = peers.filter(|peer| peer.is_machine()).filter_map(|peer| match peer {
        Peer::Net(net) => Some(net.addr().to_canonical()),
        Peer::Name(_) | Peer::Below(_) => None,
    });
    addresses.collect()
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
