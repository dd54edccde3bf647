//! The files that `web.toml` names: certificates and the key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::log::{At, Log};
use super::stamp::Stamp;
use super::{file, words};

/// The files that were asked for, each with its state before it was read.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    read: Vec<Stamp>,
    secret: Vec<Stamp>,
}

/// The certificate of this host, and those that lead to its issuer.
#[derive(Debug)]
pub(super) struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    /// When the first of them expires.
    pub(super) expires: Timestamp,
    file: At<String>,
}

impl Files {
    /// Relative to the folder of a file.
    pub(super) fn beside(path: &Path) -> Self {
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Self { folder, read: Vec::new(), secret: Vec::new() }
    }

    /// Those that hold a secret.
    pub(super) fn secret(&self) -> impl Iterator<Item = &Stamp> {
        self.secret.iter()
    }

    /// All of them.
    pub(super) fn into_stamps(self) -> impl Iterator<Item = Stamp> {
        self.read.into_iter().chain(self.secret)
    }

    fn read(&mut self, file: &At<String>, is_secret: bool, log: &mut Log<'_>) -> Option<Vec<u8>> {
        let path = self.folder.join(&file.value);
        let stamps = if is_secret { &mut self.secret } else { &mut self.read };
        stamps.push(Stamp::of(&path));
        let bytes = file::read(&path);
        if let Err(error) = &bytes {
            log.fault(&file.place, format!("cannot read {}: {error}", path.display()), None);
        }
        bytes.ok()
    }

    fn certificates(
        &mut self,
        file: &At<String>,
        log: &mut Log<'_>,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.read(file, false, log)?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let found = read.ok().filter(|certificates| !certificates.is_empty());
        if found.is_none() {
            log.fault(&file.place, "there is no certificate in the file in PEM form", None);
        }
        found
    }
}

pub(super) fn chain(file: &At<String>, files: &mut Files, log: &mut Log<'_>) -> Option<Chain> {
    let certificates = files.certificates(file, log)?;
    let expires = certificates.iter().map(|certificate| expiry(certificate)).min().flatten();
    if expires.is_none() {
        log.fault(&file.place, "there is a certificate in the file that cannot be read", None);
    }
    Some(Chain { certificates, expires: expires?, file: file.clone() })
}

fn expiry(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

pub(super) fn key(
    file: &At<String>,
    files: &mut Files,
    log: &mut Log<'_>,
) -> Option<PrivateKeyDer<'static>> {
    let bytes = files.read(file, true, log)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).ok();
    if key.is_none() {
        let help = "a key with a pass phrase cannot be used: nobody is there to type it";
        let message = "there is no private key in the file in PEM form";
        log.fault(&file.place, message, Some(help.to_owned()));
    }
    key
}

static ONLY_TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

pub(super) fn versions(
    version: &At<String>,
    log: &mut Log<'_>,
) -> Option<&'static [&'static SupportedProtocolVersion]> {
    match version.value.as_str() {
        "TLS12" => Some(rustls::ALL_VERSIONS),
        "TLS13" => Some(ONLY_TLS13),
        other => {
            let message = format!("no version {} is spoken", words::quote(other));
            let help = words::allowed("versions", &["TLS12", "TLS13"]);
            log.fault(&version.place, message, help);
            None
        }
    }
}

/// Who proves a client's certificate; without `needed`, clients may have none.
pub(super) fn client_verifier(
    file: &At<String>,
    needed: bool,
    files: &mut Files,
    log: &mut Log<'_>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in files.certificates(file, log)? {
        if roots.add(certificate).is_err() {
            log.fault(&file.place, "there is a certificate in the file that cannot be read", None);
            return None;
        }
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = if needed { verifier } else { verifier.allow_unauthenticated() };
    verifier.build().map_err(|error| log.fault(&file.place, error.to_string(), None)).ok()
}

/// Puts it all together, and finds out whether the key is the certificate's.
pub(super) fn server(
    chain: Chain,
    key: PrivateKeyDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    log: &mut Log<'_>,
) -> Option<ServerConfig> {
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map(|builder| match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        })
        .and_then(|builder| builder.with_single_cert(chain.certificates, key));
    match server {
        Ok(mut server) => {
            server.alpn_protocols = vec![b"http/1.1".to_vec()];
            // Every connection shows its certificate, and none takes memory when it is over.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
            Some(server)
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = "the certificate is not one of the key in `key_file`";
            log.fault(&chain.file.place, message, None);
            None
        }
        Err(error) => {
            log.fault(&chain.file.place, format!("cannot be used: {error}"), None);
            None
        }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
