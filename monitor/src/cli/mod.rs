//! The commands, one file each.

mod catalog;
mod check;
mod client;
mod doctor;
mod output;
mod probe;
mod reload;
mod replay;
mod run;
mod status;
mod suggest;
mod watch;

use std::{net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum, value_parser};

use crate::{config::DEFAULT_PATH, daemon::Options, kernel::Mode};

/// Watches backup traffic and says which documented flow is missing, blocked or refused, and why.
///
/// Exit codes: 0 fine, 1 discrepancies or a failed check, 2 wrong usage, 78 a daemon whose config has faults.
#[derive(Debug, Parser)]
#[command(name = "backupflow", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch this host's traffic and serve what is found, until told to stop.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// How programs are attached to TC [default: the better one this kernel has].
        #[arg(long, value_enum)]
        attach: Option<Mode>,
        /// Let the kernel programs log rare events too.
        #[arg(long)]
        kernel_log: bool,
    },
    /// Check a config file: all faults at once, each with its line.
    Check {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        output: Output,
    },
    /// Have the running daemon read its config again. One with faults is refused: they are printed, and the exit code
    /// is 1.
    Reload {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Ask the running daemon what works and what does not.
    Status {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        output: Output,
    },
    /// Show what the running daemon says, live in the terminal.
    Watch {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Try each flow that this host opens once, now, and close it at once. These are attempts of this host
    /// like any other: one that fails makes its flow fail, and alerts.
    Probe {
        #[command(flatten)]
        config: ConfigFile,
        /// How long a peer may take to answer, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = value_parser!(u64).range(1..=60))]
        timeout: u64,
        #[command(flatten)]
        output: Output,
    },
    /// Judge a capture (pcap or pcapng) as the daemon judges traffic; needs no rights.
    ///
    /// What a capture cannot show, such as what this host drops before the wire, is `unknown`. Names
    /// among the peers are not looked up.
    Replay {
        /// The capture.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
        /// An address of the host that it was taken at; give each that it has [default: the one that is in every packet].
        #[arg(long, value_name = "ADDRESS")]
        host: Vec<IpAddr>,
        #[command(flatten)]
        output: Output,
    },
    /// Print a first config, made from what listens here and which connections there are.
    ///
    /// Nothing is changed. Redirect it to a file, read the reasons, correct it, and `check` it.
    Suggest {
        /// Count packets for so long too (up to 24h), which needs root: it sees what comes and goes.
        #[arg(long, value_name = "TIME", value_parser = suggest::seconds)]
        watch: Option<u64>,
        #[command(flatten)]
        output: Output,
    },
    /// Say what of this kernel and of this process's rights is there, and what is lost without it.
    Doctor {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        output: Output,
    },
    /// Look up the documented flows.
    Catalog {
        #[command(subcommand)]
        command: catalog::Command,
    },
}

/// Which config.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The config file.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

/// In which form.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Output {
    /// The form of the output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The form of what a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Arguments {
    /// Runs the command.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run { config, attach, kernel_log } => {
                let attach = attach.unwrap_or_else(Mode::of_this_kernel);
                run::run(Options { config: config.config, attach, kernel_log })
            }
            Command::Check { config, output } => check::run(&config.config, output.format),
            Command::Reload { config } => reload::run(&config.config),
            Command::Status { config, output } => status::run(&config.config, output.format),
            Command::Watch { config } => watch::run(&config.config),
            Command::Probe { config, timeout, output } => {
                probe::run(&config.config, Duration::from_secs(timeout), output.format)
            }
            Command::Replay { file, config, host, output } => {
                replay::run(&file, &config.config, host, output.format)
            }
            Command::Suggest { watch, output } => suggest::run(watch, output.format),
            Command::Doctor { config, output } => doctor::run(&config.config, output.format),
            Command::Catalog { command } => catalog::run(command),
        }
    }
}
