//! Private keys from files, read and decrypted once for all hosts.

use super::error::LinkError;
use super::settings::Prompt;
use russh::keys::{
    Certificate, PrivateKey, PublicKey, decode_secret_key, load_openssh_certificate,
};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a person may mistype a passphrase.
const TRIES: usize = 3;

/// A key that can sign.
#[derive(Clone)]
pub(super) struct Loaded {
    pub key: Arc<PrivateKey>,
    /// From `KEY-cert.pub` beside it.
    pub certificate: Option<Certificate>,
}

/// Why a file gives no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFault {
    pub missing: bool,
    pub reason: String,
    pub hints: Vec<String>,
}

impl KeyFault {
    pub(super) fn into_error(self, host: &str, path: &Path) -> LinkError {
        LinkError::Key {
            host: host.to_owned(),
            path: path.to_owned(),
            reason: self.reason,
            hints: self.hints,
        }
    }
}

/// All keys of a run.
#[derive(Default)]
pub(super) struct KeyRing {
    loaded: Mutex<HashMap<PathBuf, Result<Loaded, KeyFault>>>,
}

impl KeyRing {
    /// The key of a file. Blocking: decryption takes time by design, and a person may be asked, once for all hosts.
    pub(super) fn load(&self, path: &Path, prompt: &dyn Prompt) -> Result<Loaded, KeyFault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(path) {
            return known.clone();
        }
        let result = read(path, prompt);
        loaded.insert(path.to_owned(), result.clone());
        result
    }
}

/// The public half of a key file, if it can be had without the passphrase.
pub(super) fn public_half(path: &Path) -> Option<PublicKey> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let text = std::fs::read_to_string(PathBuf::from(beside))
        .or_else(|_| std::fs::read_to_string(path))
        .ok()?;
    PublicKey::from_openssh(text.trim())
        .ok()
        .or_else(|| Some(PrivateKey::from_openssh(&text).ok()?.public_key().clone()))
}

fn read(path: &Path, prompt: &dyn Prompt) -> Result<Loaded, KeyFault> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    check_mode(path)?;
    if PublicKey::from_openssh(text.trim()).is_ok() {
        return Err(fault(
            "it is a public key",
            "name the private key, or add it to ssh-agent",
        ));
    }
    let key = decode(path, &text, prompt)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push("-cert.pub");
    let certificate = load_openssh_certificate(PathBuf::from(beside)).ok();
    Ok(Loaded {
        key: Arc::new(key),
        certificate,
    })
}

fn decode(path: &Path, text: &str, prompt: &dyn Prompt) -> Result<PrivateKey, KeyFault> {
    if !is_encrypted(text) {
        return decode_secret_key(text, None).map_err(|error| {
            fault(
                &format!("it can't be understood: {error}"),
                "is it an OpenSSH, PEM or PKCS#8 private key?",
            )
        });
    }
    for attempt in 0..TRIES {
        let Some(passphrase) = prompt.passphrase(path, attempt > 0) else {
            return Err(fault(
                "it is encrypted and nobody gave the passphrase",
                "add it to ssh-agent (ssh-add), or run at a terminal",
            ));
        };
        if let Ok(key) = decode_secret_key(text, Some(passphrase.expose())) {
            return Ok(key);
        }
    }
    Err(fault(
        "the passphrase is wrong",
        "check it with: ssh-keygen -y -f KEY",
    ))
}

