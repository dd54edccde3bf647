//! `cargo xtask scenarios`: random scenarios, all of which have to be judged as the model judges them. Traffic
//! stays in namespaces of its own.

#![expect(clippy::print_stdout, reason = "it is a command for a terminal")]

use std::{env, process::ExitCode};

use tests::scenarios::disagreements;

const USAGE: &str = "usage: scenarios mixed|healthy NUMBER SEED";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (is_healthy, count, first) = match words.as_slice() {
        [kind @ ("mixed" | "healthy"), count, first] => match (count.parse(), first.parse()) {
            (Ok(count), Ok(first)) => (*kind == "healthy", count, first),
            _ => return usage(),
        },
        _ => return usage(),
    };
    let seeds: Vec<u64> = (first..).take(count).collect();
    let wrong = disagreements(&seeds, is_healthy, |done| println!("{done} played"));
    for disagreement in &wrong {
        println!("{disagreement}\n");
    }
    println!("{} disagreements in {count} scenarios", wrong.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}
