//! The supply chain: licences, sources and known faults of what is built in.

use crate::{
    command::{in_group, output, run as execute},
    setup,
};

/// Checks what `deny.toml` asks for. The database of known faults is another machine's: where it
/// cannot be reached, that is said, and nothing fails.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::ensure_cargo_tool("cargo-deny", "0.20.2")?;
    execute(&mut in_group(&["cargo", "deny", "check", "bans", "licenses", "sources"]))?;
    let fetch = ["cargo", "deny", "fetch", "db"];
    if output(&mut in_group(&fetch)).is_err() {
        println!("the database of advisories cannot be reached: known faults were not looked for");
        return Ok(());
    }
    execute(&mut in_group(&["cargo", "deny", "check", "--disable-fetch", "advisories"]))
}
