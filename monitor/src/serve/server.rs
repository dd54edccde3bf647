//! Accepts connections, on a thread of its own: whatever is asked, the counts are read in time.
//!
//! A connection carries one request, and is over in time however far it is (`connection`).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use super::{
    Shared,
    connection::{self, Visit},
    guard::Watch,
    http::router,
    passwords::Passwords,
    slots::Slots,
    socket::{self, SocketFile},
    web::Refusal,
};
use crate::{
    clock::Clock,
    config::{Status, Web},
    service,
};

/// Connections to the status socket at once; others wait.
const STATUS_CONNECTIONS: usize = 8;
/// How often `web.toml` and its files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait where the machine has no descriptor or memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// What is most likely where the port of the pages is in use.
const IN_USE: &str = "another program is there, perhaps another backupflow (`ss -lntp` names it). One watches \
                      all products of a host: add a [[system]] to its config, or end it first";
/// How long open requests may take after the daemon was told to stop.
const GRACE: Duration = Duration::from_secs(3);
/// Threads beside the loop, which compare passwords.
const HELPERS: usize = 1;

/// The running server.
#[derive(Debug)]
pub struct Server {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// What it listens at. The file of the socket goes with it.
struct Entrances {
    port: TcpListener,
    socket: Option<(UnixListener, SocketFile)>,
}

/// Everything that a connection needs.
struct Serving {
    watch: Watch,
    pages: Router,
    passwords: Passwords,
    shared: Shared,
    slots: Slots,
    status_slots: Arc<Semaphore>,
}

impl Server {
    /// Binds the port and the socket, and serves on a thread of its own.
    pub async fn start(web: &Web, status: &Status, shared: Shared) -> anyhow::Result<Self> {
        let watch = Watch::start(web, Clock.now(), &shared)?;
        let port = service::listen(web.listen).map_err(|error| refused(web.listen, error))?;
        let socket = status_socket(status).await?;
        let scheme = if watch.guard().tls.is_some() { "https" } else { "http" };
        tracing::info!(listen = %port.local_addr()?, scheme, "serving");
        let serving = Serving {
            watch,
            pages: router(shared.clone()),
            passwords: Passwords::new()?,
            shared,
            slots: Slots::default(),
            status_slots: Arc::new(Semaphore::new(STATUS_CONNECTIONS)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(HELPERS)
            .build()
            .context("starting the runtime")?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("serve".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serving.run(port, socket, stopped)) {
                tracing::error!("serving: {error}");
            }
            // Not for a comparison of passwords, which may take a second.
            runtime.shutdown_background();
            drop(end);
        })?;
        Ok(Self { stop, ended })
    }

    /// Waits until it serves no more of its own accord, which it should not.
    pub async fn ended(&mut self) {
        _ = (&mut self.ended).await;
    }

    /// Finishes open requests, as far as they do not take too long, and serves no more.
    pub async fn stop(self) {
        _ = self.stop.send(());
        _ = self.ended.await;
    }
}

/// The status socket. Without one at the usual place, `status` asks the web port.
async fn status_socket(
    status: &Status,
) -> anyhow::Result<Option<(std::os::unix::net::UnixListener, SocketFile)>> {
    let path = status.socket.display();
    match socket::bind(status).await {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if status.required => Err(error.context(format!("making the socket {path}"))),
        Err(error) => {
            tracing::warn!("no status socket at {path}: {error:#}");
            Ok(None)
        }
    }
}

fn refused(listen: SocketAddr, error: io::Error) -> anyhow::Error {
    let is_in_use = error.kind() == io::ErrorKind::AddrInUse;
    let error = anyhow::Error::from(error);
    let error = if is_in_use { error.context(IN_USE) } else { error };
    error.context(format!("listening on {listen}"))
}

impl Serving {
    async fn run(
        mut self,
        port: std::net::TcpListener,
        socket: Option<(std::os::unix::net::UnixListener, SocketFile)>,
        mut stopped: oneshot::Receiver<()>,
    ) -> io::Result<()> {
        let socket = socket.map(|(listener, file)| {
            UnixListener::from_std(listener).map(|listener| (listener, file))
        });
        let entrances =
            Entrances { port: TcpListener::from_std(port)?, socket: socket.transpose()? };
        let mut connections = JoinSet::new();
        let mut looks = interval(LOOK);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                _ = looks.tick() => self.watch.look(Clock.now(), &self.shared),
                Some(_) = connections.join_next() => {}
                accepted = entrances.port.accept() => match accepted {
                    Ok((stream, from)) => self.admit(stream, from.ip(), &mut connections),
                    Err(_) => sleep(PAUSE).await,
                },
                accepted = entrances.accept_status(&self.status_slots) => match accepted {
                    Ok((stream, turn)) => {
                        let visit = self.visit(None);
                        connections.spawn(async move {
                            connection::answer_status(stream, visit).await;
                            drop(turn);
                        });
                    }
                    Err(_) => sleep(PAUSE).await,
                },
            }
        }
        drop(entrances);
        let finish = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, finish).await.is_err() {
            tracing::warn!("requests were still open");
        }
        Ok(())
    }

    fn admit(&self, stream: TcpStream, from: IpAddr, connections: &mut JoinSet<()>) {
        let Some(slot) = self.slots.take(from) else {
            self.shared.web(|web| web.refuse(Refusal::Connections));
            return;
        };
        let visit = self.visit(Some(self.watch.guard()));
        connections.spawn(async move {
            connection::answer(stream, visit).await;
            drop(slot);
        });
    }

    fn visit(&self, guard: Option<Arc<crate::config::Guard>>) -> Visit {
        let Self { pages, passwords, shared, .. } = self;
        Visit { guard, pages: pages.clone(), passwords: passwords.clone(), shared: shared.clone() }
    }
}

impl Entrances {
    /// A connection to the status socket, when it is its turn. Never, where there is no socket.
    async fn accept_status(
        &self,
        slots: &Arc<Semaphore>,
    ) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
        let Some((listener, _)) = &self.socket else {
            return std::future::pending().await;
        };
        let turn = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, turn))
    }
}
