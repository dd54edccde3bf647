//! `run`: the daemon.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use aya_log::EbpfLogger;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    clock::Clock,
    config::{self, Config},
    discrepancy::Ledger,
    expect::{Expectation, documented_ports, expectations},
    kernel::{Mode, Object, support, watch_interfaces},
    names::Resolver,
    report,
    serve::{Shared, router},
    source::KernelSource,
};

/// How often the counts are read.
const EVERY: Duration = Duration::from_secs(1);

/// How long open requests may take after the daemon was told to stop.
const GRACE: Duration = Duration::from_secs(3);

pub(super) fn run(path: &Path, mode: Mode, kernel_log: bool) -> anyhow::Result<ExitCode> {
    let config = config::load(path)?;
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    support::require()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(watch(path, config, mode, kernel_log))
}

/// Watches until SIGTERM or SIGINT.
async fn watch(
    path: &Path,
    config: Config,
    mode: Mode,
    kernel_log: bool,
) -> anyhow::Result<ExitCode> {
    let clock = Clock;
    let started = clock.now();
    let listener = TcpListener::bind(config.web.listen)
        .await
        .with_context(|| format!("listening on {}", config.web.listen))?;
    let interfaces = watch_interfaces().await.context("listing the interfaces")?;
    let mut object = Object::load(config.kernel.flows, kernel_log)?;
    let mut kernel_log = match kernel_log {
        true => Some(EbpfLogger::init(object.ebpf()).context("opening the kernel programs' log")?),
        false => None,
    };
    let mut source =
        KernelSource::start(object, mode, interfaces, documented_ports(&config), started)?;
    let mut plan = Plan::of(&config);
    let mut ledger = Ledger::new(started);
    let host = host_name();

    let shared = Shared::new(clock);
    let (stop_serving, serving_stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(shared.clone())).with_graceful_shutdown(async {
        _ = serving_stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    tracing::info!(listen = %config.web.listen, expectations = plan.expectations.len(), "watching");

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if let Some(log) = &mut kernel_log {
                    log.flush();
                }
                let snapshot = source.snapshot(clock.now())?;
                let assessment = ledger.assess(&snapshot, &plan.expectations, &plan.resolver.names());
                shared.publish(report::build(&host, started, &snapshot, &plan.expectations, &assessment));
            }
            () = source.interfaces_changed() => source.follow_interfaces(clock.now()),
            _ = hang_up.recv() => match config::load(path) {
                Ok(config) => {
                    source.set_ports(documented_ports(&config), clock.now())?;
                    plan = Plan::of(&config);
                    shared.reloaded(true);
                    tracing::info!(expectations = plan.expectations.len(), "config reloaded");
                }
                Err(faults) => {
                    shared.reloaded(false);
                    tracing::error!("config refused, the old one stays in force:\n{faults}");
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("stopping");
    _ = stop_serving.send(());
    _ = timeout(GRACE, server).await;
    source.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// What the config asks for.
struct Plan {
    expectations: Vec<Expectation>,
    resolver: Resolver,
}

impl Plan {
    fn of(config: &Config) -> Self {
        let expectations = expectations(config);
        let resolver = Resolver::start(&expectations);
        Self { expectations, resolver }
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
