//! Backups that work, all the while.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use tests::{HOST4, Namespace, PEER4, Pair, attempt, listen};

use super::at;

/// Between two connections.
const PAUSE: Duration = Duration::from_millis(300);

const PATIENCE: Duration = Duration::from_secs(10);

/// Does something while the peer writes to the host's vault, and the host to the cluster.
pub(super) fn beside_backups(pair: &Pair, what: impl FnOnce()) {
    let [vault, cluster] = [at(HOST4, 32107), at(PEER4, 11117)];
    let ways = [
        (&pair.peer, vault, listen(&pair.host, vault)),
        (&pair.host, cluster, listen(&pair.peer, cluster)),
    ];
    // The thread ends when this end is dropped, also where `what` panics.
    let (running, ended) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = 0;
            while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                bytes = (bytes + 100_000) % 700_000;
                for (client, to, service) in &ways {
                    back_up(client, *to, service, bytes);
                }
            }
        });
        what();
        drop(running);
    });
}

/// A connection that carries so many bytes.
fn back_up(client: &Namespace, to: SocketAddr, service: &TcpListener, bytes: usize) {
    let mut sending = attempt(client, to, PATIENCE).unwrap();
    let (mut receiving, _) = service.accept().unwrap();
    receiving.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || sending.write_all(&vec![7; bytes]).unwrap());
        receiving.read_to_end(&mut Vec::new()).unwrap();
    });
}
