//! Keys of OpenPGP, by the gpg of the host.

use crate::modules::http::Scratch;
use crate::{Context, Failure};
use std::fs;
use std::path::PathBuf;

/// A public key, and the file that it is in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// 16 hexadecimal digits.
    pub(super) id: String,
    pub(super) fingerprint: String,
    pub(super) file: PathBuf,
}

/// The host's gpg, with a home of its own.
pub(super) struct Gpg<'c> {
    cx: &'c Context,
    home: Scratch,
}

impl<'c> Gpg<'c> {
    pub(super) fn new(cx: &'c Context) -> Result<Self, Failure> {
        if cx.find_program("gpg").is_none() {
            return Err(Failure::new(
                "there is no gpg on this host, which reads keys: install the package gpg",
            ));
        }
        Ok(Self {
            cx,
            home: Scratch::new()?,
        })
    }

    fn process(&self) -> crate::Process<'c> {
        self.cx
            .process("gpg")
            .args([
                "--batch",
                "--no-tty",
                "--quiet",
                "--no-default-keyring",
                "--homedir",
            ])
            .arg(self.home.file(""))
            .system()
    }

    /// The public keys in a file's content, armored or not.
    pub(super) fn keys_in(&self, content: &[u8]) -> Result<Vec<Key>, Failure> {
        let output = self
            .process()
            .args(["--with-colons", "--show-keys"])
            .stdin(content.to_vec())
            .run()?;
        Ok(parse(&output.stdout_text()))
    }

    /// A keyring after a command of gpg. Both are in the format without a database, the only one that apt reads.
    pub(super) fn changed(
        &self,
        before: &[u8],
        command: &[&str],
        stdin: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let ring = self.home.file("ring.gpg");
        let failed = |error: &std::io::Error| Failure::io("cannot use", &ring, error);
        fs::remove_file(&ring).ok();
        let name = format!("gnupg-ring:{}", ring.display());
        let with_ring = || self.process().args(["--keyring", &name]);
        if !before.is_empty() {
            with_ring()
                .args(["--import", "-"])
                .stdin(before.to_vec())
                .run()?
                .check("gpg can't read the keyring")?;
        }
        with_ring()
            .args(command)
            .stdin(stdin.to_vec())
            .run()?
            .check("gpg failed")?;
        if before.starts_with(b"-----BEGIN PGP") {
            let output = with_ring().args(["--armor", "--export"]).run()?;
            return Ok(output.check("gpg can't write the keys")?.stdout);
        }
        fs::read(&ring).map_err(|error| failed(&error))
    }

    pub(super) fn receive(&self, server: &str, id: &str) -> Result<Vec<u8>, Failure> {
        let ring = format!("gnupg-ring:{}", self.home.file("received.gpg").display());
        let with_ring = || self.process().args(["--keyring", &ring]);
        with_ring()
            .args(["--keyserver", server, "--recv-keys", id])
            .run()?
            .check(&format!("Error fetching key {id} from keyserver {server}"))?;
        let output = with_ring().args(["--export"]).run()?;
        Ok(output.check("gpg can't write the keys")?.stdout)
    }
}

/// `gpg --with-colons`: `pub` with the number in the fifth field, then its `fpr` with the fingerprint in the tenth.
fn parse(text: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut of_key = false;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[0] {
            "pub" => {
                of_key = true;
                keys.push(Key {
                    id: fields.get(4).copied().unwrap_or_default().to_owned(),
                    fingerprint: String::new(),
                    file: PathBuf::new(),
                });
            }
            "fpr" if of_key => {
                of_key = false;
                if let Some(key) = keys.last_mut() {
                    fields
                        .get(9)
                        .copied()
                        .unwrap_or_default()
                        .clone_into(&mut key.fingerprint);
                }
            }
            _ => {}
        }
    }
    keys
}
