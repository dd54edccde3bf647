//! One connection: TLS, one request, the guard, and the answer, each within a time.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use hyper::{body::Body as _, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Shared, http::router, passwords::Passwords, web::Refusal};
use crate::config::{Guard, Tls};

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const LONGEST: Duration = Duration::from_secs(15);
/// The longest head of a request in bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// The longest path in bytes, with its query.
const LONGEST_PATH: usize = 1 << 10;
/// What TLS keeps of an answer that the client does not read, in bytes.
const TLS_BUFFER: usize = 16 << 10;

/// What is said to those who do not speak TLS.
const SPEAK_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
                         this port speaks TLS: ask with https\n";

/// Who came in, and what there is to see.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Absent for the status socket, which has an owner and a mode.
    pub(super) guard: Option<Arc<Guard>>,
    pub(super) pages: Router,
    pub(super) passwords: Passwords,
    pub(super) shared: Shared,
}

/// Answers on the web port.
pub(super) async fn answer(stream: TcpStream, visit: Visit) {
    let shared = visit.shared.clone();
    let tls = visit.guard.as_ref().and_then(|guard| guard.tls.clone());
    let answered = timeout(LONGEST, async {
        match tls {
            None => respond(stream, visit).await,
            Some(tls) => {
                let stream = timeout(HANDSHAKE, shake_hands(stream, &tls)).await;
                respond(stream.or(Err(Refusal::Time))??, visit).await
            }
        }
    });
    if let Err(refusal) = answered.await.unwrap_or(Err(Refusal::Time)) {
        shared.web(|web| web.refuse(refusal));
    }
}

/// Answers on the status socket.
pub(super) async fn answer_status(stream: UnixStream, visit: Visit) {
    // A client that goes away or is slow is nobody's loss but its own.
    drop(timeout(LONGEST, respond(stream, visit)).await);
}

async fn shake_hands(mut stream: TcpStream, tls: &Tls) -> Result<TlsStream<TcpStream>, Refusal> {
    const RECORD_OF_HANDSHAKE: u8 = 22;
    let mut first = [0];
    if stream.peek(&mut first).await.is_ok_and(|bytes| bytes == 1) && first != [RECORD_OF_HANDSHAKE]
    {
        // What is read does not reset the connection before the answer is.
        drop(stream.try_read(&mut [0; 4096]));
        drop(stream.write_all(SPEAK_TLS.as_bytes()).await);
        drop(stream.shutdown().await);
        return Err(Refusal::Handshake);
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    let accepted = acceptor.accept_with(stream, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
    accepted.await.or(Err(Refusal::Handshake))
}

/// Answers the one request of a connection, behind TLS if there is any.
///
/// # Errors
///
/// What came in is no request, or took too long.
pub async fn respond(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    visit: Visit,
) -> Result<(), Refusal> {
    let pages = visit.pages.clone().layer(from_fn_with_state(visit, admit));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    match served.await {
        Err(error) if error.is_timeout() => Err(Refusal::Time),
        Err(error) if error.is_parse() => Err(Refusal::Request),
        // Whoever goes away early has no complaint.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Lets a request in to the pages, or says why not.
async fn admit(State(visit): State<Visit>, request: Request, next: Next) -> Response {
    let (refusal, response) = if let Some(response) = malformed(&request) {
        (Refusal::Request, response)
    } else if visit.knows(request.headers()).await {
        return next.run(request).await;
    } else {
        let ask = "Basic realm=\"backupflow\", charset=\"UTF-8\"";
        let ask = [(header::WWW_AUTHENTICATE, ask)];
        (Refusal::Password, (StatusCode::UNAUTHORIZED, ask).into_response())
    };
    visit.shared.web(|web| web.refuse(refusal));
    response
}

/// What is said to a request that no page answers.
fn malformed(request: &Request) -> Option<Response> {
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > LONGEST_PATH) {
        return Some(StatusCode::URI_TOO_LONG.into_response());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow).into_response());
    }
    (!request.body().is_end_stream()).then(|| StatusCode::PAYLOAD_TOO_LARGE.into_response())
}

impl Visit {
    /// A visitor of every page, with a store of passwords of its own.
    ///
    /// # Errors
    ///
    /// The kernel gives no random bytes.
    pub fn new(guard: Option<Arc<Guard>>, shared: Shared) -> anyhow::Result<Self> {
        let passwords = Passwords::new()?;
        Ok(Self { guard, pages: router(shared.clone()), passwords, shared })
    }

    async fn knows(&self, headers: &HeaderMap) -> bool {
        match &self.guard {
            Some(guard) if !guard.users.is_empty() => {
                self.passwords.are_right(&guard.users, headers).await
            }
            Some(_) | None => true,
        }
    }
}
