//! One host: the real daemon, and real connections on loopback.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Child,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::exposition::Exposition;
use crate::{
    command::{end_group, output, program, target},
    stop::Stop,
};

/// Forty expectations, the peers of all being this host itself.
const CONFIG: &str = include_str!("host.toml");

/// Documented ports of the config: those that serve, and those that refuse on a host in trouble.
const SERVED: [u16; 8] = [8080, 8443, 3999, 6060, 6061, 11117, 32005, 50051];
const REFUSED: [u16; 2] = [1433, 32007];

const URL: &str = "http://127.0.0.1:10150/metrics";

/// How often the metrics are looked at, and how many times at most.
const EVERY: Duration = Duration::from_millis(500);
const PATIENCE: u32 = 120;

/// What two hosts exposed.
#[derive(Debug)]
pub(crate) struct Scraped {
    pub(crate) healthy: Exposition,
    /// With expectations that are refused.
    pub(crate) troubled: Exposition,
}

#[derive(Debug)]
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        end_group(&mut self.0);
    }
}

/// Runs the daemon in this namespace and takes its metrics before and after flows are refused.
pub(crate) fn scrape(folder: &Path, stop: &Stop) -> anyhow::Result<Scraped> {
    let config = folder.join("host.toml");
    fs::write(&config, CONFIG.replace("FOLDER", &folder.display().to_string()))?;
    let binary = target().join("release/backupflow").display().to_string();
    let config = config.display().to_string();
    let words = ["setpriv", "--pdeathsig", "TERM", &binary, "run", "--config", &config];
    let log = fs::File::create(folder.join("daemon.log"))?;
    let daemon = program(&words).stderr(log).spawn().context("starting backupflow")?;
    let mut daemon = Daemon(daemon);
    for port in SERVED {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        thread::spawn(move || serve(&listener));
    }
    let healthy = wait(&mut daemon, stop, &SERVED, &["ok"])?;
    let troubled = wait(&mut daemon, stop, &REFUSED, &["refused"])?;
    Ok(Scraped { healthy, troubled })
}

/// Connects to the ports until as many expectations have the verdict.
fn wait(
    daemon: &mut Daemon,
    stop: &Stop,
    ports: &[u16],
    verdicts: &[&str],
) -> anyhow::Result<Exposition> {
    for _ in 0..PATIENCE {
        stop.check()?;
        if let Some(status) = daemon.0.try_wait()? {
            bail!("backupflow ended with {status}");
        }
        if let Ok(text) = output(&mut program(&["curl", "--silent", "--fail", URL])) {
            let scraped = Exposition::new(text);
            if scraped.expectations_that_are(verdicts) >= ports.len() {
                return Ok(scraped);
            }
            for port in ports {
                connect(*port);
            }
        }
        stop.pause(EVERY);
    }
    bail!("backupflow does not say {verdicts:?} of the flows at {ports:?}")
}

fn serve(listener: &TcpListener) {
    for mut stream in listener.incoming().flatten() {
        drop(stream.read_to_end(&mut Vec::new()));
    }
}

/// A refusal is what some ports are for.
fn connect(port: u16) {
    if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        drop(stream.write_all(&[7; 4096]));
    }
}
