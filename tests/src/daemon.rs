//! The real daemon in a namespace.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{
    DEADLINE, Expectation, Flow, Namespace, Report, Wire,
    command::{output, program, text},
    http::{self, Response},
    until,
};

/// Where it listens, inside its namespace.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10150);

/// How long loading and attaching may take on a machine with other work.
const START: Duration = Duration::from_secs(40);

/// A running daemon. It is killed with the value.
#[derive(Debug)]
pub struct Daemon<'n> {
    namespace: &'n Namespace,
    directory: PathBuf,
    child: Child,
}

/// The program under test: `BACKUPFLOW_BIN`, else what the same build made beside the tests.
pub fn binary() -> PathBuf {
    let path = env::var_os("BACKUPFLOW_BIN").map_or_else(
        || {
            let test = env::current_exe().unwrap();
            test.parent().and_then(Path::parent).unwrap().join("backupflow")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is not there: build it by `cargo build -p monitor`, or name it in BACKUPFLOW_BIN",
        path.display(),
    );
    path
}

fn directory(namespace: &Namespace) -> PathBuf {
    env::temp_dir().join(namespace.name())
}

/// Where files for a daemon of a namespace may be before it starts. It goes with the daemon.
pub fn folder(namespace: &Namespace) -> PathBuf {
    let directory = directory(namespace);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A config of which no map is left pinned and no file is left, and which has a status socket of its
/// own, unless it says itself where.
fn of_its_own(config: &str, namespace: &Namespace) -> String {
    let state = format!("file = \"{}\"\n", directory(namespace).join("state.json").display());
    let socket = format!("socket = \"{}\"\n", socket(namespace).display());
    let keys = [
        ("[kernel]\n", "pin", "pin = \"/proc/nowhere\"\n"),
        ("[state]\n", "file", &state),
        ("[status]\n", "socket", &socket),
    ];
    keys.into_iter().fold(config.to_owned(), |config, (section, key, line)| {
        if config.contains(&format!("\n{key} = ")) {
            config
        } else if config.contains(section) {
            config.replace(section, &format!("{section}{line}"))
        } else {
            format!("{config}\n{section}{line}")
        }
    })
}

/// Where its status socket is.
fn socket(namespace: &Namespace) -> PathBuf {
    directory(namespace).join("status.sock")
}

impl<'n> Daemon<'n> {
    /// Starts it with the text of a config, and waits until it is ready.
    pub fn start(namespace: &'n Namespace, config: &str) -> Self {
        Self::start_with(namespace, config, &[])
    }

    /// The same with further arguments of `run`.
    pub fn start_with(namespace: &'n Namespace, config: &str, arguments: &[&str]) -> Self {
        let mut daemon = Self::launch(namespace, config, arguments);
        daemon.wait();
        daemon
    }

    /// The same with other files in its `/etc`, and no others.
    pub fn start_with_etc(namespace: &'n Namespace, config: &str, files: &[(&str, &str)]) -> Self {
        let etc = directory(namespace).join("etc");
        fs::create_dir_all(&etc).unwrap();
        for (file, text) in files {
            fs::write(etc.join(file), text).unwrap();
        }
        let mut daemon = Self::launch(namespace, config, &[]);
        daemon.wait();
        daemon
    }

    /// Starts it and does not wait.
    pub fn launch(namespace: &'n Namespace, config: &str, arguments: &[&str]) -> Self {
        Self::launch_by(namespace, &[], config, arguments)
    }

    /// The same by another program: its words come before the daemon's.
    pub fn launch_by(
        namespace: &'n Namespace,
        by: &[&str],
        config: &str,
        arguments: &[&str],
    ) -> Self {
        let directory = folder(namespace);
        fs::write(directory.join("config.toml"), of_its_own(config, namespace)).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let etc = directory.join("etc");
        let mut command = program("nsenter");
        command.arg(format!("--net={}", namespace.path().display())).arg("--");
        if etc.is_dir() {
            command.args(["unshare", "--mount", "sh", "-c"]);
            command.arg("mount --bind \"$0\" /etc && exec \"$@\"").arg(etc);
        }
        let child = command
            .args(by)
            .arg(binary())
            .args(["run", "--config"])
            .arg(directory.join("config.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { namespace, directory, child }
    }

    /// Waits until it is ready.
    pub fn wait(&mut self) {
        until("the daemon's start", START, || self.ready());
    }

    fn ready(&mut self) -> Result<(), String> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the daemon ended with {status}:\n{}", self.log());
        }
        match self.ask_socket("/readyz") {
            Ok(Response { status: 200, .. }) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.process().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.process().join("fd")).unwrap().count()
    }

    /// Processor time since its start, of the process and of the kernel for it, in ticks of 10 ms.
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.process().join("stat")).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let fields = after_name.split_whitespace().skip(11).take(2);
        fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string())
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// Where its config is.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("config.toml")
    }

    /// Writes a file of the `/etc` that it was started with.
    pub fn write_etc(&self, file: &str, text: &str) {
        fs::write(self.directory.join("etc").join(file), text).unwrap();
    }

    /// Replaces the config and tells it so.
    pub fn reload(&self, config: &str) {
        self.write_config(config);
        self.signal(Signal::SIGHUP);
    }

    /// Replaces the file of the config.
    pub fn write_config(&self, config: &str) {
        fs::write(self.config_file(), of_its_own(config, self.namespace)).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Asks it to stop, and waits for that. Gives how it ended and what it had written.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        let status =
            until("the daemon's end", DEADLINE, || self.child.try_wait().unwrap().ok_or(()));
        (status, self.log())
    }

    /// Stops it in the middle of whatever it does, until it is killed or told to go on.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let status = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(..)), "{status:?}: {}", self.log());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Ends it at once, so that it cannot tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks for a page, with lines of headers.
    pub fn ask(&self, path: &str, headers: &str) -> std::io::Result<Response> {
        self.namespace.inside(|| http::get(LISTEN, path, headers))
    }

    /// Asks for a page at the status socket.
    pub fn ask_socket(&self, path: &str) -> std::io::Result<Response> {
        http::ask_socket(&socket(self.namespace), path)
    }

    fn page(&self, path: &str) -> String {
        let response = self.ask_socket(path).unwrap();
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.text()
    }

    /// What `status` says, and its exit code.
    pub fn status(&self) -> (Option<i32>, String) {
        let (code, stdout, _) = self.command("status");
        (code, stdout)
    }

    /// The exit code and all that another command says of the same config.
    pub fn run(&self, command: &str) -> (Option<i32>, String) {
        let (code, stdout, stderr) = self.command(command);
        (code, stdout + &stderr)
    }

    /// How it ended of its own accord; an error while it runs.
    pub fn ended(&mut self) -> Result<ExitStatus, &'static str> {
        self.child.try_wait().unwrap().ok_or("it runs")
    }

    fn command(&self, command: &str) -> (Option<i32>, String, String) {
        let output = output(
            program("nsenter")
                .arg(format!("--net={}", self.namespace.path().display()))
                .arg("--")
                .arg(binary())
                .args([command, "--config"])
                .arg(self.config_file())
                .env("COLUMNS", "100"),
        );
        let (stdout, stderr) = text(&output);
        (output.status.code(), stdout, stderr)
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        self.page("/metrics")
    }

    /// The series of a metric that have all these labels, and their values.
    pub fn series(&self, metric: &str, labels: &[(&str, &str)]) -> Vec<(String, f64)> {
        series(&self.metrics(), metric, labels)
    }

    /// The latest report.
    pub fn report(&self) -> Report {
        serde_json::from_str(&self.page("/api/v1/report")).unwrap()
    }

    /// A report of counts that were read after this call.
    pub fn next_report(&self) -> Report {
        // The second one from now on: the counts of the first one may have been read before.
        let taken = self.report().taken;
        let next = self.report_after(taken);
        self.report_after(next.taken)
    }

    fn report_after(&self, taken: jiff::Timestamp) -> Report {
        until("the next report", DEADLINE, || {
            let report = self.report();
            if report.taken > taken { Ok(report) } else { Err(report.taken) }
        })
    }

    /// Waits until the report is as it should be, and sees that it stays so.
    pub fn settles(&self, what: &str, holds: impl Fn(&Report) -> Result<(), String>) -> Report {
        until(what, DEADLINE, || holds(&self.report()));
        let report = self.next_report();
        if let Err(refusal) = holds(&report) {
            panic!("{what} did not stay so: {refusal}\n{report:#?}");
        }
        report
    }

    /// Waits until exactly this was counted, received and transmitted, and sees that it stays.
    pub fn counts(&self, flow: Flow<'_>, received: Wire, transmitted: Wire) -> Report {
        let expected = (received, transmitted);
        self.settles(&format!("the counts {expected:?} of {flow:?}"), |report| {
            let counted = flow.counted(report);
            if counted == expected { Ok(()) } else { Err(format!("{counted:?}")) }
        })
    }

    /// Waits for a verdict and its cause, and sees that they stay.
    pub fn verdict(&self, flow: Flow<'_>, verdict: &str, cause: Option<&str>) -> Expectation {
        let report = self.settles(&format!("the verdict {verdict} of {flow:?}"), |report| {
            let said = flow.find(report);
            if (said.verdict.as_str(), said.cause.as_deref()) == (verdict, cause) {
                Ok(())
            } else {
                Err(format!("{} {:?} {:?}", said.verdict, said.cause, said.evidence))
            }
        });
        flow.find(&report).clone()
    }
}

impl Drop for Daemon<'_> {
    #[expect(clippy::print_stderr, reason = "the log belongs to the test's output")]
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The series of a metric in the text of `/metrics` that have all these labels, and their values.
pub fn series(metrics: &str, metric: &str, labels: &[(&str, &str)]) -> Vec<(String, f64)> {
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(metric))
        .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}
