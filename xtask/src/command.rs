//! Runs other programs.

use std::{
    env,
    ffi::OsString,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// Tools of the administrator are not in everybody's path.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A program with its arguments, run from the repository's root, out of reach of Ctrl-C.
pub(crate) fn program(words: &[&str]) -> Command {
    let mut command = in_group(words);
    command.process_group(0);
    command
}

/// The same within reach of Ctrl-C.
pub(crate) fn in_group(words: &[&str]) -> Command {
    let (name, arguments) = words.split_first().unwrap_or((&"true", &[]));
    #[expect(clippy::disallowed_methods, reason = "running programs is what this crate is for")]
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root()).stdin(Stdio::null()).env("PATH", path(&[]));
    command
}

/// Runs a program that has to succeed, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("cannot run `{name}`"))?;
    if !status.success() {
        bail!("`{name}`: {status}");
    }
    Ok(())
}

/// Runs a program that has to succeed, and gives what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = describe(command);
    let output = command.output().with_context(|| format!("cannot run `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}`: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks a child of `program` and its children to end, and makes it when it does not.
pub(crate) fn end_group(child: &mut Child) {
    const PATIENCE: u32 = 100;
    let Ok(group) = i32::try_from(child.id()).map(Pid::from_raw) else {
        return;
    };
    for attempt in 0..PATIENCE {
        // Until it is waited for, its number cannot be another's.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        if attempt == 0 {
            _ = killpg(group, Signal::SIGTERM);
        }
        sleep(Duration::from_millis(100));
    }
    _ = killpg(group, Signal::SIGKILL);
    drop(child.wait());
}

fn describe(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Where programs are looked for, these folders first.
pub(crate) fn path(first: &[&str]) -> OsString {
    extended(env::var_os("PATH").unwrap_or_default(), first)
}

/// What is there already is not added again: a build by hand has the same path then, and nothing is built twice
/// (`monitor/build.rs` looks for its tools there).
fn extended(usual: OsString, first: &[&str]) -> OsString {
    let own: Vec<PathBuf> = env::split_paths(&usual).collect();
    let system = SYSTEM.map(PathBuf::from).into_iter().filter(|folder| !own.contains(folder));
    let folders = first.iter().map(PathBuf::from).chain(own.clone()).chain(system);
    env::join_paths(folders).unwrap_or(usual)
}

/// Whether a program is there.
pub(crate) fn is_there(name: &str) -> bool {
    is_in(&path(&[]), name)
}

fn is_in(path: &OsString, name: &str) -> bool {
    let is_program = |file: PathBuf| {
        file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(path).any(|folder| is_program(folder.join(name)))
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    root_of(env::var_os("CARGO_MANIFEST_DIR"))
}

/// Where cargo runs this program's package; where it was built, without cargo. In a checkout that was copied or moved with
/// what it had built, these differ.
fn root_of(run_in: Option<OsString>) -> PathBuf {
    let manifest = run_in.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().unwrap_or(&manifest).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_that_was_copied_works_on_itself() {
        assert_eq!(root_of(Some("/copied/xtask".into())), PathBuf::from("/copied"));
        assert_eq!(root_of(None), root());
    }

    #[test]
    fn folders_of_the_system_are_searched_and_added_once() {
        let path = |usual: &str, first: &[&str]| extended(usual.into(), first);
        assert_eq!(path("/bin", &["/a"]), "/a:/bin:/usr/sbin:/sbin");
        assert_eq!(path("/sbin:/bin:/usr/sbin", &[]), "/sbin:/bin:/usr/sbin");
    }

    #[test]
    fn only_what_can_be_run_is_a_program() {
        let folders = format!("/nowhere:/usr/bin:{}", root().display()).into();
        assert!(is_in(&folders, "env"));
        assert!(!is_in(&folders, "hostname-of-nothing"));
        // A file that nobody may run, and a folder.
        assert!(!is_in(&folders, "README.md"));
        assert!(!is_in(&folders, "."));
        assert!(!is_in(&OsString::new(), "env"));
    }

    #[test]
    fn a_failure_says_what_was_run_and_what_it_said() {
        let error = output(&mut program(&["ls", "/nowhere"])).unwrap_err().to_string();
        assert!(error.starts_with("`ls /nowhere`: exit status: 2\nls: "), "{error}");
        let error = format!("{:#}", run(&mut program(&["no-such-program", "x"])).unwrap_err());
        assert!(error.starts_with("cannot run `no-such-program x`: "), "{error}");
    }

    #[test]
    fn a_group_ends_with_its_children() {
        let mut child =
            program(&["sh", "-c", "sleep 60 & wait"]).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take();
        end_group(&mut child);
        // The pipe ends when nobody is left who holds it.
        assert_eq!(std::io::read_to_string(out.unwrap()).unwrap(), "");
    }
}
