//! Chromium without a screen, told what to do by its `DevTools` protocol.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client};

use crate::{Namespace, command::program};

/// How long the browser may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page, inside a namespace.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    directory: PathBuf,
    socket: WebSocket<TcpStream>,
    session: Value,
    last: u64,
    /// Addresses that were asked for.
    pub requests: Vec<String>,
    /// What pages complained of on their console.
    pub complaints: Vec<Value>,
}

impl Browser {
    /// Starts one.
    pub fn start(namespace: &Namespace) -> Self {
        let directory = env::temp_dir().join(format!("{}-browser", namespace.name()));
        let mut child = program("nsenter")
            .arg(format!("--net={}", namespace.path().display()))
            .args(["--", "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-background-networking", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", directory.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let endpoint = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()))
            .expect("chromium says where it listens");
        let address = endpoint.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let socket = namespace.inside(|| TcpStream::connect(address)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = client(endpoint, socket).unwrap();
        let mut browser = Self {
            child,
            directory,
            socket,
            session: Value::Null,
            last: 0,
            requests: Vec::new(),
            complaints: Vec::new(),
        };
        let mut page = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let page = json!({"targetId": page["targetId"].take(), "flatten": true});
        browser.session = browser.call("Target.attachToTarget", page)["sessionId"].take();
        for domain in ["Network", "Log", "Runtime", "Page"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a page in a window of that many columns and rows of dots, and waits until it is there.
    pub fn open(&mut self, address: &str, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Page.navigate", json!({"url": address}));
        while self.read()["method"] != "Page.loadEventFired" {}
    }

    /// What an expression is on the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", asked);
        answer["result"]["value"].take()
    }

    /// Presses the tabulator key.
    pub fn tab(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key =
                json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
            self.call("Input.dispatchKeyEvent", key);
        }
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut request = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_null() {
            request["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let mut answer = self.read();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    fn read(&mut self) -> Value {
        let message: Value =
            serde_json::from_str(self.socket.read().unwrap().to_text().unwrap()).unwrap();
        match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let address = message["params"]["request"]["url"].as_str().unwrap();
                self.requests.push(address.to_owned());
            }
            Some("Log.entryAdded" | "Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => {
                self.complaints.push(message["params"].clone());
            }
            _ => {}
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}
