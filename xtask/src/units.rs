//! The systemd units: what systemd says of them, and how exposed the service is.

use std::fs;

use anyhow::{Context as _, bail};

use crate::command::{output, program, root, target};

const SERVICE: &str = "backupflow.service";
const SOCKET: &str = "backupflow.socket";

/// The most exposure, in tenths: of the service as it is, and of one whose port systemd owns.
const MOST: [(&str, u32); 2] = [("alone", 16), ("with the socket", 13)];

/// Checks the units, and that `docs/capabilities.md` states their scores.
pub(crate) fn run() -> anyhow::Result<()> {
    let units = root().join("deploy/systemd");
    let read = |name: &str| fs::read_to_string(units.join(name)).context(name.to_owned());
    let (service, socket_only) = (read(SERVICE)?, read("socket-only.conf")?);
    let stated = fs::read_to_string(root().join("docs/capabilities.md"))?;
    let stage = target().join("units");
    fs::create_dir_all(&stage)?;
    fs::copy(units.join(SOCKET), stage.join(SOCKET)).context(SOCKET)?;
    for ((what, most), text) in MOST.into_iter().zip([service.clone(), service + &socket_only]) {
        // Of the program it is only looked whether it is there.
        let text = text.replace("/usr/bin/backupflow", "/usr/bin/true");
        let file = stage.join(SERVICE);
        fs::write(&file, text)?;
        let verify = ["systemd-analyze", "verify", "--man=no"];
        let verified = program(&verify).arg(&file).arg(stage.join(SOCKET)).output()?;
        // Of an unknown key it only warns.
        if !verified.status.success() || !verified.stderr.is_empty() {
            bail!("{}", String::from_utf8_lossy(&verified.stderr).trim());
        }
        let security = ["systemd-analyze", "security", "--offline=true", "--no-pager"];
        let said = output(program(&security).arg(format!("--threshold={most}")).arg(&file))?;
        let score = score(&said).context("systemd-analyze gives no score")?;
        println!("{SERVICE} {what}: exposure {score}");
        if !stated.contains(&format!("**{score}**")) {
            bail!("docs/capabilities.md does not state {score}");
        }
    }
    Ok(())
}

/// The number in `Overall exposure level for x.service: 1.6 OK`.
fn score(said: &str) -> Option<&str> {
    said.split_once("exposure level for ")?.1.split_once(": ")?.1.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_read() {
        assert_eq!(score("x\n→ Overall exposure level for a.service: 1.6 OK 🙂\n"), Some("1.6"));
        assert_eq!(score("Failed"), None);
    }
}
