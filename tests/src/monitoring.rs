//! Prometheus and Alertmanager beside the daemon, and who gets the notifications.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    path::PathBuf,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use crate::{Namespace, command::program, http, until};

/// How long their start may take on a machine with other work.
const START: Duration = Duration::from_secs(30);

const PROMETHEUS: SocketAddr = local(9090);
const AGENT: SocketAddr = local(9091);
const ALERTMANAGER: SocketAddr = local(9093);
const RECEIVER: SocketAddr = local(9095);

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Prometheus, Alertmanager and a receiver of its webhooks, on their usual ports inside a namespace.
#[derive(Debug)]
pub struct Monitoring<'n> {
    namespace: &'n Namespace,
    directory: PathBuf,
    children: Vec<Child>,
    receiver: Receiver,
}

/// What they are started with. Paths in the configs are relative to them.
#[derive(Clone, Debug)]
pub struct MonitoringFiles {
    /// `prometheus.yml`.
    pub prometheus: String,
    /// `backupflow.rules.yml`.
    pub rules: String,
    /// `alertmanager.yml`.
    pub alertmanager: String,
    /// `hosts.json`, in the format of `file_sd_configs`.
    pub hosts: String,
    /// `agent.yml` of another Prometheus, which only scrapes and pushes to the first one.
    pub agent: Option<String>,
}

impl<'n> Monitoring<'n> {
    /// Starts all, and waits until they are ready.
    pub fn start(namespace: &'n Namespace, files: &MonitoringFiles) -> Self {
        let directory = env::temp_dir().join(format!("{}-monitoring", namespace.name()));
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in [
            ("prometheus.yml", &files.prometheus),
            ("backupflow.rules.yml", &files.rules),
            ("alertmanager.yml", &files.alertmanager),
            ("hosts.json", &files.hosts),
            ("agent.yml", files.agent.as_ref().unwrap_or(&String::new())),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        let receiver = Receiver::start(namespace);
        let mut monitoring = Self { namespace, directory, children: Vec::new(), receiver };
        monitoring.spawn(&[
            "prometheus-alertmanager",
            "--config.file=alertmanager.yml",
            "--storage.path=alerts",
            &format!("--web.listen-address={ALERTMANAGER}"),
            "--cluster.listen-address=",
        ]);
        monitoring.spawn(&[
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.enable-remote-write-receiver",
            &format!("--web.listen-address={PROMETHEUS}"),
        ]);
        let mut started = vec![("Alertmanager", ALERTMANAGER), ("Prometheus", PROMETHEUS)];
        if files.agent.is_some() {
            monitoring.spawn(&[
                "prometheus",
                "--config.file=agent.yml",
                "--enable-feature=agent",
                "--storage.agent.path=agent",
                &format!("--web.listen-address={AGENT}"),
            ]);
            started.push(("the agent", AGENT));
        }
        for (name, address) in started {
            until(&format!("the start of {name}"), START, || {
                monitoring.runs();
                monitoring.get(address, "/-/ready")
            });
        }
        monitoring
    }

    fn spawn(&mut self, words: &[&str]) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.directory.join("log"));
        let child = program("nsenter")
            .arg(format!("--net={}", self.namespace.path().display()))
            .arg("--")
            .args(words)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    /// A config that is refused ends them.
    fn runs(&mut self) {
        let ended = self.children.iter_mut().find_map(|child| child.try_wait().unwrap());
        assert_eq!(ended, None, "{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }

    fn get(&self, address: SocketAddr, path: &str) -> io::Result<String> {
        let response = self.namespace.inside(|| http::get(address, path, ""))?;
        if response.status == 200 {
            Ok(response.text())
        } else {
            Err(io::Error::other(format!("{path}: {} {}", response.head, response.text())))
        }
    }

    fn json(&self, address: SocketAddr, path: &str) -> Value {
        serde_json::from_str(&self.get(address, path).unwrap()).unwrap()
    }

    /// Replaces the list of hosts.
    pub fn write_hosts(&self, text: &str) {
        fs::write(self.directory.join("hosts.json"), text).unwrap();
    }

    /// The queries of all rules, each with the name of its alert or record.
    pub fn rules(&self) -> Vec<(String, String)> {
        let rules = self.json(PROMETHEUS, "/api/v1/rules");
        let groups = rules["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
        rules.map(|rule| (text(rule, "name"), text(rule, "query"))).collect()
    }

    /// What a query gives at every second from a time on, in seconds since 1970.
    pub fn query_since(&self, query: &str, start: i64, end: i64) -> Vec<Value> {
        let query = encode(query);
        let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=1");
        let mut answer = self.json(PROMETHEUS, &path);
        serde_json::from_value(answer["data"]["result"].take()).unwrap()
    }

    /// The labels of the alerts that fire.
    pub fn firing(&self) -> Vec<Value> {
        let mut alerts = self.json(PROMETHEUS, "/api/v1/alerts");
        let alerts = alerts["data"]["alerts"].as_array_mut().unwrap();
        let firing = alerts.iter_mut().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"].take()).collect()
    }

    /// Labels of the alerts that Alertmanager holds back because of others.
    pub fn inhibited(&self) -> Vec<Value> {
        let mut alerts = self.json(ALERTMANAGER, "/api/v2/alerts?active=false&silenced=false");
        let alerts = alerts.as_array_mut().unwrap().iter_mut();
        alerts.map(|alert| alert["labels"].take()).collect()
    }

    /// Alerts that the receiver was told of, in the order in which they came.
    pub fn notified(&self) -> Vec<Value> {
        self.receiver.alerts.lock().unwrap().clone()
    }
}

impl Drop for Monitoring<'_> {
    #[expect(clippy::print_stderr, reason = "the log belongs to the test's output")]
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
        if thread::panicking() {
            eprintln!("the log of Prometheus and Alertmanager:\n{}", self.log());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Takes webhooks until it is dropped.
#[derive(Debug)]
struct Receiver {
    listener: TcpListener,
    alerts: Arc<Mutex<Vec<Value>>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn start(namespace: &Namespace) -> Self {
        let listener = namespace.inside(|| TcpListener::bind(RECEIVER)).unwrap();
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let (accepting, told) = (listener.try_clone().unwrap(), Arc::clone(&alerts));
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                told.lock().unwrap().extend(take(stream).unwrap());
            }
        });
        Self { listener, alerts, thread: Some(thread) }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let how = nix::sys::socket::Shutdown::Both;
        nix::sys::socket::shutdown(self.listener.as_raw_fd(), how).unwrap();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The alerts of one webhook, each with the path that it was sent to as `receiver`.
fn take(stream: TcpStream) -> io::Result<Vec<Value>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let stream = reader.get_mut();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut told: Value = serde_json::from_slice(&body)?;
    let receiver = told["receiver"].take();
    let mut alerts: Vec<Value> = serde_json::from_value(told["alerts"].take())?;
    for alert in &mut alerts {
        alert["receiver"] = receiver.clone();
    }
    Ok(alerts)
}

/// A text as a part of a query in a URL.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}
