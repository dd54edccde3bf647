//! Finds the addresses of the peers that the config gives by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};

use crate::{
    config::Peer,
    expect::{Expectation, Names},
};

/// How long an address is taken for good.
const REFRESH: Duration = Duration::from_secs(60);

/// Asks for the names again and again, beside the counting. The last answer counts until another.
#[derive(Debug)]
pub struct Resolver {
    names: Arc<Mutex<Names>>,
    task: Option<JoinHandle<()>>,
}

impl Resolver {
    /// Starts to ask for every name among the peers.
    pub fn start(expectations: &[Expectation]) -> Self {
        let wanted: BTreeSet<String> = expectations
            .iter()
            .filter_map(|expectation| expectation.peers.listed())
            .flatten()
            .filter_map(|peer| match peer {
                Peer::Name(name) => Some(name.clone()),
                Peer::Net(_) | Peer::Below(_) => None,
            })
            .collect();
        let names = Arc::new(Mutex::new(BTreeMap::new()));
        let task = (!wanted.is_empty()).then(|| tokio::spawn(follow(wanted, Arc::clone(&names))));
        Self { names, task }
    }

    /// The addresses as last answered.
    pub fn names(&self) -> Names {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[expect(clippy::infinite_loop, reason = "the task ends when it is aborted")]
async fn follow(wanted: BTreeSet<String>, names: Arc<Mutex<Names>>) {
    loop {
        for name in &wanted {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => {
                    let found = found.map(|address| address.ip().to_canonical()).collect();
                    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
                    names.insert(name.clone(), found);
                }
                Err(error) => tracing::warn!(name, %error, "not resolved"),
            }
        }
        sleep(REFRESH).await;
    }
}
