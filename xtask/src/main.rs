//! What a contributor runs: `cargo xtask setup|demo|test|bench|soak|scenarios|judges|fuzz|miri|fleet|dist|packages-test|image-test|vmtest|tidy`.

#![expect(clippy::print_stdout, reason = "these are commands for a terminal")]

mod bench;
mod build;
mod command;
mod demo;
mod dist;
mod fleet;
mod fuzz;
mod image;
mod judges;
mod miri;
mod notices;
mod packages;
mod scenarios;
mod setup;
mod soak;
mod stop;
mod supply;
mod test;
mod tidy;
mod units;
mod vmtest;

use std::process::ExitCode;

use clap::Parser;

/// What a contributor runs.
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
enum Task {
    /// Get the compiler for the kernel programs and the tools of the tests, unless they are there.
    Setup,
    /// Show the main job on real traffic, between namespaces of this machine.
    Demo {
        /// Leave it running until Enter or Ctrl-C, to look at.
        #[arg(long)]
        keep: bool,
    },
    /// Everything that has to hold: format, lints, documentation, tests, house rules.
    Test,
    /// Measure what the kernel programs cost.
    Bench,
    /// Run the released daemon under mixed traffic for a long time, or kill it again and again.
    Soak {
        /// How long it runs.
        #[arg(long, default_value_t = 60)]
        minutes: u16,
        /// Instead, kill it so many times in each way to be attached.
        #[arg(long, conflicts_with = "minutes")]
        kills: Option<u32>,
        /// When it is killed follows from this number.
        #[arg(long, requires = "kills")]
        seed: Option<u64>,
    },
    /// Play random scenarios with real packets, which have to be judged as a plain model judges them.
    Scenarios {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        count: u32,
        /// The first seed; every scenario has the next one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Play such of which nothing fails, beside scans, checks and what containers do.
        #[arg(long)]
        healthy: bool,
    },
    /// Put random frames before the parser, an independent one and the kernel, which have to agree.
    Judges {
        /// How many.
        #[arg(long, default_value_t = 10_000_000)]
        frames: u64,
        /// The first seed; every million has the next one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Fuzz what takes bytes from others, with the nightly toolchain.
    Fuzz {
        /// One of the folders in tests/fuzz/corpus; all of them if it is left out.
        target: Option<String>,
        /// How long each.
        #[arg(long, default_value_t = 30)]
        minutes: u16,
    },
    /// Run the tests of what kernel and daemon share in an interpreter that sees undefined behaviour.
    Miri {
        /// A toolchain with the components miri and rust-src.
        #[arg(long, default_value = "nightly")]
        toolchain: String,
    },
    /// Measure what many hosts cost one Prometheus.
    Fleet {
        /// How many hosts there are, at most 10000.
        #[arg(long, default_value_t = 1000)]
        hosts: u16,
        /// How long they are scraped, 2 to 60.
        #[arg(long, default_value_t = 6)]
        minutes: u16,
    },
    /// Build the packages: a `.deb` and an `.rpm`, into `target/dist`.
    Dist,
    /// Install, run, upgrade and remove the packages in a container with systemd, as root.
    PackagesTest {
        /// The release of Debian in it; the default is the oldest that the packages are for.
        #[arg(long, default_value = "bookworm")]
        suite: String,
    },
    /// Build the container image and run it, as root.
    ImageTest,
    /// Run the tests with real packets on Debian's kernels, from the oldest supported one to the newest, in QEMU.
    Vmtest(vmtest::Options),
    /// Check the house rules.
    Tidy,
}

fn main() -> ExitCode {
    match run(&Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Setup => setup::run(),
        Task::Demo { keep } => demo::run(*keep),
        Task::Test => test::run(),
        Task::Bench => bench::run(),
        Task::Soak { minutes, kills, seed } => soak::run(*minutes, *kills, *seed),
        Task::Scenarios { count, seed, healthy } => scenarios::run(*count, *seed, *healthy),
        Task::Judges { frames, seed } => judges::run(*frames, *seed),
        Task::Fuzz { target, minutes } => fuzz::run(target.as_deref(), *minutes),
        Task::Miri { toolchain } => miri::run(toolchain),
        Task::Fleet { hosts, minutes } => fleet::run(*hosts, *minutes),
        Task::Dist => dist::run(),
        Task::PackagesTest { suite } => packages::run(suite),
        Task::ImageTest => image::run(),
        Task::Vmtest(options) => vmtest::run(options),
        Task::Tidy => tidy::run(),
    }
}
