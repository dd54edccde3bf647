//! The guarded web port, and the status socket.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    time::Duration,
};

use rustls::version::{TLS12, TLS13};
use tests::{
    DEADLINE, Daemon, Namespace, Response, config, daemon, http, series,
    tls::{Authority, Client, Identity},
    until,
};

const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10150);

/// Of the password `right`, at the least cost.
const HASH: &str = "$2b$04$WekyjxGRbtfOikbLCPRwx.cx140IgeLFmTcZIbUXoBXMFB51BCa8W";

/// `Authorization` of `prom` with the passwords `right` and `wrong`.
const RIGHT: &str = "Authorization: Basic cHJvbTpyaWdodA==\r\n";
const WRONG: &str = "Authorization: Basic cHJvbTp3cm9uZw==\r\n";

/// Writes `web.toml` and the files beside it, and gives a config that names it.
fn guarded(namespace: &Namespace, web: &str, identity: &Identity, ca: &str) -> String {
    let folder = daemon::folder(namespace);
    replace(namespace, identity);
    fs::write(folder.join("ca.pem"), ca).unwrap();
    write_secret(folder.join("web.toml"), web);
    let file = folder.join("web.toml");
    format!("{}\n[web]\nconfig_file = \"{}\"\n", config::SQL_SERVER, file.display())
}

fn replace(namespace: &Namespace, identity: &Identity) {
    let folder = daemon::folder(namespace);
    fs::write(folder.join("cert.pem"), &identity.certificate).unwrap();
    write_secret(folder.join("key.pem"), &identity.key);
}

