//! Hostile input, and who judges what is made of it.
//!
//! Three judges look at the same [`frames`]: the shared parser, an independent [`mod@reference`], and the loaded
//! programs ([`kernel`]), whose counters have to be those of the [`model`]. [`fuzz`] has what coverage-guided
//! fuzzing calls; the files that it kept are in `tests/fuzz/corpus`.

#![expect(clippy::unwrap_used, reason = "a judge that is wrong ends the test")]

pub mod frames;
pub mod fuzz;
pub mod kernel;
pub mod model;
pub mod parser;
pub mod reference;
pub mod run;
