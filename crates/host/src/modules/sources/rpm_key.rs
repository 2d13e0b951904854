//! `rpm_key`: keys that rpm trusts.

use super::fetched;
use super::gpg::{Gpg, Key};
use crate::modules::http::Scratch;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use std::fs;

#[derive(Deserialize)]
pub struct RpmKey {
    key: String,
    state: String,
    fingerprint: Option<Vec<String>>,
    validate_certs: bool,
}

impl Module for RpmKey {
    const SPEC: Spec = Spec::new(
        "rpm_key",
        "Keeps a key in the database of rpm, by the host's rpm and gpg. Compared by hand with Ansible's with rpm 4.18; the tests know recorded answers of rpm 4.16 only.",
        &[
            Arg::new(
                "key",
                Kind::Str,
                "URL, or file of the host; where it goes away also its number or fingerprint.",
            )
            .required(),
            Arg::new("state", Kind::Str, "Whether it is there.")
                .choices(&["absent", "present"])
                .default("present"),
            Arg::new(
                "fingerprint",
                Kind::List,
                "Fingerprints that the key may have; any other is refused.",
            ),
            Arg::new(
                "validate_certs",
                Kind::Bool,
                "Check the certificate of the server.",
            )
            .default("yes"),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if cx.find_program("rpm").is_none() {
            return Err(Failure::new(
                "rpm isn't on this host: rpm_key works on Red Hat's systems and their kin",
            ));
        }
        let named = self.named();
        let (numbers, content) = match named {
            Some(number) => (vec![number], None),
            None => self.of_content(cx)?,
        };
        let output = cx
            .process("rpm")
            .args(["-q", "gpg-pubkey", "--qf", "%{VERSION}\n"])
            .system()
            .run()?;
        let known = installed(&output.stdout_text());
        let there: Vec<&String> = numbers
            .iter()
            .filter(|number| known.contains(&short(number)))
            .collect();
        let present = self.state == "present";
        let changed = if present {
            there.len() < numbers.len()
        } else {
            !there.is_empty()
        };
        // As in Ansible, a key that is there already isn't looked at again.
        if let (true, Some((_, keys))) = (changed && present, &content) {
            self.check_fingerprint(keys)?;
        }
        if !changed || cx.check() {
            return Ok(Outcome::changed(changed));
        }
        if !present {
            for number in there {
                cx.process("rpm")
                    .args(["--erase", "--allmatches"])
                    .arg(format!("gpg-pubkey-{}", short(number)))
                    .system()
                    .run()?
                    .check("cannot remove the key")?;
            }
            return Ok(Outcome::changed(true));
        }
        let Some((content, _)) = content else {
            return Err(Failure::new(
                "When importing a key, a valid file must be given",
            ));
        };
        let scratch = Scratch::new()?;
        let file = scratch.file("key");
        fs::write(&file, content).map_err(|error| Failure::io("cannot write", &file, &error))?;
        cx.process("rpm")
            .arg("--import")
            .arg(&file)
            .system()
            .run()?
            .check("cannot import the key")?;
        Ok(Outcome::changed(true))
    }
}

/// What a file or URL held, and the keys in it.
type Given = (Vec<u8>, Vec<Key>);

impl RpmKey {
    /// The number of a key, when that is what `key` is.
    fn named(&self) -> Option<String> {
        let text: String = self.key.split_whitespace().collect();
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let hex = digits.chars().all(|digit| digit.is_ascii_hexdigit());
        (hex && matches!(digits.len(), 8 | 16 | 40)).then(|| digits.to_lowercase())
    }

    fn check_fingerprint(&self, keys: &[Key]) -> Result<(), Failure> {
        if let Some(wanted) = &self.fingerprint {
            let wanted: Vec<String> = wanted
                .iter()
                .map(|text| text.split_whitespace().collect::<String>().to_uppercase())
                .collect();
            if !keys.iter().any(|key| wanted.contains(&key.fingerprint)) {
                return Err(Failure::new(format!(
                    "The specified fingerprint, '{}', does not match any key fingerprints in '{}'",
                    wanted.join(", "),
                    self.key
                )));
            }
        }
        Ok(())
    }

    /// The keys in a file or behind a URL.
    fn of_content(&self, cx: &Context) -> Result<(Vec<String>, Option<Given>), Failure> {
        let content = fetched(cx, &self.key, self.validate_certs)?;
        let keys = Gpg::new(cx)?.keys_in(&content)?;
        if keys.is_empty() {
            return Err(Failure::new(format!("Not a valid key {}", self.key)));
        }
        let numbers = keys.iter().map(|key| key.id.to_lowercase()).collect();
        Ok((numbers, Some((content, keys))))
    }
}

/// The last eight digits, by which rpm names a key.
fn short(number: &str) -> String {
    number[number.len().saturating_sub(8)..].to_owned()
}

/// `%{VERSION}` of every `gpg-pubkey`; without one rpm says so in words.
fn installed(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.len() >= 8 && line.chars().all(|digit| digit.is_ascii_hexdigit()))
        .map(short)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_rpm_are_read() {
        // As rpm 4.16 of Rocky Linux 9 answers, with two keys and without any.
        assert_eq!(installed("350d275d\n3228467c\n"), ["350d275d", "3228467c"]);
        assert!(installed("package gpg-pubkey is not installed\n").is_empty());
        let key = |key: &str| {
            RpmKey {
                key: key.to_owned(),
                state: "absent".to_owned(),
                fingerprint: None,
                validate_certs: true,
            }
            .named()
        };
        assert_eq!(key("0x350D275D").as_deref(), Some("350d275d"));
        assert_eq!(key("/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9"), None);
        assert_eq!(short("702d426d350d275d"), "350d275d");
    }
}