fn write_secret(file: PathBuf, text: &str) {
    fs::write(&file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn tls(more: &str) -> String {
    format!("[tls_server_config]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n{more}\n")
}

fn refused(daemon: &Daemon<'_>, reason: &str) -> f64 {
    daemon.series("backupflow_web_refused_total", &[("reason", reason)])[0].1
}

/// Waits until that many were refused for that reason.
fn refusals(daemon: &Daemon<'_>, reason: &str, times: f64) {
    until(&format!("{times} refusals: {reason}"), DEADLINE, || match refused(daemon, reason) {
        refused if refused.to_bits() == times.to_bits() => Ok(()),
        refused => Err(refused),
    });
}

fn status_of(answer: std::io::Result<Response>) -> u16 {
    answer.unwrap().status
}

#[test]
fn a_password_is_asked_for() {
    let host = Namespace::new("host");
    let authority = Authority::new();
    let web = format!("[basic_auth_users]\nprom = \"{HASH}\"\n");
    let config = guarded(&host, &web, &authority.sign(2099), "");
    let daemon = Daemon::start(&host, &config);
    for path in ["/metrics", "/api/v1/report", "/healthz", "/readyz", "/nowhere"] {
        let denied = daemon.ask(path, "").unwrap();
        assert_eq!(denied.status, 401, "{path}");
        assert!(denied.head.contains("www-authenticate: basic realm="), "{}", denied.head);
        assert_eq!(denied.body.len(), 0);
    }
    assert_eq!(status_of(daemon.ask("/metrics", WRONG)), 401);
    for _ in 0..2 {
        assert_eq!(status_of(daemon.ask("/metrics", RIGHT)), 200);
    }
    assert_eq!(status_of(daemon.ask("/nowhere", RIGHT)), 404);
    refusals(&daemon, "password", 6.0);

    // Another password is in force from then on, and the old one no more.
    let other = "$2b$04$DUseg34Lx0MBaBVBRS931emvqIIwRcuJv/VTUvTohw2JRbtwadFVS";
    let folder = daemon::folder(&host);
    fs::write(folder.join("web.toml"), format!("[basic_auth_users]\nprom = \"{other}\"\n"))
        .unwrap();
    until("the new password", DEADLINE, || match status_of(daemon.ask("/readyz", WRONG)) {
        200 => Ok(()),
        status => Err(status),
    });
    assert_eq!(status_of(daemon.ask("/readyz", RIGHT)), 401);
    assert_eq!(daemon.status().0, Some(0));
}

#[test]
fn tls_of_both_versions_and_no_other() {
    let host = Namespace::new("host");
    let authority = Authority::new();
    let config = guarded(&host, &tls(""), &authority.sign(2099), "");
    let daemon = Daemon::start(&host, &config);
    for version in [&TLS12, &TLS13] {
        let answer = authority.client(&[version], None).ask(&host, LISTEN, "/metrics", "").unwrap();
        assert_eq!(answer.status, 200);
        let expires =
            series(&answer.text(), "backupflow_web_certificate_expiry_timestamp_seconds", &[]);
        assert_eq!(expires[0].1.to_string(), "4102358400");
    }
    let stranger = Authority::new().client(&[&TLS13], None).ask(&host, LISTEN, "/readyz", "");
    assert!(stranger.unwrap_err().to_string().contains("UnknownIssuer"));
    refusals(&daemon, "handshake", 1.0);

    let plain = daemon.ask("/metrics", "").unwrap();
    assert_eq!(
        (plain.status, plain.text().as_str()),
        (400, "this port speaks TLS: ask with https\n")
    );
    refusals(&daemon, "handshake", 2.0);
    assert_eq!(daemon.status().0, Some(0));
}

#[test]
fn an_old_version_is_refused_where_the_new_one_is_the_least() {
    let host = Namespace::new("host");
    let authority = Authority::new();
    let web = tls("min_version = \"TLS13\"");
    let daemon = Daemon::start(&host, &guarded(&host, &web, &authority.sign(2099), ""));
    let ask = |version| authority.client(&[version], None).ask(&host, LISTEN, "/readyz", "");
    let refusal = ask(&TLS12).unwrap_err().to_string();
    assert!(refusal.contains("ProtocolVersion"), "{refusal}");
    assert_eq!(status_of(ask(&TLS13)), 200);
    refusals(&daemon, "handshake", 1.0);
}

#[test]
fn clients_show_certificates() {
    let authority = Authority::new();
    let known = authority.sign(2099);
    let stranger = Authority::new().sign(2099);
    for (kind, without) in
        [("RequireAndVerifyClientCert", false), ("VerifyClientCertIfGiven", true)]
    {
        let host = Namespace::new("host");
        let web = tls(&format!("client_auth_type = \"{kind}\"\nclient_ca_file = \"ca.pem\""));
        let config = guarded(&host, &web, &authority.sign(2099), &authority.pem);
        let daemon = Daemon::start(&host, &config);
        for version in [&TLS12, &TLS13] {
            let ask =
                |identity| authority.client(&[version], identity).ask(&host, LISTEN, "/readyz", "");
            assert_eq!(status_of(ask(Some(&known))), 200, "{kind}");
            assert_eq!(ask(None).is_ok(), without, "{kind}");
            let refusal = ask(Some(&stranger)).unwrap_err().to_string();
            // In TLS 1.3 the client may have sent its request by then, and finds the way closed.
            assert!(version == &TLS13 || refusal.contains("UnknownCA"), "{kind}: {refusal}");
        }
        refusals(&daemon, "handshake", if without { 2.0 } else { 4.0 });
    }
}

/// The expiry that the client's certificate check sees.
fn shown(host: &Namespace, client: &Client) -> Result<u16, String> {
    let answer = client.ask(host, LISTEN, "/readyz", "");
    answer.map(|answer| answer.status).map_err(|error| error.to_string())
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let host = Namespace::new("host");
    let (old, new) = (Authority::new(), Authority::new());
    let clients = [&old, &new].map(|authority| authority.client(&[&TLS13], None));
    let daemon = Daemon::start(&host, &guarded(&host, &tls(""), &old.sign(2099), ""));
    assert_eq!(shown(&host, &clients[0]), Ok(200));

    // The key of another certificate: said once, and the old one stays.
    let renewed = new.sign(2098);
    fs::write(daemon::folder(&host).join("cert.pem"), &renewed.certificate).unwrap();
    let said = "what guarded the web port before stays in force";
    until("the refusal", DEADLINE, || match daemon.log().matches(said).count() {
        1 => Ok(()),
        times => Err(times),
    });
    assert!(daemon.log().contains("the certificate is not one of the key"), "{}", daemon.log());
    for _ in 0..3 {
        daemon.next_report();
    }
    assert_eq!(shown(&host, &clients[0]), Ok(200));
    assert_eq!(daemon.log().matches(said).count(), 1, "{}", daemon.log());

    replace(&host, &renewed);
    until("the new certificate", DEADLINE, || shown(&host, &clients[1]));
    shown(&host, &clients[0]).unwrap_err();
    let expires = daemon.series("backupflow_web_certificate_expiry_timestamp_seconds", &[]);
    assert_eq!(expires[0].1.to_string(), "4070822400");
}

#[test]
fn an_expired_certificate_is_said_everywhere() {
    let host = Namespace::new("host");
    let authority = Authority::new();
    let daemon = Daemon::start(&host, &guarded(&host, &tls(""), &authority.sign(2020), ""));
    let refusal = shown(&host, &authority.client(&[&TLS13], None)).unwrap_err();
    assert!(refusal.contains("certificate expired"), "{refusal}");
    let said =
        "the certificate of the web port expired at 2020-12-31T00:00:00Z: scrapers refuse it";
    assert_eq!(daemon.log().matches(said).count(), 1, "{}", daemon.log());
    let (code, text) = daemon.status();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("note: {said}\n")), "{text}");
    let expires = daemon.series("backupflow_web_certificate_expiry_timestamp_seconds", &[]);
    assert_eq!(expires[0].1.to_string(), "1609372800");

    replace(&host, &authority.sign(2099));
    let client = authority.client(&[&TLS13], None);
    until("the renewed certificate", DEADLINE, || shown(&host, &client));
    until("the end of the note", DEADLINE, || match daemon.status().1 {
        text if text.contains("note:") => Err(text),
        text => Ok(text),
    });
}

