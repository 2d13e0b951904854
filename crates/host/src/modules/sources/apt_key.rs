//! `apt_key`: keys that apt trusts, through the host's gpg; apt-key itself is gone from newer systems.

use super::fetched;
use super::gpg::{Gpg, Key};
use crate::files::{self, Attributes};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Rule, Spec};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

const KEYRING: &str = "/etc/apt/trusted.gpg";
const PARTS: &str = "/etc/apt/trusted.gpg.d";

#[derive(Deserialize)]
pub struct AptKey {
    id: Option<String>,
    data: Option<String>,
    file: Option<String>,
    url: Option<String>,
    keyserver: Option<String>,
    keyring: Option<String>,
    state: String,
    validate_certs: bool,
}

impl Module for AptKey {
    const SPEC: Spec = Spec::new(
        "apt_key",
        "Keeps a key that apt trusts for all repositories, by the gpg of the host. deb822_repository with signed_by is the better way. Returns id, key_id, fp, short_id, before, after.",
        &[
            Arg::new("id", Kind::Str, "The key: 8 or 16 digits of its number, or its fingerprint. Without it that of the first key in what is given."),
            Arg::new("data", Kind::Str, "The key itself, armored."),
            Arg::new("file", Kind::Path, "A file of the host with the key."),
            Arg::new("url", Kind::Str, "URL of the key, which the host's curl fetches."),
            Arg::new("keyserver", Kind::Str, "A server to ask for id."),
            Arg::new("keyring", Kind::Path, "The file to keep it in; otherwise /etc/apt/trusted.gpg, and every file of trusted.gpg.d counts."),
            Arg::new("state", Kind::Str, "Whether it is there.").choices(&["absent", "present"]).default("present"),
            Arg::new("validate_certs", Kind::Bool, "Check the certificate of the server.").default("yes"),
        ],
    )
    .rules(&[Rule::Exclusive(&["data", "file", "keyserver", "url"])]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let gpg = Gpg::new(cx)?;
        let before = self.trusted(&gpg)?;
        let given = self.id.as_deref().map(KeyId::parse).transpose()?;
        if self.state == "absent" {
            let id = given.ok_or_else(|| {
                Failure::new("Invalid key_id: id is needed where state is absent")
            })?;
            return self.remove(cx, &gpg, &id, &before);
        }
        // A key that is there needn't be fetched.
        if let Some(id) = given.as_ref().filter(|id| has(&before, id)) {
            return Ok(told(false, id, &before));
        }
        let content = self.content(cx, &gpg)?;
        let keys = gpg.keys_in(&content)?;
        let first = keys.first().ok_or_else(|| {
            Failure::new("Unable to extract key: there is no OpenPGP key in what was given")
        })?;
        let id = match given {
            Some(id) => id,
            None => KeyId::parse(&first.id)?,
        };
        if has(&before, &id) {
            return Ok(told(false, &id, &before));
        }
        if !keys.iter().any(|key| id.is(key)) {
            return Err(Failure::new(format!(
                "key does not seem to have been added: what was given holds {}, not {}",
                numbers(&keys, &id).join(", "),
                id.given
            )));
        }
        let outcome = told(true, &id, &before);
        if cx.check() {
            return Ok(outcome);
        }
        self.import(&gpg, &content)?;
        Ok(outcome.with("after", numbers(&self.trusted(&gpg)?, &id)))
    }
}

/// A key as people name it.
#[derive(Debug)]
struct KeyId {
    given: String,
    digits: String,
}

impl KeyId {
    fn parse(text: &str) -> Result<Self, Failure> {
        let digits: String = text.split_whitespace().collect::<String>().to_uppercase();
        let digits = digits.strip_prefix("0X").unwrap_or(&digits).to_owned();
        let hex = digits.chars().all(|digit| digit.is_ascii_hexdigit());
        if !hex || digits.len() < 8 {
            return Err(Failure::new(format!(
                "Invalid key_id: {text} (it is 8, 16 or 40 hexadecimal digits)"
            ))
            .with("id", text));
        }
        Ok(Self {
            given: text.to_owned(),
            digits,
        })
    }

    fn is(&self, key: &Key) -> bool {
        key.fingerprint.ends_with(&self.digits) || key.id.ends_with(&self.digits)
    }

    fn last(&self, count: usize) -> &str {
        &self.digits[self.digits.len().saturating_sub(count)..]
    }
}

fn has(keys: &[Key], id: &KeyId) -> bool {
    keys.iter().any(|key| id.is(key))
}

/// Numbers of keys, as long as the one that was asked for.
fn numbers(keys: &[Key], id: &KeyId) -> Vec<String> {
    let skip = if id.digits.len() == 8 { 8 } else { 0 };
    keys.iter()
        .map(|key| key.id[skip.min(key.id.len())..].to_owned())
        .collect()
}

fn told(changed: bool, id: &KeyId, before: &[Key]) -> Outcome {
    Outcome::changed(changed)
        .with("id", id.given.as_str())
        .with("fp", id.last(16))
        .with("key_id", id.last(16))
        .with("short_id", id.last(8))
        .with("before", numbers(before, id))
}

