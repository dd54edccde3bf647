//! The pages: `/`, `/metrics`, `/api/v1/report`, `/healthz` and `/readyz`.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tower_http::compression::CompressionLayer;

use super::{history::History, metrics, page};
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
}

/// How the config was last read.
#[derive(Clone, Copy, Debug)]
pub struct Reload {
    /// Whether it was taken over.
    pub successful: bool,
    /// When one was last taken over.
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
        let reload = Reload { successful: true, last_success: clock.now() };
        Self {
            latest: Arc::new(Mutex::new(Latest {
                report: None,
                history: History::default(),
                reload,
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

    /// Notes how a reload went.
    pub fn reloaded(&self, successful: bool) {
        let now = self.clock.now();
        self.with(|latest| {
            latest.reload.successful = successful;
            if successful {
                latest.reload.last_success = now;
            }
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

    fn report(&self) -> Option<Arc<Report>> {
        self.with(|latest| latest.report.clone())
    }

    fn reload(&self) -> Reload {
        self.with(|latest| latest.reload)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Latest) -> T) -> T {
        // A panic elsewhere leaves a report that is whole: it is replaced in one step.
        let mut latest = self.latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&mut latest)
    }
}

/// Every page.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics_page))
        .route("/api/v1/report", get(report_page))
        .route("/healthz", get(health_page))
        .route("/readyz", get(ready_page))
        .layer(CompressionLayer::new())
        .with_state(shared)
}

/// The page asks for nothing else, and a browser holds it to that.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn status_page(State(shared): State<Shared>) -> Response {
    let Some(report) = shared.report() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no report yet\n").into_response();
    };
    let page = shared.with(|latest| page::render(&report, &latest.history, &TimeZone::system()));
    let headers = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page)).into_response()
}

async fn metrics_page(State(shared): State<Shared>) -> Response {
    // Not a scrape without the series of flows: they would seem to have come into being later.
    let Some(report) = shared.report() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no report yet\n").into_response();
    };
    match metrics::render(&report, shared.reload()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn report_page(State(shared): State<Shared>) -> Response {
    match shared.report() {
        Some(report) => Json(&*report).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no report yet\n").into_response(),
    }
}

async fn health_page(State(shared): State<Shared>) -> Response {
    match shared.health() {
        Health::Starting | Health::Good => "ok\n".into_response(),
        Health::Stale => {
            (StatusCode::SERVICE_UNAVAILABLE, "no new report for too long\n").into_response()
        }
    }
}

async fn ready_page(State(shared): State<Shared>) -> Response {
    match shared.health() {
        Health::Good => "ready\n".into_response(),
        Health::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Health::Stale => {
            (StatusCode::SERVICE_UNAVAILABLE, "no new report for too long\n").into_response()
        }
    }
}
