//! `cargo xtask judges`: any number of frames before all judges, as root.

#![expect(clippy::print_stdout, reason = "it says what came of it")]
#![expect(clippy::disallowed_methods, reason = "how long it takes is worth knowing")]

use std::{env::args, error::Error, time::Instant};

use judges::{kernel, run};

/// Frames between two lines.
const CHAPTER: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = args().skip(1).map(|word| word.parse::<u64>());
    let (frames, seed) = (numbers.next().unwrap_or(Ok(CHAPTER))?, numbers.next().unwrap_or(Ok(1))?);
    kernel::enter_namespace()?;
    let started = Instant::now();
    // Each chapter has a seed of its own, so that a failure is soon seen again.
    for (chapter, first) in (0..frames).step_by(usize::try_from(CHAPTER)?).enumerate() {
        let seed = seed + chapter as u64;
        let judged = run::everywhere(seed, CHAPTER.min(frames - first))?;
        println!("seed {seed}: {judged}; {} s", started.elapsed().as_secs());
    }
    println!("{frames} frames, and the judges agree");
    Ok(())
}
