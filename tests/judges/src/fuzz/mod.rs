//! What is called with any bytes, and must neither panic nor break what it asserts.

mod capture;
mod catalog;
mod config;
mod http;
mod parser;
mod web;

pub use capture::capture;
pub use catalog::catalog;
pub use config::config;
pub use http::http;
pub use parser::parser;
pub use web::web;

/// A target: takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("capture", capture),
    ("catalog", catalog),
    ("config", config),
    ("http", http),
    ("parser", parser),
    ("web", web),
];
