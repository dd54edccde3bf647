//! What the daemon serves: the status page, metrics, the report and its health, all read-only.

mod connection;
mod guard;
mod history;
mod http;
pub mod metrics;
mod page;
mod pages;
mod passwords;
mod runbooks;
mod server;
mod slots;
mod socket;
mod web;

pub use connection::{Visit, respond};
pub use http::{Health, Reload, Shared};
pub use server::Server;
pub use web::{Refusal, WebState};
