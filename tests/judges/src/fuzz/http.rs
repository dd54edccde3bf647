//! A connection to the web port behind TLS: any bytes, with and without a password asked for.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use futures_util::future::select;
use monitor::{
    clock::Clock,
    config::Guard,
    serve::{Shared, Visit, respond},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    runtime::Runtime,
    task::yield_now,
    time::sleep,
};

/// `alice` has the password `sesame`.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW";
/// What proves that she asks, in base64.
const CREDENTIALS: &[u8] = b"YWxpY2U6c2VzYW1l";

/// Everything that lives longer than one connection.
struct Web {
    runtime: Runtime,
    open: Visit,
    guarded: Visit,
}

thread_local! {
    static WEB: Web = Web::new();
}

/// Takes a request behind a byte: its lowest bit says whether a password is asked for, the next whether
/// the client says at once that it has no more to say.
pub fn http(bytes: &[u8]) {
    let Some((choice, request)) = bytes.split_first() else { return };
    let (is_guarded, hangs_up) = (choice & 1 != 0, choice & 2 != 0);
    let answer = WEB.with(|web| web.answer(is_guarded, hangs_up, request));
    if answer.is_empty() {
        return;
    }
    let status = answer.strip_prefix(b"HTTP/1.1 ").or(answer.strip_prefix(b"HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)).and_then(|code| str::from_utf8(code).ok());
    let status: u16 = status.and_then(|code| code.parse().ok()).unwrap_or(0);
    assert!(
        matches!(status, 200 | 400 | 401 | 404 | 405 | 413 | 414 | 431 | 503),
        "answered with {status}"
    );
    let proves = request.windows(CREDENTIALS.len()).any(|part| part == CREDENTIALS);
    assert!(
        !is_guarded || proves || !matches!(status, 200 | 404 | 503),
        "let in without a password"
    );
}

impl Web {
    fn new() -> Self {
        let shared = Shared::new(Clock);
        let sample = include_str!("../../../../monitor/tests/golden/report.json");
        shared.publish(serde_json::from_str(sample).unwrap());
        let users = BTreeMap::from([("alice".to_owned(), HASH.to_owned())]);
        let guard = Guard { users, ..Guard::default() };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .max_blocking_threads(1)
                .build()
                .unwrap(),
            open: Visit::new(None, shared.clone()).unwrap(),
            guarded: Visit::new(Some(Arc::new(guard)), shared).unwrap(),
        }
    }

    /// Everything that is said to a client that sends these bytes, and no more.
    fn answer(&self, is_guarded: bool, hangs_up: bool, request: &[u8]) -> Vec<u8> {
        let compares = is_guarded && request.windows(6).any(|part| part == b"Basic ");
        let visit = if is_guarded { self.guarded.clone() } else { self.open.clone() };
        self.runtime.block_on(async {
            let (mut client, server) = duplex(64 << 10);
            let mut answer = Vec::new();
            let talk = async {
                // The server may have hung up by then.
                drop(client.write_all(request).await);
                if !hangs_up {
                    let read = client.read_to_end(&mut answer);
                    drop(select(pin!(read), pin!(wait(compares))).await);
                }
                drop(client.shutdown().await);
                drop(client.read_to_end(&mut answer).await);
            };
            _ = tokio::join!(respond(server, visit), talk);
            answer
        })
    }
}

/// Until whoever says nothing more has nothing more to say. A comparison of passwords takes its time.
async fn wait(compares: bool) {
    for _ in 0..64 {
        yield_now().await;
    }
    if compares {
        sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_behind_the_password() {
        let ask = |is_guarded, proof: &str| {
            let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{proof}\r\n");
            WEB.with(|web| web.answer(is_guarded, false, request.as_bytes()))
        };
        let proof = format!("Authorization: Basic {}\r\n", str::from_utf8(CREDENTIALS).unwrap());
        for (answer, status) in
            [(ask(false, ""), "200"), (ask(true, ""), "401"), (ask(true, &proof), "200")]
        {
            assert_eq!(answer.get(9..12), Some(status.as_bytes()));
        }
    }
}
