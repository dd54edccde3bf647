//! Every command of the README is run, block by block, as it stands there.

use std::{fmt::Write as _, fs, path::Path, process::Stdio};

use tests::{Namespace, binary, command::program};

/// Commands of the README that something else runs: this test would otherwise run itself.
const RUN_ELSEWHERE: &[&str] =
    &["cargo xtask demo", "cargo xtask test", "cargo xtask bench", "cargo xtask setup"];

/// The `sh` blocks of a Markdown text.
fn shell_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// The first block of a language after a heading.
fn block_after<'a>(text: &'a str, heading: &str, language: &str) -> &'a str {
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn commands_of_the_readme_work_as_they_stand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let blocks = shell_blocks(&readme);
    assert!(blocks.len() >= 5, "{blocks:?}");

    // The build is the one under test, in the place where the README's build puts its own.
    let mut script = String::from("set -euo pipefail -o monitor\nbuilt=$(mktemp -d)\n");
    script.push_str("cp -r docs \"$built\"/\nmkdir -p \"$built\"/target/release\n");
    writeln!(script, "cp {} \"$built\"/target/release/backupflow", binary().display()).unwrap();
    script.push_str("cd \"$built\"\ntrap 'cd /; rm -r \"$built\"' EXIT\n");
    // Nothing of the machine is changed: these places are empty ones of this test's own.
    script.push_str("mount -t tmpfs none /usr/local/bin\n");
    script.push_str("mount -t tmpfs none /etc\n");
    script.push_str("mount -t tmpfs none /var/lib\n");
    script.push_str("mount -t tmpfs none /run\n");
    let mut run = 0;
    for block in &blocks {
        for line in block.lines() {
            let elsewhere = RUN_ELSEWHERE.contains(&line);
            if elsewhere || line.starts_with("cargo build ") {
                continue;
            }
            run += 1;
            let command = line.trim();
            let quoted = command.replace('\'', "'\\''");
            writeln!(script, "echo '$ {quoted}'\n{command}").unwrap();
            if command.contains("config.example.toml") {
                let config = block_after(&readme, "First result in five minutes", "toml");
                script.push_str("cat > /etc/backupflow/config.toml <<'CONFIG'\n");
                script.push_str(config);
                script.push_str("CONFIG\n");
            }
        }
    }
    assert!(run >= 13, "{run} commands in {blocks:?}");
    script.push_str("wait || true\n");

    let namespace = Namespace::new("readme");
    let output = program("nsenter")
        .arg(format!("--net={}", namespace.path().display()))
        .args(["--", "unshare", "--mount", "bash", "-c", &script])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    for expected in [
        "gigavault-storage",
        "\"schema\":1",
        "backupflow_expectation_verdict{",
        "backupflow works here",
        "agent-50051",
    ] {
        assert!(stdout.contains(expected), "{expected:?} is not in\n{stdout}\n{stderr}");
    }
    assert!(stderr.contains("config reloaded"), "{stderr}");
}
