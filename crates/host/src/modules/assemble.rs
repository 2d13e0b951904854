//! `assemble`: one file of the fragments in a directory.

use crate::files;
use crate::modules::ownership::{self, Changes, Ownership, describe};
use crate::modules::rewrite::{self, Content, Rewrite, content_diff};
use crate::regex::{Flags, Regex};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use md5::Md5;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct Assemble {
    src: String,
    dest: String,
    delimiter: Option<String>,
    regexp: Option<String>,
    ignore_hidden: bool,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

const OWN: [Arg; 7] = [
    Arg::new(
        "src",
        Kind::Path,
        "Directory with the fragments; they go in the order of their names.",
    )
    .required(),
    Arg::new("dest", Kind::Path, "The file.").required(),
    Arg::new("delimiter", Kind::Str, "What goes between two fragments."),
    Arg::new(
        "regexp",
        Kind::Str,
        "Only fragments in whose names this expression (Python's) is found.",
    ),
    Arg::new(
        "ignore_hidden",
        Kind::Bool,
        "Not fragments whose names begin with a dot.",
    )
    .default("no"),
    Arg::new(
        "remote_src",
        Kind::Bool,
        "src is on the host; otherwise on the controller.",
    )
    .default("yes"),
    Arg::new(
        "decrypt",
        Kind::Bool,
        "Decrypt vaulted fragments at the controller.",
    )
    .default("yes"),
];

const ALL: [Arg; 18] = join::<7, 11, 18>(OWN, join::<8, 3, 11>(ownership::ARGS, rewrite::ARGS));

impl Module for Assemble {
    const SPEC: Spec = Spec::new("assemble", "Makes one file of fragments.", &ALL).returns(&[
        Return::new("dest, src", "The file and the directory of the pieces."),
        Return::new("checksum, md5sum", "SHA-1 and MD5 of the content."),
        Return::new("backup_file", "The copy of the old file, with backup."),
        Return::new(
            "owner, group, uid, gid, mode, size, state",
            "Whose the file is, its mode, its length and its kind.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let src = cx.expand(&self.src);
        let content = Fragments {
            delimiter: self.delimiter.clone(),
            regexp: self.regexp.clone(),
            ignore_hidden: self.ignore_hidden,
        }
        .joined(&src, |path| fs::read(path))?;
        let dest = cx.expand(&self.dest);
        let sum = files::hex(&Sha1::digest(&content));
        let wanted = self.ownership.resolve(cx)?;
        let old = fs::symlink_metadata(&dest).ok();
        let before = rewrite::read(&dest)?;
        let differs = before.as_ref() != Some(&content);
        let mut outcome = Outcome::changed(differs)
            .with("src", src.to_string_lossy())
            .with("dest", dest.to_string_lossy())
            .with("checksum", sum)
            .with("md5sum", files::hex(&Md5::digest(&content)))
            .msg("OK");
        if differs {
            if cx.diff() {
                let before = before.as_deref().unwrap_or_default();
                outcome = outcome.with("diff", content_diff(&dest, before, &content));
            }
            if cx.check() {
                self.rewrite.would(&dest)?;
            } else {
                let mut content = Content {
                    size: content.len() as u64,
                    input: &mut &content[..],
                };
                let attributes = wanted.attributes(old.as_ref());
                if let Some(backup) = self.rewrite.put(cx, &dest, attributes, &mut content)? {
                    outcome = outcome.with("backup_file", backup.to_string_lossy());
                }
            }
        }
        if dest.symlink_metadata().is_ok() {
            outcome.changed |= wanted.apply(cx, &dest, &mut Changes::default())?;
        }
        outcome.data.extend(describe(&dest));
        Ok(outcome)
    }
}

/// Which fragments of a directory become one file, and what goes between them.
pub struct Fragments {
    pub delimiter: Option<String>,
    /// Python's; found in the name of a fragment.
    pub regexp: Option<String>,
    pub ignore_hidden: bool,
}

impl Fragments {
    /// The fragments of the directory in the order of their names, each as `read` gives it.
    pub fn joined(
        &self,
        src: &Path,
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>, Failure> {
        if !src.is_dir() {
            let what = if src.exists() {
                "is not a directory"
            } else {
                "does not exist"
            };
            return Err(Failure::new(format!("Source ({}) {what}", src.display())));
        }
        let delimiter = self.delimiter.as_deref().map(unescaped).unwrap_or_default();
        let mut all: Vec<u8> = Vec::new();
        for (index, path) in self.names(src)?.iter().enumerate() {
            let fragment = read(path).map_err(|error| Failure::io("cannot read", path, &error))?;
            // Each fragment and each delimiter begins a line.
            if index > 0 && !all.is_empty() && !all.ends_with(b"\n") {
                all.push(b'\n');
            }
            if index > 0 && !delimiter.is_empty() {
                all.extend_from_slice(delimiter.as_bytes());
                if !delimiter.ends_with('\n') {
                    all.push(b'\n');
                }
            }
            all.extend(fragment);
        }
        Ok(all)
    }

    fn names(&self, src: &Path) -> Result<Vec<PathBuf>, Failure> {
        let regex = self
            .regexp
            .as_deref()
            .map(|text| {
                Regex::text(text, Flags::default()).map_err(|error| {
                    Failure::new(format!("Invalid Regexp ({error}) in \"{text}\""))
                })
            })
            .transpose()?;
        let failed = |error| Failure::io("cannot read the directory", src, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(src).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort();
        let mut paths = Vec::new();
        for name in names {
            let text = name.to_string_lossy();
            let fits = match &regex {
                Some(regex) => regex.is_in(&text).map_err(Failure::new)?,
                None => true,
            };
            let path = src.join(&name);
            if fits && !(self.ignore_hidden && text.starts_with('.')) && path.is_file() {
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

/// `\n` and `\t` in a delimiter are what they stand for.
fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, mode, run};
    use serde_json::json;
    use std::fs;

    #[test]
    fn fragments_become_one_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (src, dest) = (dir.path().join("s"), dir.path().join("d"));
        fs::create_dir(&src).expect("made");
        for (name, text) in [
            ("b", "two"),
            ("a", "one\n"),
            (".c", "three\n"),
            ("x.old", "no\n"),
        ] {
            fs::write(src.join(name), text).expect("written");
        }
        let args = json!({"src": src, "dest": dest, "delimiter": "--", "regexp": "^.{1,2}$", "mode": "0600"});
        assert!(check("assemble", args.clone()).changed && !dest.exists());
        assert!(run("assemble", args.clone()).changed);
        assert_eq!(
            fs::read_to_string(&dest).expect("there"),
            "three\n--\none\n--\ntwo"
        );
        assert_eq!(mode(&dest), 0o600);
        assert!(!run("assemble", args).changed);
        let plain = json!({"src": src, "dest": dest, "ignore_hidden": true, "regexp": "^[ab]$"});
        assert!(run("assemble", plain).changed);
        assert_eq!(fs::read_to_string(&dest).expect("there"), "one\ntwo");
        assert!(run("assemble", json!({"src": "/no/such", "dest": dest})).failed);
        assert!(run("assemble", json!({"src": src, "dest": dest, "regexp": "("})).failed);
    }
}
