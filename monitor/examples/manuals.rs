//! Writes the manual pages and the shells' completions below a directory, for the packages.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use monitor::cli::Arguments;

fn main() -> anyhow::Result<()> {
    let below =
        env::args_os().nth(1).map(PathBuf::from).context("where are they to be written?")?;
    let [man, completions] = ["man", "completions"].map(|name| below.join(name));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Arguments::command(), man)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut Arguments::command(), "backupflow", &completions)?;
    }
    Ok(())
}
