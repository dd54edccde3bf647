//! Asking the running daemon.

use std::{io, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    config::{self, Config, Endpoint},
    report::Report,
};

/// How long the daemon may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A report is never larger than this.
const MOST_BYTES: usize = 64 << 20;

/// Where a daemon with this config answers. A fault in the file does not end the daemon, which runs with what it
/// read before: the fault becomes a note of its reports.
#[derive(Clone, Debug)]
pub(super) struct Client {
    endpoint: Endpoint,
    note: Option<String>,
}

impl Client {
    pub(super) fn of(config: &Path) -> Self {
        let (endpoint, faults) = config::endpoint(config);
        let note = faults.map(|faults| {
            let first = faults.summary();
            format!(
                "the config file has faults and is not applied, see `backupflow check`: {first}"
            )
        });
        Self { endpoint, note }
    }

    /// Where a daemon answers that runs with a config.
    pub(super) fn with(config: &Config) -> Self {
        let Config { status, web, .. } = config.clone();
        Self { endpoint: Endpoint { status, web }, note: None }
    }

    /// The latest report.
    pub(super) fn report(&self) -> anyhow::Result<Report> {
        let mut report: Report = self.ask("/api/v1/report")?;
        report.notes.extend(self.note.clone());
        Ok(report)
    }

    /// What the daemon says on a page.
    pub(super) fn ask<T: DeserializeOwned>(&self, page: &'static str) -> anyhow::Result<T> {
        let answer = self.answer(page);
        let (status, body) = match &self.note {
            Some(note) => answer.with_context(|| note.clone())?,
            None => answer?,
        };
        if status != StatusCode::OK {
            bail!("the daemon answers: {}", body.trim());
        }
        serde_json::from_str(&body).context("what answers is not backupflow of this version")
    }

    fn answer(&self, page: &'static str) -> anyhow::Result<(StatusCode, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime
            .block_on(async { timeout(TIMEOUT, self.fetch(page)).await })
            .context("the daemon takes too long to answer")?
    }

    /// Asks at the status socket; at the web port where there is no socket, and the port asks for nothing.
    async fn fetch(&self, page: &'static str) -> anyhow::Result<(StatusCode, String)> {
        let socket = self.endpoint.status.socket.display();
        let listen = self.endpoint.web.listen;
        match UnixStream::connect(&self.endpoint.status.socket).await {
            Ok(stream) => get(stream, page).await,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let group = self.endpoint.status.group.as_deref().unwrap_or("backupflow");
                bail!(
                    "{socket} may not be asked by this user: run the command with sudo, or join the group \
                     (`usermod --append --groups {group} USER`, then log in again)"
                )
            }
            Err(error) if self.endpoint.web.config_file.is_some() => {
                Err(error).with_context(|| {
                    format!("no daemon answers at {socket}: is backupflow.service running?")
                })
            }
            Err(_) => {
                let stream = TcpStream::connect(listen).await.with_context(|| {
                    format!(
                        "no daemon answers at {socket} or {listen}: is backupflow.service running?"
                    )
                })?;
                get(stream, page).await
            }
        }
    }
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    page: &'static str,
) -> anyhow::Result<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(page)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let read = async {
        let response: Response<Incoming> = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
        anyhow::Ok((status, String::from_utf8(body.into())?))
    };
    // The connection ends with the answer.
    let (answer, _) = tokio::join!(read, connection);
    answer
}
