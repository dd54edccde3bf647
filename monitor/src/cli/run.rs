//! `run`: the daemon.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    clock::Clock,
    config::{self, Config, Faults},
    daemon::{Daemon, Options},
    kernel::{support, watch_interfaces},
    logging, memory,
    serve::{Server, Shared},
    service,
};

/// The exit code of a config with faults: `EX_CONFIG` of sysexits.h.
const CONFIG_FAULT: u8 = 78;

/// How often the counts are read.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(options: Options) -> anyhow::Result<ExitCode> {
    memory::keep_large_buffers_apart();
    let config = match config::load(&options.config) {
        Ok(config) => config,
        Err(faults) => return Ok(refuse(&faults)),
    };
    logging::start();
    support::require()?;
    for check in support::checks().into_iter().filter(|check| !check.good) {
        tracing::warn!("{}: {}; without it: {}", check.name, check.found, check.without);
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(Box::pin(serve(config, options)))?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong, on standard error and in `systemctl status`. The exit code tells systemd that another start
/// is of no use.
#[expect(clippy::print_stderr, reason = "as every command's faults")]
fn refuse(faults: &Faults) -> ExitCode {
    eprintln!("backupflow: {faults}");
    service::refused(&format!("config refused: {}", faults.summary()));
    ExitCode::from(CONFIG_FAULT)
}

/// Watches and serves until SIGTERM or SIGINT.
async fn serve(config: Config, options: Options) -> anyhow::Result<()> {
    let shared = Shared::new(Clock);
    let mut server = Server::start(&config.web, &config.status, shared.clone()).await?;
    let watched = Box::pin(run_daemon(&config, options, shared, &mut server)).await;
    server.stop().await;
    watched
}

async fn run_daemon(
    config: &Config,
    options: Options,
    shared: Shared,
    server: &mut Server,
) -> anyhow::Result<()> {
    let interfaces = watch_interfaces().await.context("listing the interfaces")?;
    let mut daemon = Daemon::start(config, options, interfaces, shared)?;
    let watched = watch(&mut daemon, server).await;
    service::stopping();
    tracing::info!("stopping");
    daemon.stop().await;
    watched
}

/// Does what is due, until told to stop.
async fn watch(daemon: &mut Daemon, server: &mut Server) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    daemon.tick()?;
    service::ready();
    loop {
        tokio::select! {
            // In this order, so that a reload that was asked for before the end still happens.
            biased;
            _ = hang_up.recv() => {
                service::reloading();
                daemon.reload()?;
                service::ready();
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = server.ended() => bail!("the web port is not served any more"),
            _ = ticks.tick() => {
                daemon.tick()?;
                service::alive();
            }
            () = daemon.interfaces_changed() => daemon.follow_interfaces(),
        }
    }
}
