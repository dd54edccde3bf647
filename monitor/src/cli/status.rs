//! `status`: what the running daemon says.

use std::{io, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use jiff::tz::TimeZone;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{Format, output};
use crate::{
    config::{self, Config},
    report::{Report, text},
};

/// How long the daemon may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A report is never larger than this.
const MOST_BYTES: usize = 64 << 20;

pub(super) fn run(config: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let report = ask(&config::load(config)?)?;
    match format {
        Format::Json => output::text(&format!("{}\n", serde_json::to_string(&report)?))?,
        Format::Text => {
            output::text(&text::render(&report, &TimeZone::system(), output::width()))?;
        }
    }
    Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The latest report of the running daemon.
pub(super) fn ask(config: &Config) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, body) = runtime
        .block_on(async { timeout(TIMEOUT, fetch(config)).await })
        .context("the daemon takes too long to answer")??;
    if status != StatusCode::OK {
        bail!("the daemon answers: {}", body.trim());
    }
    serde_json::from_str(&body).context("what answers is not backupflow of this version")
}

/// Asks at the status socket; at the web port where there is no socket, and the port asks for nothing.
async fn fetch(config: &Config) -> anyhow::Result<(StatusCode, String)> {
    let socket = config.status.socket.display();
    let listen = config.web.listen;
    match UnixStream::connect(&config.status.socket).await {
        Ok(stream) => report(stream).await,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            bail!("{socket} may not be asked by this user: see `mode` and `group` of `[status]`")
        }
        Err(error) if config.web.config_file.is_some() => Err(error).with_context(|| {
            format!("no daemon answers at {socket}: is backupflow.service running?")
        }),
        Err(_) => {
            let stream = TcpStream::connect(listen).await.with_context(|| {
                format!("no daemon answers at {socket} or {listen}: is backupflow.service running?")
            })?;
            report(stream).await
        }
    }
}

async fn report(
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> anyhow::Result<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/api/v1/report")
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
