//! Host keys: checked while connecting, shown without being trusted, and written down.

use super::error::{KnownAs, LinkError};
use super::known_hosts::{self, Finding, HostNames, KnownHosts};
use super::settings::{HostKeyPolicy, HostKeyQuestion, Prompt, Settings};
use super::ssh;
use super::target::{Connection, Hop, HostKeyRules, Target};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// The key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Name under which it is looked up (`node1`, `[10.0.0.1]:2222`).
    pub name: String,
    /// As in a file of known hosts: `ssh-ed25519 AAAA…`.
    pub line: String,
    pub algorithm: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// What the files of known hosts say of it.
    pub verdict: Verdict,
}

/// What files of known hosts say of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Known,
    Unknown,
    Changed(Vec<KnownAs>),
    Revoked,
}

/// Looks at the key of one server. Made before the connection, because the algorithms depend on what is known.
pub(super) struct Inspector {
    /// Name in the inventory.
    host: String,
    pub(super) rules: HostKeyRules,
    pub(super) names: HostNames,
    pub(super) known: KnownHosts,
    /// Look only: nothing is accepted or written.
    scan: bool,
    prompt: Arc<dyn Prompt>,
    /// One person can answer one question at a time, and two hops may have the same key.
    questions: Arc<Mutex<()>>,
    /// A person may be thinking.
    busy: AtomicBool,
}

/// What the inspection of one connection came to; shared with the connection's handler.
#[derive(Debug, Default)]
pub(super) struct Inspected {
    pub error: Option<LinkError>,
    pub scanned: Option<HostKey>,
    /// A changed key was let through (StrictHostKeyChecking no): no password may go there.
    pub untrusted: bool,
}

