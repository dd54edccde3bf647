//! The machine's own tools.

use std::{
    ffi::OsStr,
    io::Write as _,
    process::{Command, Output, Stdio},
};

/// A program to run.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the harness works with the machine's tools")]
    let command = Command::new(name);
    command
}

/// Runs a program to its end, whatever that is.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        let name = command.get_program().display();
        panic!("`{name}` cannot be run ({error}): install it for these tests")
    })
}

/// Runs a program that has to succeed, and gives what it printed.
pub fn run(name: &str, arguments: &[&str]) -> String {
    let output = output(program(name).args(arguments));
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "`{name} {}`: {stdout}{stderr}", arguments.join(" "));
    stdout
}

/// Runs a program that has to succeed with something to read.
pub fn feed(name: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = program(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("`{name}` cannot be run ({error}): install it for these tests")
        });
    // A program that does not read to the end says why in its own words.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

/// What a program printed: standard output and standard error.
pub fn text(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
