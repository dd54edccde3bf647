//! Writes the manual pages and the shells' completions into a directory, for the packages.

use std::{env, fs, path::Path};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};

fn main() -> anyhow::Result<()> {
    let directory = env::args_os().nth(1).context("name the directory to write into")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(monitor::cli::Arguments::command(), directory)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut monitor::cli::Arguments::command(), "backupflow", directory)?;
    }
    Ok(())
}