impl Inspector {
    pub(super) fn new(
        host: &str,
        hop: &Hop,
        settings: &Settings,
        questions: &Arc<Mutex<()>>,
    ) -> Result<Self, LinkError> {
        let rules = hop.host_key.clone();
        let known = KnownHosts::read(rules.user_files.iter().chain(&rules.global_files))
            .map_err(|(file, error)| unreadable(host, &file, &error))?;
        Ok(Self {
            host: host.to_owned(),
            names: HostNames::new(&rules.name, rules.port, rules.alias),
            rules,
            known,
            scan: false,
            prompt: Arc::clone(&settings.prompt),
            questions: Arc::clone(questions),
            busy: AtomicBool::new(false),
        })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Blocking: it may ask a person and write a file.
    pub(super) fn inspect(&self, shown: &PublicKeyOrCertificate) -> Inspected {
        let finding = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.check_key(&self.names, key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs());
                self.known.check_certificate(&self.names, certificate, now)
            }
        };
        let key = shown.public_key();
        if self.scan {
            return Inspected {
                scanned: Some(self.describe(&key, &finding)),
                ..Inspected::default()
            };
        }
        match self.judge(&key, finding) {
            Ok(untrusted) => Inspected {
                untrusted,
                ..Inspected::default()
            },
            Err(error) => Inspected {
                error: Some(error),
                ..Inspected::default()
            },
        }
    }

    /// True: let through although it isn't trusted.
    fn judge(&self, key: &PublicKey, finding: Finding) -> Result<bool, LinkError> {
        let host = self.host.clone();
        let name = self.names.written.clone();
        let fingerprint = fingerprint(key);
        let algorithm = key.algorithm().to_string();
        match finding {
            Finding::Known => Ok(false),
            Finding::Revoked { file, line } => Err(LinkError::HostKeyRevoked {
                host,
                name,
                fingerprint,
                file,
                line,
            }),
            Finding::BadCertificate(reason) => {
                Err(LinkError::HostCertificate { host, name, reason })
            }
            Finding::Unknown | Finding::Changed(_) if self.rules.replace => {
                self.write(|| {
                    known_hosts::replace(&self.rules.user_files, &name, key, self.rules.hash)
                })?;
                Ok(false)
            }
            Finding::Changed(_) if self.rules.policy == HostKeyPolicy::Off => Ok(true),
            Finding::Changed(expected) => Err(LinkError::HostKeyChanged {
                host,
                name,
                expected,
                algorithm: algorithm.into(),
                fingerprint,
            }),
            Finding::Unknown if self.accepts_unknown(&algorithm, &fingerprint) => {
                if let Some(file) = self.rules.user_files.first() {
                    self.write(|| known_hosts::append(file, &name, key, self.rules.hash))?;
                }
                Ok(false)
            }
            Finding::Unknown => Err(LinkError::UnknownHostKey {
                host,
                name,
                algorithm: algorithm.into(),
                fingerprint,
                files: self
                    .rules
                    .user_files
                    .iter()
                    .chain(&self.rules.global_files)
                    .cloned()
                    .collect(),
            }),
        }
    }

    fn accepts_unknown(&self, algorithm: &str, fingerprint: &str) -> bool {
        match self.rules.policy {
            HostKeyPolicy::Strict => false,
            HostKeyPolicy::AcceptNew | HostKeyPolicy::Off => true,
            HostKeyPolicy::Ask => {
                self.busy.store(true, Ordering::Relaxed);
                let _one = self.questions.lock();
                let answer = self.prompt.accept_host_key(&HostKeyQuestion {
                    host: self.host.clone(),
                    name: self.names.written.clone(),
                    algorithm: algorithm.to_owned(),
                    fingerprint: fingerprint.to_owned(),
                });
                self.busy.store(false, Ordering::Relaxed);
                answer
            }
        }
    }

    fn write(&self, write: impl FnOnce() -> io::Result<()>) -> Result<(), LinkError> {
        write().map_err(|error| {
            let file = self.rules.user_files.first().cloned().unwrap_or_default();
            unreadable(&self.host, &file, &error)
        })
    }

    fn describe(&self, key: &PublicKey, finding: &Finding) -> HostKey {
        HostKey {
            name: self.names.written.clone(),
            line: PublicKey::new(key.key_data().clone(), "")
                .to_openssh()
                .unwrap_or_default(),
            algorithm: key.algorithm().to_string(),
            fingerprint: fingerprint(key),
            verdict: match finding {
                Finding::Known => Verdict::Known,
                Finding::Unknown | Finding::BadCertificate(_) => Verdict::Unknown,
                Finding::Changed(known) => Verdict::Changed(known.clone()),
                Finding::Revoked { .. } => Verdict::Revoked,
            },
        }
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn unreadable(host: &str, file: &std::path::Path, error: &io::Error) -> LinkError {
    LinkError::Config {
        host: host.to_owned(),
        message: format!("file of known hosts {}: {error}", file.display()),
        hints: vec!["it must be readable and its folder writable for you; without it no host key can be checked".to_owned()],
    }
}

/// The key that a host shows now. Nothing is trusted on the host, logged in to or written; bastions on the way are used
/// as ever.
pub async fn scan_host_key(target: &Target, pool: &super::Pool) -> Result<HostKey, LinkError> {
    let Connection::Ssh(hops) = &target.connection else {
        return Err(no_ssh(target));
    };
    let Some((last, before)) = hops.split_last() else {
        return Err(no_ssh(target));
    };
    let via = pool.bastion(&target.name, before).await?;
    let mut inspector = Inspector::new(&target.name, last, pool.settings(), pool.questions())?;
    inspector.scan = true;
    ssh::scan(&target.name, last, via, inspector).await
}

/// Makes `key` the only one that the user's files of known hosts hold for the host. Other lines stay as they are.
pub fn replace_known_host(target: &Target, key: &HostKey) -> Result<(), LinkError> {
    let Connection::Ssh(hops) = &target.connection else {
        return Err(no_ssh(target));
    };
    let Some(last) = hops.last() else {
        return Err(no_ssh(target));
    };
    let parsed = PublicKey::from_openssh(&key.line)
        .map_err(|error| config(target, &format!("no host key: {}: {error}", key.line)))?;
    let rules = &last.host_key;
    known_hosts::replace(&rules.user_files, &key.name, &parsed, rules.hash).map_err(|error| {
        unreadable(
            &target.name,
            rules.user_files.first().unwrap_or(&PathBuf::new()),
            &error,
        )
    })
}

fn no_ssh(target: &Target) -> LinkError {
    config(
        target,
        "it isn't reached by our own SSH, so there is no host key to see",
    )
}

fn config(target: &Target, message: &str) -> LinkError {
    LinkError::Config {
        host: target.name.clone(),
        message: message.to_owned(),
        hints: Vec::new(),
    }
}
