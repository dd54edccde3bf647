//! The program `backupflow`.

use std::process::ExitCode;

use clap::Parser as _;

#[expect(clippy::print_stderr, reason = "an error of a command goes to the terminal")]
fn main() -> ExitCode {
    match monitor::cli::Arguments::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("backupflow: {error:#}");
            ExitCode::from(1)
        }
    }
}
