//! `web.toml`: the certificate of the web port, and whom it answers. The keys are those of the
//! Prometheus exporter-toolkit.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;

use super::certificates::{self, Files};
use super::file;
use super::log::{At, Log, Place};
use super::section::{self, Field, Section};
use super::stamp::Stamp;
use super::{Faults, words};

/// The highest cost of a hash: with it, one attempt takes a core about a second.
const MOST_COST: u32 = 14;

/// What guards the web port.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// TLS, where it is on.
    pub tls: Option<Tls>,
    /// The bcrypt hashes of the users' passwords, by name; empty where no password is asked for.
    pub users: BTreeMap<String, String>,
    /// What is allowed and unwise, a sentence each.
    pub warnings: Vec<String>,
}

/// The certificate, and how it is used.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For every connection.
    pub server: Arc<ServerConfig>,
    /// When the first certificate of the chain expires.
    pub expires: Timestamp,
    /// Nobody is answered without a certificate.
    pub needs_client: bool,
}

/// What a `web.toml` says, and the state of the files that it says it in.
#[derive(Debug)]
pub struct Guarded {
    /// `web.toml` and every file that it names, also where they could not be read.
    pub stamps: Vec<Stamp>,
    /// The guard, or everything that is wrong.
    pub guard: Result<Guard, Faults>,
}

/// What the user wrote.
#[derive(Debug)]
struct Written {
    tls: Option<WrittenTls>,
    users: Vec<(At<String>, At<String>)>,
}

#[derive(Debug)]
struct WrittenTls {
    place: Place,
    cert_file: Field<String>,
    key_file: Field<String>,
    client_auth_type: Field<String>,
    client_ca_file: Field<String>,
    min_version: Field<String>,
}

/// Reads a `web.toml` and the files that it names, which are relative to its folder.
pub fn load(path: &Path) -> Guarded {
    let file = path.display().to_string();
    let stamp = Stamp::of(path);
    let text = file::text(&file, file::read(path), "name another file in `web.config_file`");
    let mut files = Files::beside(path);
    let guard = text.and_then(|text| parse(&file, &text, &mut files));
    let guard = guard.map(|mut guard| {
        let secret = [&stamp].into_iter().filter(|_| !guard.users.is_empty());
        let open = secret.chain(files.secret()).filter(|stamp| stamp.is_open_to_all());
        guard.warnings.extend(open.map(|stamp| {
            format!(
                "{} can be read by every user of this machine: chmod o= it",
                stamp.path().display()
            )
        }));
        guard
    });
    Guarded { stamps: [stamp].into_iter().chain(files.into_stamps()).collect(), guard }
}

fn parse(file: &str, text: &str, files: &mut Files) -> Result<Guard, Faults> {
    let text = super::without_mark(text);
    let mut log = Log::new(file, text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    for error in &errors {
        log.syntax(error);
    }
    let written = Written::read(Section::document(table.get_ref()), &mut log);
    let users = mean_users(&written.users, &mut log);
    let tls = written.tls.and_then(|tls| mean_tls(&tls, files, &mut log));
    if !log.is_clean() {
        return Err(log.finish());
    }
    let mut warnings = Vec::new();
    if tls.is_none() && users.is_empty() {
        warnings.push(format!("{file} asks for nothing: it has neither a certificate nor a user"));
    }
    Ok(Guard { tls, users, warnings })
}

impl Written {
    fn read(mut top: Section<'_, '_>, log: &mut Log<'_>) -> Self {
        let tls = top.section("tls_server_config", log).map(|mut section| {
            let read = WrittenTls {
                place: section.place().clone(),
                cert_file: section.string("cert_file", log),
                key_file: section.string("key_file", log),
                client_auth_type: section.string("client_auth_type", log),
                client_ca_file: section.string("client_ca_file", log),
                min_version: section.string("min_version", log),
            };
            section.finish(log);
            read
        });
        let mut users = Vec::new();
        for (name, value, place) in
            top.section("basic_auth_users", log).iter().flat_map(Section::entries)
        {
            users.extend(section::string(value, place, log).map(|hash| (name, hash)));
        }
        top.finish(log);
        Self { tls, users }
    }
}

fn mean_users(users: &[(At<String>, At<String>)], log: &mut Log<'_>) -> BTreeMap<String, String> {
    let mut meant = BTreeMap::new();
    for (name, hash) in users {
        if name.value.is_empty() || name.value.contains(':') {
            log.fault(&name.place, "the name of a user is not empty and has no colon", None);
        }
        // No message repeats what may be a password.
        match hash.value.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost()) {
            Ok(cost) if cost <= MOST_COST => {
                meant.insert(name.value.clone(), hash.value.clone());
            }
            Ok(cost) => {
                let message =
                    format!("the hash has a cost of {cost}, at most {MOST_COST} is taken");
                log.fault(&hash.place, message, None);
            }
            Err(_) => {
                let help = "make one by `htpasswd -nBC 10 NAME`: it is what follows the colon";
                log.fault(&hash.place, "this is no bcrypt hash", Some(help.to_owned()));
            }
        }
    }
    meant
}

