//! What samples take on disk once they are in blocks, by promtool.

use std::{
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{exposition::Exposition, server::now};
use crate::command::{output, program};

/// What one block holds, in seconds, and how many are made.
const BLOCK: u64 = 2 * 60 * 60;
const BLOCKS: u64 = 2;

/// Seconds between two scrapes.
const INTERVAL: u64 = 30;

/// Bytes of a sample, with its part of the index, in blocks of one host.
pub(crate) fn measure(folder: &Path, host: &Exposition) -> anyhow::Result<f64> {
    let text = folder.join("host.om");
    let blocks = folder.join("blocks");
    write(&text, host).with_context(|| text.display().to_string())?;
    let [text, data] = [&text, &blocks].map(|path| path.display().to_string());
    output(&mut program(&[
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        &text,
        &data,
    ]))?;
    fs::remove_file(text)?;
    let mut samples = 0.0;
    for block in fs::read_dir(&blocks)? {
        let meta: Value = serde_json::from_slice(&fs::read(block?.path().join("meta.json"))?)?;
        samples += meta["stats"]["numSamples"].as_f64().unwrap_or_default();
    }
    ensure!(samples > 0.0, "promtool has made no block");
    Ok(size(&blocks)? / samples)
}

/// Four hours of one host, as a Prometheus would have taken them.
fn write(file: &Path, host: &Exposition) -> io::Result<()> {
    let mut out = BufWriter::new(fs::File::create(file)?);
    let start = (now() / BLOCK - BLOCKS) * BLOCK;
    for at in (0..BLOCKS * BLOCK / INTERVAL).map(|nth| start + nth * INTERVAL) {
        for (series, value) in host.values(1, at - start, at) {
            let host = r#"job="backupflow",instance="127.1.0.1""#;
            match series.split_once('{') {
                Some((name, labels)) => writeln!(out, "{name}{{{host},{labels} {value} {at}"),
                None => writeln!(out, "{series}{{{host}}} {value} {at}"),
            }?;
        }
    }
    writeln!(out, "# EOF")?;
    out.flush()
}

/// Bytes of all files below a folder.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn size(folder: &Path) -> io::Result<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() as f64 };
    }
    Ok(bytes)
}
