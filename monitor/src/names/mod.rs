//! Finds the addresses of the peers that the config gives by name, beside the counting.
//!
//! Each name is asked for again when its TTL has run out. The last answer counts until another.

mod known;
mod sockets;
mod system;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

pub use known::Known;
pub use sockets::Sockets;

use crate::{
    clock::Clock,
    config::Peer,
    expect::Expectation,
    names::{known::News, system::System},
};

/// How many names are asked for at a time: thousands of them are no burden to a server.
const AT_A_TIME: usize = 8;

/// What is known of every name among the peers.
pub type KnownNames = BTreeMap<String, Known>;

/// Asks for the names again and again until it is dropped.
#[derive(Debug)]
pub struct Resolver {
    known: Arc<Mutex<KnownNames>>,
    _tasks: JoinSet<()>,
}

/// What the questions for all names share.
#[derive(Debug)]
struct Shared {
    known: Arc<Mutex<KnownNames>>,
    system: System,
    turns: Semaphore,
    clock: Clock,
}

impl Resolver {
    /// Starts to ask for every name among the peers. What was known of it before stays so until
    /// there is an answer.
    pub fn start(
        expectations: &[Expectation],
        mut before: KnownNames,
        sockets: Sockets,
        clock: Clock,
    ) -> Self {
        let known: KnownNames = wanted(expectations)
            .into_iter()
            .map(|name| (name.to_owned(), before.remove(name).unwrap_or_default()))
            .collect();
        let names: Vec<String> = known.keys().cloned().collect();
        let known = Arc::new(Mutex::new(known));
        let shared = Arc::new(Shared {
            known: Arc::clone(&known),
            system: System::new(sockets),
            turns: Semaphore::new(AT_A_TIME),
            clock,
        });
        let mut tasks = JoinSet::new();
        for name in names {
            tasks.spawn(follow(name, Arc::clone(&shared)));
        }
        Self { known, _tasks: tasks }
    }

    /// What is known now.
    pub fn known(&self) -> KnownNames {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn wanted(expectations: &[Expectation]) -> BTreeSet<&str> {
    expectations
        .iter()
        .filter_map(|expectation| expectation.peers.listed())
        .flatten()
        .filter_map(|peer| match peer {
            Peer::Name(name) => Some(name.as_str()),
            Peer::Net(_) | Peer::Below(_) => None,
        })
        .collect()
}

#[expect(clippy::infinite_loop, reason = "the task ends when it is aborted")]
async fn follow(name: String, shared: Arc<Shared>) {
    loop {
        let wait = shared.ask(&name).await;
        sleep(wait).await;
    }
}

impl Shared {
    /// Asks for a name when it is its turn. Gives how long to wait before the next time.
    async fn ask(&self, name: &str) -> Duration {
        let turn = self.turns.acquire().await;
        let answer = self.system.ask(name).await;
        drop(turn);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(name.to_owned()).or_default();
        let (wait, news) = known.take_in(answer, self.clock.now());
        let now = list(&known.addresses);
        match news {
            None => {}
            Some(News::First) if known.addresses.is_empty() => tracing::warn!(name, "no such name"),
            Some(News::First) => tracing::debug!(name, addresses = now, "resolved"),
            Some(News::Changed(old)) => {
                tracing::info!(name, old = list(&old), new = now, "addresses changed");
            }
            Some(News::Rotating) => {
                tracing::info!(
                    name,
                    "addresses differ from answer to answer, more is not said of it"
                );
            }
            Some(News::Failing(reason)) => {
                tracing::warn!(
                    name,
                    reason,
                    addresses = now,
                    "not resolved, the last addresses stay"
                );
            }
            Some(News::Recovered) => tracing::info!(name, addresses = now, "resolved again"),
        }
        wait
    }
}

/// Addresses as the log has them.
fn list(addresses: &BTreeSet<IpAddr>) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