fn mean_tls(tls: &WrittenTls, files: &mut Files, log: &mut Log<'_>) -> Option<Tls> {
    const CLIENTS: [&str; 3] =
        ["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"];
    const UNVERIFIED: [&str; 2] = ["RequestClientCert", "RequireAnyClientCert"];
    let chain = required(&tls.cert_file, "cert_file", tls, log)
        .and_then(|file| certificates::chain(file, files, log));
    let key = required(&tls.key_file, "key_file", tls, log)
        .and_then(|file| certificates::key(file, files, log));
    let versions = match &tls.min_version {
        Field::Given(version) => certificates::versions(version, log),
        Field::Absent | Field::Invalid => Some(rustls::ALL_VERSIONS),
    };
    let clients = match &tls.client_auth_type {
        Field::Given(kind) if UNVERIFIED.contains(&kind.value.as_str()) => {
            let message = format!("{} takes certificates that nobody checks", kind.value);
            let help = format!("write `{}` or `{}`", CLIENTS[1], CLIENTS[2]);
            log.fault(&kind.place, message, Some(help));
            None
        }
        Field::Given(kind) if CLIENTS.contains(&kind.value.as_str()) => Some(kind.value.as_str()),
        Field::Given(kind) => {
            let message = format!("no type {}", words::quote(&kind.value));
            let help = words::instead(&kind.value, "types", CLIENTS.into_iter());
            log.fault(&kind.place, message, help);
            None
        }
        Field::Absent => Some(CLIENTS[0]),
        Field::Invalid => None,
    };
    let needs_client = clients == Some(CLIENTS[2]);
    let verifier = match (&tls.client_ca_file, clients) {
        (Field::Given(file), Some("NoClientCert")) => {
            let help = format!("add `client_auth_type = \"{}\"`", CLIENTS[2]);
            let message = "nobody is asked for a certificate that this could prove";
            log.fault(&file.place, message, Some(help));
            None
        }
        (Field::Given(file), _) => {
            Some(certificates::client_verifier(file, needs_client, files, log))
        }
        (Field::Absent, Some("VerifyClientCertIfGiven" | "RequireAndVerifyClientCert")) => {
            let message = "`client_ca_file` is missing: who signed the clients' certificates";
            log.missing(&tls.place.child("client_ca_file"), message, None);
            None
        }
        (Field::Absent | Field::Invalid, _) => None,
    };
    let (chain, key, versions) = (chain?, key?, versions?);
    let expires = chain.expires;
    let server = certificates::server(chain, key, versions, verifier.flatten(), log)?;
    Some(Tls { server: Arc::new(server), expires, needs_client })
}

fn required<'f>(
    field: &'f Field<String>,
    key: &str,
    tls: &WrittenTls,
    log: &mut Log<'_>,
) -> Option<&'f At<String>> {
    match field {
        Field::Given(file) => Some(file),
        Field::Invalid => None,
        Field::Absent => {
            log.missing(&tls.place.child(key), format!("`{key}` is missing"), None);
            None
        }
    }
}

impl Guard {
    /// What is unwise about serving at an address with this guard, a sentence each.
    pub fn weaknesses(&self, listen: SocketAddr, now: Timestamp) -> Vec<String> {
        let mut weaknesses = Vec::new();
        if let Some(expires) = self.expired(now) {
            weaknesses.push(format!(
                "the certificate of the web port expired at {expires}: scrapers refuse it"
            ));
        }
        if !listen.ip().to_canonical().is_loopback() {
            if self.tls.is_none() {
                weaknesses.push(format!(
                    "{listen} is beyond loopback and without TLS: passwords and answers can be read on the way"
                ));
            }
            let asks =
                !self.users.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.needs_client);
            if !asks {
                weaknesses.push(format!(
                    "{listen} is beyond loopback and asks for no password: who reaches it can read which machines back up what"
                ));
            }
        }
        weaknesses.extend(self.warnings.iter().cloned());
        weaknesses
    }

    /// When the certificate expired, if it has.
    pub fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        self.tls.as_ref().map(|tls| tls.expires).filter(|expires| *expires <= now)
    }
}