fn is_encrypted(text: &str) -> bool {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return key.is_encrypted();
    }
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// As ssh: a private key of ours that others can read is no secret.
fn check_mode(path: &Path) -> Result<(), KeyFault> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mode = metadata.mode() & 0o777;
    if metadata.uid() == rustix::process::getuid().as_raw() && mode & 0o077 != 0 {
        return Err(fault(
            &format!("its mode {mode:04o} lets others read it"),
            &format!("chmod 600 {}", path.display()),
        ));
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> KeyFault {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let hint = if missing {
        "check ansible_ssh_private_key_file or --private-key".to_owned()
    } else {
        format!("it must be readable for you: ls -l {}", path.display())
    };
    KeyFault {
        missing,
        reason: error.to_string(),
        hints: vec![hint],
    }
}

fn fault(reason: &str, hint: &str) -> KeyFault {
    KeyFault {
        missing: false,
        reason: reason.to_owned(),
        hints: vec![hint.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::settings::NoPrompt;
    use crate::secret::Secret;
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Answers(&'static [&'static str], AtomicUsize);

    impl Prompt for Answers {
        fn passphrase(&self, _key: &Path, wrong_before: bool) -> Option<Secret<String>> {
            let index = self.1.fetch_add(1, Ordering::SeqCst);
            assert_eq!(wrong_before, index > 0);
            self.0.get(index).map(|a| Secret::new((*a).to_owned()))
        }

        fn accept_host_key(&self, _question: &crate::link::HostKeyQuestion) -> bool {
            false
        }
    }

    fn answers(list: &'static [&'static str]) -> Answers {
        Answers(list, AtomicUsize::new(0))
    }

    fn keygen(folder: &Path, name: &str, args: &[&str]) -> PathBuf {
        let path = folder.join(name);
        let status = Command::new("ssh-keygen")
            .args(["-q", "-f"])
            .arg(&path)
            .args(args)
            .status()
            .unwrap();
        assert!(status.success());
        path
    }

    #[test]
    fn reads_what_ssh_keygen_writes() {
        let folder = tempfile::tempdir().unwrap();
        for (name, args) in [
            ("ed25519", &["-t", "ed25519", "-N", ""][..]),
            ("ecdsa", &["-t", "ecdsa", "-b", "384", "-N", ""]),
            ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]),
            ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]),
            ("pkcs8", &["-t", "ecdsa", "-m", "PKCS8", "-N", ""]),
        ] {
            let path = keygen(folder.path(), name, args);
            let loaded = KeyRing::default()
                .load(&path, &NoPrompt)
                .unwrap_or_else(|f| panic!("{name}: {}", f.reason));
            assert_eq!(
                loaded.key.public_key().key_data(),
                public_half(&path).unwrap().key_data(),
                "{name}"
            );
        }
    }

    #[test]
    fn asks_for_a_passphrase_once_for_all_hosts() {
        let folder = tempfile::tempdir().unwrap();
        for args in [
            &["-t", "ed25519", "-N", "right"][..],
            &["-t", "ecdsa", "-m", "PKCS8", "-N", "right"],
        ] {
            let path = keygen(folder.path(), &format!("k{}", args.len()), args);
            let ring = KeyRing::default();
            let prompt = answers(&["wrong", "right"]);
            assert!(ring.load(&path, &prompt).is_ok(), "{args:?}");
            assert!(ring.load(&path, &prompt).is_ok());
            assert_eq!(prompt.1.load(Ordering::SeqCst), 2);
            let reason = |answers: &Answers| {
                KeyRing::default()
                    .load(&path, answers)
                    .err()
                    .unwrap()
                    .reason
            };
            assert!(reason(&answers(&[])).contains("nobody gave"));
            assert!(reason(&answers(&["a", "b", "c", "right"])).contains("wrong"));
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = keygen(folder.path(), "k", &["-t", "ed25519", "-N", ""]);
        let load = |path: &Path| KeyRing::default().load(path, &NoPrompt).err().unwrap();
        assert!(load(&folder.path().join("none")).missing);
        assert!(
            load(&path.with_extension("pub"))
                .reason
                .contains("lets others read")
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let fault = load(&path);
        assert!(
            fault.reason.contains("0640") && fault.hints[0].starts_with("chmod 600"),
            "{fault:?}"
        );
        let public = path.with_extension("pub");
        std::fs::set_permissions(&public, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(load(&public).reason.contains("public key"));
        std::fs::write(&public, "nonsense").unwrap();
        assert!(load(&public).reason.contains("understood"));
        assert!(load(folder.path()).reason.contains("directory"));
    }
}
