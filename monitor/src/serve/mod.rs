//! What the daemon serves: metrics, the report and its health, all read-only.

mod http;
pub mod metrics;

pub use http::{Health, Reload, Shared, router};