#[test]
fn beyond_loopback_without_a_guard_is_said() {
    let host = Namespace::new("host");
    let config = format!("{}\n[web]\nlisten = \"0.0.0.0:10150\"\n", config::SQL_SERVER);
    let daemon = Daemon::start(&host, &config);
    let log = daemon.log();
    let status = daemon.status().1;
    let (code, doctor) = daemon.run("doctor");
    assert_eq!(code, Some(0), "{doctor}");
    let (code, check) = daemon.run("check");
    assert_eq!(code, Some(0), "{check}");
    for part in ["without TLS", "asks for no password"] {
        let said = format!("0.0.0.0:10150 is beyond loopback and {part}");
        assert!(log.contains(&said), "{log}");
        assert!(status.contains(&format!("note: {said}")), "{status}");
        assert!(check.contains(&format!("warning: {said}")), "{check}");
        assert!(
            doctor.lines().any(|line| line.starts_with("lacks web port") && line.contains(&said)),
            "{doctor}"
        );
    }
}

#[test]
fn a_faulty_web_file_is_refused_at_the_start() {
    let host = Namespace::new("host");
    let authority = Authority::new();
    let web = tls("min_version = \"TLS14\"\ncolour = 1");
    let config = guarded(&host, &web, &authority.sign(2099), "");
    let mut daemon = Daemon::launch(&host, &config, &[]);
    let log = until("the end", DEADLINE, || daemon.ended().map(|_| daemon.log()));
    for expected in [
        "web.toml:4:15: tls_server_config.min_version: no version `TLS14` is spoken",
        "web.toml:5:1: tls_server_config.colour: unknown key `colour`",
    ] {
        assert!(log.contains(expected), "{log}");
    }
    let (code, text) = daemon.run("check");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("2 faults in"), "{text}");
}

