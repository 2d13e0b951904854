//! `deb822_repository`: a file of sources in the format of deb822(5).

use super::fetched;
use crate::files::{self, Attributes};
use crate::modules::ownership::{Changes, Ownership, describe};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

const SOURCES: &str = "/etc/apt/sources.list.d";
const KEYRINGS: &str = "/etc/apt/keyrings";

#[derive(Deserialize)]
pub struct Deb822 {
    name: String,
    state: String,
    mode: String,
    signed_by: Option<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Module for Deb822 {
    const SPEC: Spec = Spec::new(
        "deb822_repository",
        "Keeps a source of packages in /etc/apt/sources.list.d/NAME.sources. The lists of packages aren't fetched: apt with update_cache does. Returns repo, dest, key_filename.",
        &[
            Arg::new(
                "name",
                Kind::Str,
                "Name of the source, of its file and of the file of its key.",
            )
            .required(),
            Arg::new("state", Kind::Str, "Whether it is there.")
                .choices(&["absent", "present"])
                .default("present"),
            Arg::new("mode", Kind::Mode, "Mode of the file.").default("0644"),
            Arg::new(
                "signed_by",
                Kind::Str,
                "The key: URL (fetched by the host's curl), path of a keyring, fingerprints, or an armored key itself.",
            ),
            Arg::new(
                "allow_downgrade_to_insecure",
                Kind::Bool,
                "What was authenticated needs not be.",
            ),
            Arg::new("allow_insecure", Kind::Bool, "It needs no signature."),
            Arg::new(
                "allow_weak",
                Kind::Bool,
                "It may be signed with a weak digest.",
            ),
            Arg::new("architectures", Kind::List, "Architectures."),
            Arg::new("by_hash", Kind::Bool, "Ask for lists by their hashes."),
            Arg::new(
                "check_date",
                Kind::Bool,
                "The clock of this machine is right.",
            ),
            Arg::new(
                "check_valid_until",
                Kind::Bool,
                "Refuse lists that are too old.",
            ),
            Arg::new("components", Kind::List, "Components of the suites."),
            Arg::new(
                "date_max_future",
                Kind::Int,
                "Seconds that a list may be from the future.",
            ),
            Arg::new("enabled", Kind::Bool, "apt uses it."),
            Arg::new(
                "inrelease_path",
                Kind::Str,
                "Path of InRelease, from where it usually is.",
            ),
            Arg::new("languages", Kind::List, "Languages of translations."),
            Arg::new("pdiffs", Kind::Bool, "Fetch only differences."),
            Arg::new(
                "suites",
                Kind::List,
                "Suites, or a path with a slash at its end.",
            ),
            Arg::new("targets", Kind::List, "What apt fetches of it."),
            Arg::new("trusted", Kind::Bool, "It counts as authenticated."),
            Arg::new("types", Kind::List, "Packages, sources of packages.")
                .choices(&["deb", "deb-src"])
                .default("deb"),
            Arg::new("uris", Kind::List, "URIs."),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let slug = slug(&self.name);
        let dest = Path::new(SOURCES).join(format!("{slug}.sources"));
        let mut outcome = if self.state == "absent" {
            self.remove(cx, &slug, &dest)?
        } else {
            self.put(cx, &slug, &dest)?
        };
        outcome = outcome.with("dest", dest.to_string_lossy());
        if dest.exists() {
            outcome.data.extend(describe(&dest));
        }
        Ok(outcome)
    }
}

impl Deb822 {
    fn put(&self, cx: &Context, slug: &str, dest: &Path) -> Result<Outcome, Failure> {
        let mut changed = false;
        let mut key = Value::Null;
        let mut signed_by = self.signed_by.clone();
        if let Some(url) = self.signed_by.as_deref().filter(|text| is_url(text)) {
            let content = fetched(cx, url, true)
                .map_err(|failure| failure.during("Could not fetch signed_by key"))?;
            let path = key_file(slug, &content);
            changed |= write(cx, &path, &content, "0644")?;
            key = path.to_string_lossy().into();
            signed_by = Some(path.to_string_lossy().into_owned());
        }
        let content = self.content(signed_by.as_deref());
        let before = fs::read_to_string(dest).unwrap_or_default();
        changed |= write(cx, dest, content.as_bytes(), &self.mode)?;
        let outcome = Outcome::changed(changed)
            .with("key_filename", key)
            .with("repo", content.trim_end());
        if cx.diff() && before != content {
            return Ok(outcome.diff(&dest.to_string_lossy(), &before, &content));
        }
        Ok(outcome)
    }

    fn remove(&self, cx: &Context, slug: &str, dest: &Path) -> Result<Outcome, Failure> {
        let key = |extension: &str| Path::new(KEYRINGS).join(format!("{slug}.{extension}"));
        let mut changed = false;
        for path in [dest.to_path_buf(), key("asc"), key("gpg")] {
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            changed = true;
            if !cx.check() {
                fs::remove_file(&path)
                    .map_err(|error| Failure::io("cannot remove", &path, &error))?;
            }
        }
        Ok(Outcome::changed(changed)
            .with("repo", Value::Null)
            .with("key_filename", key("gpg").to_string_lossy()))
    }

    /// The paragraph. Its fields are in the order of the arguments' names, as Ansible writes them.
    fn content(&self, signed_by: Option<&str>) -> String {
        let mut fields = self.fields.clone();
        fields.insert("name".to_owned(), self.name.as_str().into());
        if let Some(signed_by) = signed_by {
            fields.insert("signed_by".to_owned(), multi_line(signed_by).into());
        }
        let mut names: Vec<&String> = fields.keys().collect();
        names.sort_unstable();
        let mut content = String::new();
        for name in names {
            let value = match &fields[name] {
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                Value::Array(items) => {
                    let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    words.join(" ")
                }
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let gap = if value.starts_with('\n') { "" } else { " " };
            content += &format!("{}:{gap}{value}\n", field_name(name));
        }
        content
    }
}

fn field_name(argument: &str) -> String {
    match argument {
        "name" => "X-Repolib-Name".to_owned(),
        "uris" => "URIs".to_owned(),
        other => {
            let words: Vec<String> = other
                .split('_')
                .map(|word| word[..1].to_uppercase() + &word[1..])
                .collect();
            words.join("-")
        }
    }
}

/// Several lines stand below the name of the field, deeper, an empty one as a dot.
fn multi_line(text: &str) -> String {
    let text = text.trim();
    if !text.contains('\n') {
        return text.to_owned();
    }
    let line = |line: &str| match line.trim_end() {
        "" => "\n    .".to_owned(),
        line => format!("\n    {line}"),
    };
    text.lines().map(line).collect()
}

fn is_url(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, _)| scheme.chars().all(|letter| letter.is_ascii_alphanumeric()))
}

fn key_file(slug: &str, content: &[u8]) -> PathBuf {
    let armored = content.starts_with(b"-----BEGIN PGP ");
    let extension = if armored { "asc" } else { "gpg" };
    Path::new(KEYRINGS).join(format!("{slug}.{extension}"))
}

/// The name in small letters, with dashes for blanks and underscores, and nothing else but digits.
fn slug(name: &str) -> String {
    let name = name.to_lowercase();
    let words: Vec<&str> = name
        .split(|letter: char| letter == '_' || letter.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let letters = words.join("-");
    letters
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .collect()
}

/// Brings a file to this content and mode; whether that was, or in check mode would be, a change.
fn write(cx: &Context, path: &Path, content: &[u8], mode: &str) -> Result<bool, Failure> {
    let ownership = Ownership::default().with_mode(Some(mode.to_owned()));
    let wanted = ownership.resolve(cx)?;
    if fs::read(path).is_ok_and(|is| is == content) {
        return wanted.apply(cx, path, &mut Changes::default());
    }
    if !cx.check() {
        let dir = files::parent(path);
        fs::create_dir_all(dir)
            .map_err(|error| Failure::io("cannot make the directory", dir, &error))?;
        let attributes: Attributes = wanted.attributes(fs::metadata(path).ok().as_ref());
        files::write(path, content, attributes)
            .map_err(|error| Failure::io("cannot write", path, &error))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_paragraph_is_written_as_ansible_writes_it() {
        let args = json!({
            "name": "my repo_x", "state": "present", "mode": "0644", "signed_by": "-----BEGIN\n\nabc\n",
            "by_hash": true, "enabled": false, "date_max_future": 10, "types": ["deb", "deb-src"], "uris": ["http://a", "b"],
        });
        let module: Deb822 = serde_json::from_value(args).expect("sound");
        assert_eq!(
            module.content(module.signed_by.as_deref()),
            "By-Hash: yes\nDate-Max-Future: 10\nEnabled: no\nX-Repolib-Name: my repo_x\nSigned-By:\n    -----BEGIN\n    .\n    abc\nTypes: deb deb-src\nURIs: http://a b\n"
        );
        assert_eq!(slug("My repo_x!"), "my-repo-x");
        assert!(is_url("https://a") && !is_url("/a") && !is_url("-----BEGIN a://"));
    }
}
