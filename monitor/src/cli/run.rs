//! `run`: the daemon.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    clock::Clock,
    config::{self, Config},
    daemon::{Daemon, Options},
    kernel::support,
    logging,
    serve::{Shared, router},
    service,
};

/// How often the counts are read.
const EVERY: Duration = Duration::from_secs(1);

/// How long open requests may take after the daemon was told to stop.
const GRACE: Duration = Duration::from_secs(3);

pub(super) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = config::load(&options.config)?;
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

/// Watches and serves until SIGTERM or SIGINT.
async fn serve(config: Config, options: Options) -> anyhow::Result<()> {
    let listener = service::listen(config.web.listen)
        .await
        .with_context(|| format!("listening on {}", config.web.listen))?;
    tracing::info!(listen = %listener.local_addr()?, "serving");
    let shared = Shared::new(Clock);
    let (stop_serving, serving_stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(shared.clone())).with_graceful_shutdown(async {
        _ = serving_stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let mut daemon = Daemon::start(&config, options, shared).await?;
    watch(&mut daemon).await?;

    service::stopping();
    tracing::info!("stopping");
    _ = stop_serving.send(());
    if timeout(GRACE, server).await.is_err() {
        tracing::warn!("requests were still open");
    }
    daemon.stop().await;
    Ok(())
}

/// Does what is due, until told to stop.
async fn watch(daemon: &mut Daemon) -> anyhow::Result<()> {
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
            _ = ticks.tick() => {
                daemon.tick()?;
                service::alive();
            }
            () = daemon.interfaces_changed() => daemon.follow_interfaces(),
        }
    }
}
