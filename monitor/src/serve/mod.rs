//! What the daemon serves: the status page, metrics, the report and its health, all read-only.

mod history;
mod http;
pub mod metrics;
mod page;

pub use http::{Health, Reload, Shared, router};
