//! `web.toml`, with certificates that are made for it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use rcgen::{CertificateParams, Issuer, KeyPair};

use super::super::{Guard, load_web};

const HASH: &str = "$2y$04$eIWm1OZk3oMl6l0zS8vWFeQ0mn3o.hvA3BPMZS7GkhQzhUFnOxmjq";

/// A folder with a certificate, its key, another key and the issuer; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Self(
            std::env::temp_dir().join(format!("backupflow-web-{}-{name}", std::process::id())),
        );
        fs::create_dir_all(&folder.0).unwrap();
        let mut issuer = CertificateParams::new(Vec::new()).unwrap();
        issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer_key = KeyPair::generate().unwrap();
        let ca = issuer.self_signed(&issuer_key).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2099, 1, 2);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &Issuer::new(issuer, issuer_key)).unwrap();
        folder.write("cert.pem", &certificate.pem());
        folder.write("ca.pem", &ca.pem());
        for (file, key) in [("key.pem", key), ("other.pem", KeyPair::generate().unwrap())] {
            folder.write(file, &key.serialize_pem());
        }
        folder
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Guard, String> {
        self.write("web.toml", text);
        load_web(&self.0.join("web.toml")).guard.map_err(|faults| {
            let mut lines = String::new();
            for fault in faults.to_string().lines() {
                let place = format!("{}/", self.0.display());
                writeln!(lines, "{}", fault.replace(&place, "")).unwrap();
            }
            lines.trim_end().to_owned()
        })
    }

    fn tls(&self, more: &str) -> Result<Guard, String> {
        self.load(&format!(
            "[tls_server_config]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n{more}\n"
        ))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn certificates_and_users_are_taken_over() {
    let folder = Folder::new("good");
    let guard = folder.tls(&format!("[basic_auth_users]\nprom = \"{HASH}\"")).unwrap();
    let tls = guard.tls.as_ref().unwrap();
    assert_eq!(tls.expires.to_string(), "2099-01-02T00:00:00Z");
    assert!(!tls.needs_client);
    assert_eq!(guard.users.get("prom").map(String::as_str), Some(HASH));
    assert_eq!(
        guard.weaknesses("0.0.0.0:10150".parse().unwrap(), Timestamp::UNIX_EPOCH),
        Vec::<String>::new()
    );
}

#[test]
fn clients_may_or_must_have_a_certificate() {
    let folder = Folder::new("clients");
    for (kind, needed) in [("VerifyClientCertIfGiven", false), ("RequireAndVerifyClientCert", true)]
    {
        let guard = folder
            .tls(&format!("client_auth_type = \"{kind}\"\nclient_ca_file = \"ca.pem\""))
            .unwrap();
        assert_eq!(guard.tls.as_ref().unwrap().needs_client, needed);
        // Who has a certificate needs no password.
        let weaknesses = guard.weaknesses("0.0.0.0:10150".parse().unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(weaknesses.is_empty(), needed, "{weaknesses:?}");
    }
}

#[test]
fn every_fault_has_its_place() {
    let folder = Folder::new("faults");
    let expected = "web.toml:1:1: tls_server_config.cert_file: `cert_file` is missing\n\
        web.toml:2:12: tls_server_config.key_file: cannot read nowhere.pem: No such file or directory (os error 2)\n\
        web.toml:3:20: tls_server_config.client_auth_type: RequireAnyClientCert takes certificates that nobody checks\n\
        web.toml:4:15: tls_server_config.min_version: no version `TLS11` is spoken\n\
        web.toml:5:1: tls_server_config.cipher_suites: unknown key `cipher_suites`\n\
        web.toml:7:5: basic_auth_users.a: this is no bcrypt hash\n\
        web.toml:8:1: basic_auth_users.\"b:c\": the name of a user is not empty and has no colon\n\
        web.toml:9:5: basic_auth_users.d: the hash has a cost of 15, at most 14 is taken\n\
        web.toml:10:5: basic_auth_users.e: expected a string, found an integer";
    let costly = HASH.replace("$04$", "$15$");
    let text = format!(
        "[tls_server_config]\nkey_file = \"nowhere.pem\"\nclient_auth_type = \"RequireAnyClientCert\"\n\
         min_version = \"TLS11\"\ncipher_suites = []\n[basic_auth_users]\na = \"secret\"\n\"b:c\" = \"{HASH}\"\n\
         d = \"{costly}\"\ne = 1\n"
    );
    let faults = folder.load(&text).unwrap_err();
    assert_eq!(faults, expected);
    assert!(!faults.contains("secret"));
}

#[test]
fn files_that_do_not_fit_are_faults() {
    let folder = Folder::new("files");
    for (text, expected) in [
        (
            "cert_file = \"cert.pem\"\nkey_file = \"other.pem\"",
            "web.toml:2:13: tls_server_config.cert_file: the certificate is not one of the key in `key_file`",
        ),
        (
            "cert_file = \"key.pem\"\nkey_file = \"cert.pem\"",
            "web.toml:2:13: tls_server_config.cert_file: there is no certificate in the file in PEM form\n\
             web.toml:3:12: tls_server_config.key_file: there is no private key in the file in PEM form",
        ),
        (
            "cert_file = \"cert.pem\"\nkey_file = \"key.pem\"\nclient_ca_file = \"ca.pem\"",
            "web.toml:4:18: tls_server_config.client_ca_file: nobody is asked for a certificate that this could prove",
        ),
        (
            "cert_file = \"cert.pem\"\nkey_file = \"key.pem\"\nclient_auth_type = \"VerifyClientCertIfGiven\"",
            "web.toml:1:1: tls_server_config.client_ca_file: `client_ca_file` is missing: who signed the clients' certificates",
        ),
    ] {
        assert_eq!(folder.load(&format!("[tls_server_config]\n{text}\n")).unwrap_err(), expected);
    }
}

#[test]
fn what_is_unwise_is_said() {
    let folder = Folder::new("unwise");
    let open = |guard: &Guard, at: &str| {
        guard.weaknesses(at.parse().unwrap(), Timestamp::UNIX_EPOCH).len()
    };
    let nothing = Guard::default();
    assert_eq!(open(&nothing, "127.0.0.1:1"), 0);
    assert_eq!(open(&nothing, "[::1]:1"), 0);
    assert_eq!(open(&nothing, "[::ffff:127.0.0.1]:1"), 0);
    assert_eq!(open(&nothing, "0.0.0.0:1"), 2);
    assert_eq!(open(&nothing, "[::]:1"), 2);
    assert_eq!(open(&folder.load("").unwrap(), "127.0.0.1:1"), 1);
    assert_eq!(open(&folder.tls("").unwrap(), "10.0.0.1:1"), 1);

    let readable = fs::Permissions::from_mode(0o644);
    fs::set_permissions(folder.0.join("key.pem"), readable).unwrap();
    let warnings = folder.tls("").unwrap().warnings;
    let key = folder.0.join("key.pem");
    let expected =
        format!("{} can be read by every user of this machine: chmod o= it", key.display());
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_change_of_any_file_is_noticed() {
    let folder = Folder::new("stamps");
    folder.tls("").unwrap();
    let before = load_web(&folder.0.join("web.toml")).stamps;
    assert_eq!(before.len(), 3);
    let again = || -> Vec<_> { before.iter().map(super::super::Stamp::again).collect() };
    assert_eq!(again(), before);
    fs::remove_file(folder.0.join("key.pem")).unwrap();
    assert_ne!(again(), before);
    // Files that are not there are waited for.
    assert_eq!(load_web(&folder.0.join("web.toml")).stamps.len(), 3);
}

#[test]
fn the_example_is_without_a_fault() {
    let folder = Folder::new("example");
    let example = include_str!("../../../../docs/web.example.toml");
    let guard = folder.load(example).unwrap();
    assert!(guard.tls.is_some());
    assert_eq!(guard.users.len(), 1);
    let guard = folder.load(&example.replace("# client_", "client_")).unwrap();
    assert!(guard.tls.unwrap().needs_client);
}
