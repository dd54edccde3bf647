//! `vmtest`: the tests with real packets on other kernels, each in a machine of its own.

mod doctor;
mod image;
mod kernel;
mod machine;
mod said;
mod scenarios;
mod verified;

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{bail, ensure};
use clap::Args;

use crate::{
    command::{output, program, target},
    setup,
};
use image::Programs;
use kernel::{Fetched, KERNELS, Kernel};
use machine::Task;
use said::Said;
use verified::Counts;

/// Programs, and Debian's packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("xz", "xz-utils"),
    ("strip", "binutils"),
    ("wg", "wireguard-tools"),
];

/// As many machines run at a time.
const AT_A_TIME: usize = 2;

/// What is asked for.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Options {
    /// Only this kernel: 5.10, 6.1, 6.12 or newest. Can be given more than once.
    #[arg(long = "kernel", value_name = "LINE")]
    kernels: Vec<String>,
    /// Only the scenarios that are run with `cargo xtask test`.
    #[arg(long)]
    core: bool,
    /// Write down anew what `doctor` says on each kernel, and how many instructions its verifier looks at.
    #[arg(long)]
    bless: bool,
    /// Only tests whose names have one of these in them.
    tests: Vec<String>,
}

impl Options {
    /// What `cargo xtask test` runs.
    pub(crate) fn core() -> Self {
        Self { core: true, ..Self::default() }
    }
}

/// Boots the kernels and runs the scenarios in each.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let kernels = chosen(&options.kernels)?;
    setup::ensure_packages(PACKAGES)?;
    let folder = target().join("vmtest");
    let fetched: Vec<Fetched> =
        kernels.into_iter().map(|kernel| kernel.fetch(&folder)).collect::<Result<_, _>>()?;
    println!("vmtest: building");
    let programs = Programs::build()?;
    let image = programs.pack(&folder)?;
    let filters = scenarios::filters(options);
    let expected = listed(&programs.tests, &filters)?;
    let patience = if options.core { 1800 } else { 3600 };
    let task = Task { image: &image, arguments: &filters.join(" "), core: options.core, patience };
    let mut known = verified::read()?;
    let mut faults = 0;
    println!("vmtest: {} tests on {} kernels", expected.len(), fetched.len());
    for (fetched, said) in run_all(&fetched, &task, &folder)? {
        if options.bless {
            doctor::write(fetched, &said.doctor)?;
            known.insert(fetched.kernel.line.to_owned(), said.verified.clone());
        }
        faults += report(fetched, &said, &expected, options.core, &known);
    }
    if options.bless {
        verified::write(&known)?;
    }
    ensure!(faults == 0, "what does not hold on every kernel: {faults}");
    Ok(())
}

/// What was said on each kernel. As many run at a time as may; the newest and the oldest are the
/// first, since they have the most to do.
fn run_all<'f>(
    fetched: &'f [Fetched],
    task: &Task<'_>,
    folder: &Path,
) -> anyhow::Result<Vec<(&'f Fetched, Said)>> {
    let mut order: Vec<&Fetched> = fetched.iter().collect();
    order.rotate_right(1);
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || order.get(next.fetch_add(1, Ordering::Relaxed)).copied();
        let turns = iter::from_fn(take).map(|fetched| {
            let said = machine::run(fetched, task, folder)?;
            println!("vmtest: {} has ended", fetched.release);
            anyhow::Ok((fetched, said))
        });
        turns.collect::<anyhow::Result<Vec<_>>>()
    };
    let ended = thread::scope(|scope| {
        let running: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut all = Vec::new();
    for worker in ended {
        let Ok(said) = worker else { bail!("the thread of a machine ended") };
        all.extend(said?);
    }
    all.sort_by_key(|(done, _)| fetched.iter().position(|other| other.release == done.release));
    Ok(all)
}

fn chosen(lines: &[String]) -> anyhow::Result<Vec<Kernel>> {
    if let Some(line) = lines.iter().find(|line| KERNELS.iter().all(|kernel| kernel.line != **line))
    {
        bail!("no kernel {line}: there are {}", KERNELS.map(|kernel| kernel.line).join(", "));
    }
    let is_chosen =
        |kernel: &Kernel| lines.is_empty() || lines.iter().any(|line| line == kernel.line);
    Ok(KERNELS.into_iter().filter(is_chosen).collect())
}

/// The tests that these arguments choose.
fn listed(tests: &Path, arguments: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let mut command = program(&["env"]);
    let listed = output(command.arg(tests).args(["--list", "--format=terse"]).args(arguments))?;
    Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Prints what holds on a kernel, and gives how much does not.
fn report(
    fetched: &Fetched,
    said: &Said,
    expected: &BTreeSet<String>,
    core: bool,
    known: &Counts,
) -> usize {
    let line = fetched.kernel.line;
    println!("\n== {line} ({})", fetched.release);
    print!("{}", said.doctor);
    let mut faults = verified::compare(known.get(line).unwrap_or(&BTreeMap::new()), &said.verified);
    faults.extend(doctor::compare(fetched, &said.doctor));
    let (mut held, mut skipped) = (0, 0);
    for name in expected {
        if let Some(why) = scenarios::skipped(line, name, core) {
            println!("{name}: not run: {why}");
            skipped += 1;
            continue;
        }
        match said.tests.get(name) {
            Some(true) => held += 1,
            Some(false) => faults.push(format!("{name}: failed")),
            None => faults.push(format!("{name}: did not come to its end")),
        }
    }
    if !said.ended {
        faults.push("the machine did not come to its end".to_owned());
    }
    print!("{}", said.failures);
    println!("{line}: {held} tests hold, {skipped} were not run, {} faults", faults.len());
    for fault in &faults {
        println!("  {fault}");
    }
    faults.len()
}