impl AptKey {
    /// The files that count.
    fn files(&self) -> Vec<PathBuf> {
        if let Some(keyring) = &self.keyring {
            return vec![PathBuf::from(keyring)];
        }
        let mut parts: Vec<PathBuf> = fs::read_dir(PARTS)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "gpg" || extension == "asc")
            })
            .collect();
        parts.sort();
        parts.insert(0, PathBuf::from(KEYRING));
        parts
    }

    fn trusted(&self, gpg: &Gpg<'_>) -> Result<Vec<Key>, Failure> {
        let mut keys = Vec::new();
        for file in self.files() {
            let content = match fs::read(&file) {
                Ok(content) if !content.is_empty() => content,
                Ok(_) => continue,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Failure::io("cannot read", &file, &error)),
            };
            keys.extend(gpg.keys_in(&content)?.into_iter().map(|key| Key {
                file: file.clone(),
                ..key
            }));
        }
        Ok(keys)
    }

    fn content(&self, cx: &Context, gpg: &Gpg<'_>) -> Result<Vec<u8>, Failure> {
        match (&self.data, &self.file, &self.url, &self.keyserver) {
            (Some(data), ..) => Ok(data.clone().into_bytes()),
            (_, Some(file), ..) => fetched(cx, file, true),
            (_, _, Some(url), _) => fetched(cx, url, self.validate_certs)
                .map_err(|failure| failure.during("Failed to download key")),
            (.., Some(server)) => gpg.receive(server, self.id.as_deref().unwrap_or_default()),
            _ => Err(Failure::new(
                "the key isn't there, and none of data, file, url and keyserver says where it is",
            )),
        }
    }

    fn import(&self, gpg: &Gpg<'_>, content: &[u8]) -> Result<(), Failure> {
        let target = PathBuf::from(self.keyring.as_deref().unwrap_or(KEYRING));
        let before = fs::read(&target).unwrap_or_default();
        let after = gpg.changed(&before, &["--import", "-"], content)?;
        put(&target, &after)
    }

    fn remove(
        &self,
        cx: &Context,
        gpg: &Gpg<'_>,
        id: &KeyId,
        before: &[Key],
    ) -> Result<Outcome, Failure> {
        let doomed: Vec<&Key> = before.iter().filter(|key| id.is(key)).collect();
        let outcome = told(!doomed.is_empty(), id, before);
        if doomed.is_empty() || cx.check() {
            return Ok(outcome);
        }
        for key in doomed {
            let content = fs::read(&key.file)
                .map_err(|error| Failure::io("cannot read", &key.file, &error))?;
            let others = gpg.keys_in(&content)?.len() > 1;
            if others {
                let delete = ["--yes", "--delete-keys", &key.fingerprint];
                put(&key.file, &gpg.changed(&content, &delete, &[])?)?;
            } else {
                fs::remove_file(&key.file)
                    .map_err(|error| Failure::io("cannot remove", &key.file, &error))?;
            }
        }
        Ok(outcome.with("after", numbers(&self.trusted(gpg)?, id)))
    }
}

fn put(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let attributes = Attributes {
        mode: Some(0o644),
        ..Attributes::default()
    };
    files::write(path, content, attributes)
        .map_err(|error| Failure::io("cannot write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::{check, run};
    use serde_json::json;

    /// A key of Ed25519, made for this test.
    const KEY: &str = include_str!("testdata/a.asc");
    const FINGERPRINT: &str = include_str!("testdata/a.fingerprint");

    #[test]
    fn keys_are_trusted_once_and_go_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let ring = dir.path().join("ring.gpg");
        let args = json!({"data": KEY, "keyring": ring.to_string_lossy()});
        let told = check("apt_key", args.clone());
        assert!(told.changed && !ring.exists(), "{told:?}");
        let done = run("apt_key", args.clone());
        assert!(done.changed, "{done:?}");
        assert_eq!(done.data["before"], json!([]));
        assert_eq!(done.data["after"], json!([done.data["key_id"]]));
        // A keyring in the format that apt reads, not a database.
        assert_eq!(fs::read(&ring).expect("there")[0], 0x98);
        assert!(!run("apt_key", args).changed);
        let id = FINGERPRINT.trim();
        for (id, changed) in [(&id[32..], false), (&id[24..], false), (id, false)] {
            let args = json!({"id": id, "keyring": ring.to_string_lossy()});
            assert_eq!(run("apt_key", args).changed, changed, "{id}");
        }
        let gone = json!({"id": id, "state": "absent", "keyring": ring.to_string_lossy()});
        assert!(check("apt_key", gone.clone()).changed && ring.exists());
        assert!(run("apt_key", gone.clone()).changed);
        assert!(!run("apt_key", gone).changed && !ring.exists());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let ring = dir.path().join("ring.gpg");
        let ring = ring.to_string_lossy();
        for (args, said) in [
            (json!({"data": "nonsense"}), "Unable to extract key"),
            (json!({"id": "ZZZZ", "data": KEY}), "Invalid key_id"),
            (json!({"state": "absent"}), "id is needed"),
            (
                json!({"id": "AAAAAAAAAAAAAAAA", "data": KEY}),
                "key does not seem to have been added",
            ),
            (json!({"id": "AAAAAAAAAAAAAAAA"}), "none of data, file, url"),
            (json!({"data": KEY, "url": "http://a"}), "only one of these"),
        ] {
            let mut args = args;
            args["keyring"] = (&*ring).into();
            let outcome = run("apt_key", args.clone());
            let msg = outcome.data["msg"].as_str().expect("text");
            assert!(outcome.failed && msg.contains(said), "{args}: {msg}");
        }
    }
}
