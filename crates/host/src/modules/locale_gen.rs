//! `locale_gen`: locales that the host has, by /etc/locale.gen and locale-gen as on Debian.

use crate::files::{self, Attributes};
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
pub struct LocaleGen {
    name: Vec<String>,
    state: String,
}

const FILE: &str = "/etc/locale.gen";
/// Names and character sets of all locales that can be made.
const SUPPORTED: &str = "/usr/share/i18n/SUPPORTED";

impl Module for LocaleGen {
    const SPEC: Spec = Spec::new(
        "locale_gen",
        "Makes and removes locales, by /etc/locale.gen and the program locale-gen.",
        &[
            Arg::new(
                "name",
                Kind::List,
                "The locales, with their character set: en_GB.UTF-8.",
            )
            .required(),
            Arg::new("state", Kind::Str, "There or not.")
                .choices(&["absent", "present"])
                .default("present"),
        ],
    )
    .returns(&[Return::new("mechanism", "How: glibc.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let path = Path::new(FILE);
        let before = rewrite::read(path)?.ok_or_else(|| {
            Failure::new(format!(
                "{FILE} is missing. Is the package \"locales\" installed?"
            ))
        })?;
        let before = String::from_utf8_lossy(&before).into_owned();
        let supported = fs::read_to_string(SUPPORTED).unwrap_or_default();
        let known = format!("{before}\n{supported}");
        let unknown: Vec<&str> = self
            .name
            .iter()
            .filter(|name| {
                !known
                    .lines()
                    .any(|line| names(line.trim_start_matches(['#', ' ']), name))
            })
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            return Err(Failure::new(format!(
                "The following locales you have entered are not available on your system: {}",
                unknown.join(", ")
            )));
        }
        let made = made(cx)?;
        let present = self.state == "present";
        let differing: Vec<&String> = self
            .name
            .iter()
            .filter(|name| made.iter().any(|known| same(known, name)) != present)
            .collect();
        let outcome = Outcome::changed(!differing.is_empty()).with("mechanism", "glibc");
        if differing.is_empty() || cx.check() {
            return Ok(outcome);
        }
        let after = edited(&before, &supported, &differing, present);
        files::write(path, after.as_bytes(), Attributes::default())
            .map_err(|error| rewrite::write_failure(path, after.len() as u64, true, &error))?;
        cx.process("locale-gen")
            .system()
            .run()?
            .check("locale-gen failed")?;
        Ok(outcome)
    }
}

/// Whether a line of locale.gen begins with the locale.
fn names(line: &str, name: &str) -> bool {
    line.split_whitespace().next() == Some(name)
}

/// The locales that there are.
fn made(cx: &Context) -> Result<Vec<String>, Failure> {
    let output = cx
        .process("locale")
        .arg("-a")
        .system()
        .run()?
        .check("cannot list locales")?;
    Ok(output
        .stdout_text()
        .lines()
        .map(ToOwned::to_owned)
        .collect())
}

/// `locale -a` writes `en_GB.utf8` for `en_GB.UTF-8`.
fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let (start, set) = name.split_once('.').unwrap_or((name, ""));
        let (set, modifier) = set.split_once('@').unwrap_or((set, ""));
        let set: String = set.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{start}.{}@{modifier}", set.to_lowercase())
    };
    plain(one) == plain(other)
}

/// The file with these locales, or with their lines commented out.
fn edited(text: &str, supported: &str, wanted: &[&String], present: bool) -> String {
    let mut new = String::with_capacity(text.len() + 64);
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start_matches(['#', ' ']);
        let it = wanted.iter().find(|name| names(bare, name));
        match it {
            Some(name) if present => {
                found.push(name.as_str());
                new.push_str(bare);
            }
            Some(_) if !line.starts_with('#') => new.push_str(&format!("# {line}")),
            _ => new.push_str(line),
        }
        new.push('\n');
    }
    for name in wanted
        .iter()
        .filter(|name| present && !found.contains(&name.as_str()))
    {
        let line = supported
            .lines()
            .find(|line| names(line, name))
            .unwrap_or(name);
        new.push_str(&format!("{line}\n"));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_made_to_count_and_commented_out() {
        let (en, de) = ("en_GB.UTF-8".to_owned(), "de_DE.UTF-8".to_owned());
        let text = "# list\n# en_GB.UTF-8 UTF-8\n";
        let supported = "de_DE.UTF-8 UTF-8\n";
        let both = edited(text, supported, &[&en, &de], true);
        assert_eq!(both, "# list\nen_GB.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n");
        assert_eq!(
            edited(&both, supported, &[&en], false),
            "# list\n# en_GB.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n"
        );
        assert!(same("en_GB.utf8", "en_GB.UTF-8") && !same("en_GB", "en_GB.UTF-8"));
        assert!(!same("de_DE@euro", "de_DE"));
    }
}