/// Sends something, and gives the status code of the answer.
fn answered(host: &Namespace, request: &str) -> String {
    let mut socket = host.inside(|| TcpStream::connect(LISTEN)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn only_short_requests_to_read_are_answered() {
    let host = Namespace::new("host");
    let daemon = Daemon::start(&host, config::SQL_SERVER);
    let path = |length| format!("/{}", "x".repeat(length));
    for (request, status) in [
        ("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
        ("HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
        ("POST /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        ("DELETE /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        ("PUT /api/v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "405"),
        ("GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "413"),
        (&format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(1023)), "404"),
        (&format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(1024)), "414"),
        (&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", path(16 << 10)), "431"),
        (&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101)), "431"),
        ("\x16\x03\x01\x00\x05hello\r\n\r\n", "400"),
    ] {
        assert_eq!(answered(&host, request), status, "{request:.60}");
    }
    refusals(&daemon, "request", 8.0);
    // One request each: what is sent behind it is not read.
    let two = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    let mut socket = host.inside(|| TcpStream::connect(LISTEN)).unwrap();
    socket.write_all(two.as_bytes()).unwrap();
    let mut answers = String::new();
    drop(socket.read_to_string(&mut answers));
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 1, "{answers}");
    assert!(answers.contains("connection: close"), "{answers}");
}

/// A folder that goes with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_status_socket_has_a_mode_and_goes_with_the_daemon() {
    let host = Namespace::new("host");
    let scratch = Scratch(std::env::temp_dir().join(format!("{}-socket", host.name())));
    fs::create_dir(&scratch.0).unwrap();
    let socket = scratch.0.join("made").join("status.sock");
    let status = |more: &str| {
        format!("{}\n[status]\nsocket = \"{}\"\n{more}\n", config::SQL_SERVER, socket.display())
    };
    let launched = |config: &str| {
        let daemon = Daemon::launch(&host, config, &[]);
        until("the start", DEADLINE * 3, || match http::ask_socket(&socket, "/readyz") {
            Ok(Response { status: 200, .. }) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        daemon
    };
    let daemon = launched(&status("mode = \"0600\"\ngroup = \"nogroup\""));
    let made = fs::metadata(&socket).unwrap();
    assert!(made.file_type().is_socket());
    let group: u32 =
        tests::command::run("stat", &["-c", "%g", "/proc/self"]).trim().parse().unwrap();
    assert_eq!((made.permissions().mode() & 0o7777, made.uid()), (0o600, 0));
    assert_ne!(made.gid(), group);
    assert_eq!(daemon.run("status").0, Some(0));

    // Another daemon does not take it away.
    let second = Namespace::new("second");
    let mut refused = Daemon::launch(&second, &status(""), &[]);
    let log = until("the refusal", DEADLINE, || refused.ended().map(|_| refused.log()));
    assert!(log.contains("another daemon answers there"), "{log}");
    assert_eq!(http::ask_socket(&socket, "/readyz").unwrap().status, 200);

    // One that was killed leaves it behind, and the next one replaces it.
    daemon.kill();
    assert!(socket.exists());
    let daemon = launched(&status(""));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o660);
    let folder: PathBuf = socket.parent().unwrap().to_owned();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    let (code, log) = daemon.stop();
    assert_eq!(code.code(), Some(0), "{log}");
    assert!(!socket.exists());

    // Something else at its place is left alone.
    fs::create_dir_all(&folder).unwrap();
    fs::write(&socket, "precious").unwrap();
    let mut refused = Daemon::launch(&host, &status(""), &[]);
    let log = until("the refusal", DEADLINE, || refused.ended().map(|_| refused.log()));
    assert!(log.contains("something else than a socket is there"), "{log}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}
