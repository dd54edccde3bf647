//! `cargo xtask soak`: what takes too long for every test run. Traffic stays in namespaces of its own.

#![expect(clippy::print_stdout, reason = "it is a command for a terminal")]

use std::{env, process::ExitCode};

use tests::{endurance::endure, kills};

const USAGE: &str = "usage: soak minutes NUMBER | soak kills NUMBER SEED";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["minutes", minutes] => {
            let Ok(minutes) = minutes.parse() else { return usage() };
            if let Err(why) = endure(minutes, |minute| println!("{minute}")) {
                println!("FAILED in {why}");
                return ExitCode::FAILURE;
            }
        }
        ["kills", rounds, seed] => {
            let (Ok(rounds), Ok(seed)) = (rounds.parse(), seed.parse()) else { return usage() };
            for mode in ["tcx", "clsact"] {
                println!("{mode}: {rounds} kills with seed {seed}");
                kills(mode, rounds, seed, |done| println!("{mode}: {done}"));
            }
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}
