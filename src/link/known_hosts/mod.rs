//! Files of known hosts, in the format of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
//!
//! The reader of the SSH crate isn't used: it accepts revoked keys, knows no patterns, no authorities, no tabs and no
//! second file, and takes the rotation of a key for an attack.

mod line;
mod store;

pub(super) use line::{Line, Marker};
pub(super) use store::{append, replace};

use super::error::KnownAs;
use super::pattern;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use std::io;
use std::path::PathBuf;

/// All lines of several files, in order.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    lines: Vec<Line>,
}

/// Under which names a host is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostNames {
    /// As it is written down: `node1`, or `[node1]:2222` for other ports than 22.
    pub written: String,
    /// The name alone: a line with it counts for every port, as in OpenSSH, when there is none with the port.
    pub bare: String,
}

impl HostNames {
    pub(super) fn new(name: &str, port: u16, alias: bool) -> Self {
        let bare = name.to_ascii_lowercase();
        let written = if alias || port == 22 {
            bare.clone()
        } else {
            format!("[{bare}]:{port}")
        };
        Self { written, bare }
    }
}

/// What the files say of a key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Known,
    /// No line is for this host.
    Unknown,
    /// There are lines for this host, and the key is in none of them.
    Changed(Vec<KnownAs>),
    Revoked {
        file: PathBuf,
        line: usize,
    },
    /// Signed by an authority that is trusted for this host, but not valid.
    BadCertificate(String),
}

impl KnownHosts {
    /// Reads the files that exist. A file that exists and can't be read is an error: it may revoke a key.
    pub(super) fn read<'a>(
        files: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let mut all = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => all.add(&String::from_utf8_lossy(&bytes), file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((file.clone(), error)),
            }
        }
        Ok(all)
    }

    /// Lines that can't be understood are passed over, as OpenSSH does: files hold types that we don't know.
    pub(super) fn add(&mut self, text: &str, file: &std::path::Path) {
        let lines = text.lines().enumerate();
        self.lines
            .extend(lines.filter_map(|(index, line)| Line::parse(line, file, index + 1)));
    }

    fn marked<'a>(
        &'a self,
        marker: Option<Marker>,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.marker == marker && line.is_for(name))
    }

    /// Lines without marker: those with the port, or else those of the bare name.
    fn plain<'a>(&'a self, names: &'a HostNames) -> Vec<&'a Line> {
        let with_port: Vec<_> = self.marked(None, &names.written).collect();
        if with_port.is_empty() && names.written != names.bare {
            return self.marked(None, &names.bare).collect();
        }
        with_port
    }

    fn revocation(&self, names: &HostNames, key: &PublicKey) -> Option<Finding> {
        [&names.written, &names.bare]
            .into_iter()
            .flat_map(|name| self.marked(Some(Marker::Revoked), name))
            .find(|line| line.key.key_data() == key.key_data())
            .map(|line| Finding::Revoked {
                file: line.file.clone(),
                line: line.number,
            })
    }

    pub(super) fn check_key(&self, names: &HostNames, key: &PublicKey) -> Finding {
        if let Some(revoked) = self.revocation(names, key) {
            return revoked;
        }
        let lines = self.plain(names);
        if lines.is_empty() {
            return Finding::Unknown;
        }
        if lines
            .iter()
            .any(|line| line.key.key_data() == key.key_data())
        {
            return Finding::Known;
        }
        Finding::Changed(lines.into_iter().map(Line::known_as).collect())
    }

    /// `now` in seconds since 1970. The name that must be among the principals is the bare one.
    pub(super) fn check_certificate(
        &self,
        names: &HostNames,
        certificate: &Certificate,
        now: u64,
    ) -> Finding {
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        for key in [&key, &authority] {
            if let Some(revoked) = self.revocation(names, key) {
                return revoked;
            }
        }
        let trusted = self
            .authorities(names)
            .any(|line| line.key.key_data() == authority.key_data());
        if !trusted {
            // As OpenSSH: without a trusted authority the certificate is worth the key in it.
            return self.check_key(names, &key);
        }
        match certificate_fault(certificate, &authority, &names.bare, now) {
            None => Finding::Known,
            Some(fault) => Finding::BadCertificate(fault),
        }
    }

    fn authorities<'a>(&'a self, names: &'a HostNames) -> impl Iterator<Item = &'a Line> {
        [&names.written, &names.bare]
            .into_iter()
            .flat_map(|name| self.marked(Some(Marker::CertAuthority), name))
    }

    /// Is an authority trusted for this host, so that a certificate is worth asking for?
    pub(super) fn wants_certificate(&self, names: &HostNames) -> bool {
        self.authorities(names).next().is_some()
    }

    /// Host key algorithms to propose: the ones of known keys first, so that a host is asked for a key that we can
    /// compare.
    pub(super) fn algorithms(&self, names: &HostNames) -> Vec<Algorithm> {
        let mut order = Vec::new();
        for line in self.plain(names) {
            for algorithm in signature_algorithms(&line.key.algorithm()) {
                if SUPPORTED.contains(&algorithm) && !order.contains(&algorithm) {
                    order.push(algorithm);
                }
            }
        }
        // Among known ones our own order holds, not that of the file.
        order.sort_by_key(|algorithm| SUPPORTED.iter().position(|a| a == algorithm));
        for algorithm in SUPPORTED {
            if !order.contains(&algorithm) {
                order.push(algorithm);
            }
        }
        order
    }
}

/// Host key algorithms in our order of preference. RSA with SHA-1 isn't among them.
pub(super) const SUPPORTED: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: russh::keys::EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: russh::keys::EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: russh::keys::EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

fn signature_algorithms(key: &Algorithm) -> Vec<Algorithm> {
    match key {
        Algorithm::Rsa { .. } => vec![
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha512),
            },
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha256),
            },
        ],
        other => vec![other.clone()],
    }
}

/// Why a certificate of a trusted authority doesn't prove that this is the host (PROTOCOL.certkeys of OpenSSH).
fn certificate_fault(
    certificate: &Certificate,
    authority: &PublicKey,
    name: &str,
    now: u64,
) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate".to_owned());
    }
    if matches!(
        certificate.signature().algorithm(),
        Algorithm::Rsa { hash: None }
    ) {
        return Some("it is signed with SHA-1".to_owned());
    }
    if !certificate.critical_options().is_empty() {
        return Some("it has critical options that nobody knows".to_owned());
    }
    if now < certificate.valid_after() {
        return Some("it isn't valid yet (is the clock here right?)".to_owned());
    }
    if now >= certificate.valid_before() {
        return Some("it has expired".to_owned());
    }
    let principals = certificate.valid_principals();
    if !principals
        .iter()
        .any(|p| pattern::matches(&p.to_ascii_lowercase(), name))
    {
        return Some(format!(
            "it is for {}, not for {name}",
            principals.join(", ")
        ));
    }
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    match certificate.validate_at(now, [&fingerprint]) {
        Ok(()) => None,
        Err(error) => Some(format!("its signature doesn't hold: {error}")),
    }
}

#[cfg(test)]
mod tests;
