//! The pages: `/`, `/runbooks/CAUSE.md`, `/metrics`, `/api/v1/report`, `/api/v1/reload`, `/healthz` and `/readyz`.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    history::History,
    metrics, page,
    pages::{Kind, Pages},
    runbooks,
    web::WebState,
};
use crate::{clock::Clock, report::Report};

/// How old the last report may be before the daemon counts as hung.
const STALE: SignedDuration = SignedDuration::from_secs(15);

/// What the loop hands to the pages.
#[derive(Clone, Debug)]
pub struct Shared {
    latest: Arc<Mutex<Latest>>,
    clock: Clock,
}

#[derive(Debug)]
struct Latest {
    report: Option<Arc<Report>>,
    history: History,
    reload: Reload,
    web: WebState,
}

/// How the config was last read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reload {
    /// The daemon's process, which reads it again when told by SIGHUP.
    pub pid: i32,
    /// How often it was read since the start.
    pub reloads: u64,
    /// Why it was not applied the last time, a fault a line; `None` where it was.
    pub faults: Option<String>,
    /// When one was last applied.
    pub last_success: Timestamp,
}

/// How the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has not reported yet.
    Starting,
    /// It reports.
    Good,
    /// It has not reported for too long.
    Stale,
}

impl Shared {
    /// Nothing reported yet; the config was just read.
    pub fn new(clock: Clock) -> Self {
        let pid = std::process::id().try_into().unwrap_or(i32::MAX);
        let reload = Reload { pid, reloads: 0, faults: None, last_success: clock.now() };
        Self {
            latest: Arc::new(Mutex::new(Latest {
                report: None,
                history: History::default(),
                reload,
                web: WebState::default(),
            })),
            clock,
        }
    }

    /// Replaces the report.
    pub fn publish(&self, report: Report) {
        self.with(|latest| {
            latest.history.note(&report);
            latest.report = Some(Arc::new(report));
        });
    }

    /// Notes how a reload went: why the config was refused, if it was.
    pub fn reloaded(&self, faults: Option<String>) {
        let now = self.clock.now();
        self.with(|Latest { reload, .. }| {
            reload.reloads += 1;
            if faults.is_none() {
                reload.last_success = now;
            }
            reload.faults = faults;
        });
    }

    /// How the daemon is.
    pub fn health(&self) -> Health {
        match self.with(|latest| latest.report.as_ref().map(|report| report.taken)) {
            None => Health::Starting,
            Some(taken) if self.clock.now().duration_since(taken) > STALE => Health::Stale,
            Some(_) => Health::Good,
        }
    }

    /// Notes something about the web port, or asks.
    pub fn web<T>(&self, f: impl FnOnce(&mut WebState) -> T) -> T {
        self.with(|latest| f(&mut latest.web))
    }

    fn report(&self) -> Option<Arc<Report>> {
        self.with(|latest| latest.report.clone())
    }

    fn reload(&self) -> Reload {
        self.with(|latest| latest.reload.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Latest) -> T) -> T {
        // A panic elsewhere leaves a report that is whole: it is replaced in one step.
        let mut latest = self.latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&mut latest)
    }
}

/// What the pages are made from.
#[derive(Clone, Debug)]
struct Served {
    shared: Shared,
    pages: Pages,
}

/// Every page.
pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics_page))
        .route("/api/v1/report", get(report_page))
        .route("/api/v1/reload", get(reload_page))
        .route("/runbooks/{file}", get(runbook))
        .route("/healthz", get(health_page))
        .route("/readyz", get(ready_page))
        .with_state(Served { shared, pages: Pages::default() })
}

/// The page asks for nothing else, and a browser holds it to that.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn status_page(State(served): State<Served>, headers: HeaderMap) -> Response {
    let shared = served.shared.clone();
    let page = served.page("/", "text/html; charset=utf-8", &headers, |report, out| {
        let zone = TimeZone::system();
        let page = shared.with(|latest| page::render(report, &latest.history, &zone));
        out.write_all(page.as_bytes())
    });
    let headers = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

async fn metrics_page(State(served): State<Served>, headers: HeaderMap) -> Response {
    let shared = served.shared.clone();
    served.page("/metrics", metrics::CONTENT_TYPE, &headers, |report, out| {
        let web = shared.web(|web| web.clone());
        metrics::write(out, report, &shared.reload(), &web)
    })
}

async fn report_page(State(served): State<Served>, headers: HeaderMap) -> Response {
    served.page("/api/v1/report", "application/json", &headers, |report, out| {
        Ok(serde_json::to_writer(out, report)?)
    })
}

async fn reload_page(State(served): State<Served>) -> Response {
    match serde_json::to_string(&served.shared.reload()) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn runbook(Path(file): Path<String>) -> Response {
    match file.strip_suffix(".md").and_then(runbooks::page) {
        Some(text) => ([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Served {
    fn page(
        &self,
        path: &'static str,
        content_type: &'static str,
        headers: &HeaderMap,
        make: impl FnOnce(&Report, &mut dyn Write) -> io::Result<()>,
    ) -> Response {
        // Not a scrape without the series of flows: they would seem to have come into being later.
        let Some(report) = self.shared.report() else {
            return (StatusCode::SERVICE_UNAVAILABLE, "no report yet\n").into_response();
        };
        let gzip = takes_gzip(headers);
        match self.pages.get(Kind { path, gzip }, report.taken, |out| make(&report, out)) {
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
            Ok(page) => {
                let headers =
                    [(header::CONTENT_TYPE, content_type), (header::VARY, "accept-encoding")];
                let gzip = gzip.then_some([(header::CONTENT_ENCODING, "gzip")]);
                (headers, gzip, page).into_response()
            }
        }
    }
}

/// Whether the client takes gzip: it names it, and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let is_zero =
                weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
            name.trim().eq_ignore_ascii_case("gzip") && !is_zero
        },
    )
}

async fn health_page(State(served): State<Served>) -> Response {
    match served.shared.health() {
        Health::Starting | Health::Good => "ok\n".into_response(),
        Health::Stale => {
            (StatusCode::SERVICE_UNAVAILABLE, "no new report for too long\n").into_response()
        }
    }
}

async fn ready_page(State(served): State<Served>) -> Response {
    match served.shared.health() {
        Health::Good => "ready\n".into_response(),
        Health::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Health::Stale => {
            (StatusCode::SERVICE_UNAVAILABLE, "no new report for too long\n").into_response()
        }
    }
}
