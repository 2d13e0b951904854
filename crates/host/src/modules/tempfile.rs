//! `tempfile`: a new file or directory with a name that nobody could have prepared.

use crate::modules::ownership::describe;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct Tempfile {
    state: String,
    path: Option<String>,
    prefix: String,
    suffix: String,
}

impl Module for Tempfile {
    const SPEC: Spec = Spec::new(
        "tempfile",
        "Makes a temporary file or directory, which only its maker can open.",
        &[
            Arg::new("state", Kind::Str, "What to make.")
                .choices(&["file", "directory"])
                .default("file"),
            Arg::new(
                "path",
                Kind::Path,
                "Directory that it is made in; if not said, the system's for temporary files.",
            ),
            Arg::new("prefix", Kind::Str, "What its name begins with.").default("ansible."),
            Arg::new("suffix", Kind::Str, "What its name ends with.").default(""),
        ],
    )
    .without_check_mode()
    .returns(&[Return::new("path", "What was made.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let dir = match &self.path {
            Some(path) => cx.expand(path),
            None => default_directory(cx)?,
        };
        let path = self
            .make(&dir)
            .map_err(|error| Failure::io("cannot make a temporary file in", &dir, &error))?;
        let mut outcome = Outcome::changed(true).with("path", path.to_string_lossy());
        outcome.data.extend(describe(&path));
        Ok(outcome)
    }
}

impl Tempfile {
    fn make(&self, dir: &Path) -> io::Result<PathBuf> {
        for _ in 0..100 {
            let name = format!("{}{}{}", self.prefix, random_name()?, self.suffix);
            let path = dir.join(name);
            let made = if self.state == "directory" {
                DirBuilder::new().mode(0o700).create(&path)
            } else {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                options.open(&path).map(drop)
            };
            match made {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "no free name"))
    }
}

/// Eight letters of base 32: 40 random bits.
fn random_name() -> io::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}

/// The first of the usual directories that can be written to.
fn default_directory(cx: &Context) -> Result<PathBuf, Failure> {
    let named = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(|name| {
        let value = cx.environment().get(name).cloned();
        value.or_else(|| std::env::var(name).ok())
    });
    named
        .chain(["/tmp", "/var/tmp", "/usr/tmp"].map(ToOwned::to_owned))
        .map(PathBuf::from)
        .find(|dir| {
            use rustix::fs::{Access, access};
            dir.is_dir() && access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
        })
        .ok_or_else(|| {
            Failure::new("no directory for temporary files: none of $TMPDIR, /tmp and /var/tmp can be written to")
        })
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, mode, run};
    use serde_json::json;

    #[test]
    fn each_call_makes_another() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = run("tempfile", json!({"path": dir.path(), "suffix": ".x"}));
        let path = file.data["path"].as_str().expect("a path").to_owned();
        assert!(file.changed && path.ends_with(".x"), "{file:?}");
        assert!(path.contains("/ansible."), "{path}");
        assert_eq!((mode(&path), &file.data["state"]), (0o600, &json!("file")));
        let args = json!({"path": dir.path(), "state": "directory", "prefix": "build-"});
        let made = run("tempfile", args);
        let path = made.data["path"].as_str().expect("a path").to_owned();
        assert_eq!((mode(&path), &made.data["size"].is_u64()), (0o700, &true));
        assert!(path.contains("/build-"), "{path}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 2);
    }

    #[test]
    fn check_mode_skips_and_a_missing_directory_fails() {
        let skipped = check("tempfile", json!({}));
        assert!(skipped.skipped && !skipped.changed, "{skipped:?}");
        let failed = run("tempfile", json!({"path": "/no/such/dir"}));
        assert!(failed.failed, "{failed:?}");
        assert!(run("tempfile", json!({})).changed);
    }
}
