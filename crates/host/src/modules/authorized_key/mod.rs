//! `authorized_key`: who may log in as a user with which key.

mod line;

use crate::files::{self, Attributes, parent};
use crate::modules::ownership::describe;
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, users};
use line::{Key, Line};
use serde::Deserialize;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
pub struct AuthorizedKey {
    user: String,
    key: String,
    path: Option<String>,
    manage_dir: bool,
    state: String,
    key_options: Option<String>,
    exclusive: bool,
    comment: Option<String>,
    validate_certs: bool,
    follow: bool,
}

impl Module for AuthorizedKey {
    const SPEC: Spec = Spec::new(
        "authorized_key",
        "Adds and removes public keys with which people may log in as a user.",
        &[
            Arg::new("user", Kind::Str, "The user whose file it is.").required(),
            Arg::new(
                "key",
                Kind::Str,
                "One or more public keys, one a line; or an http(s) address of them, which the host's curl reads.",
            )
            .required(),
            Arg::new(
                "path",
                Kind::Path,
                "Another file than .ssh/authorized_keys in the user's home.",
            ),
            Arg::new(
                "manage_dir",
                Kind::Bool,
                "Make the directory of the file, and give it to the user with mode 0700.",
            )
            .default("yes"),
            Arg::new("state", Kind::Str, "Whether the keys are in the file.")
                .choices(&["absent", "present"])
                .default("present"),
            Arg::new(
                "key_options",
                Kind::Str,
                "Options before the keys, instead of those that they have.",
            ),
            Arg::new("exclusive", Kind::Bool, "Remove all other keys.").default("no"),
            Arg::new("comment", Kind::Str, "Comment of the keys, instead of their own."),
            Arg::new(
                "validate_certs",
                Kind::Bool,
                "Check the certificate of the server that the keys come from.",
            )
            .default("yes"),
            Arg::new("follow", Kind::Bool, "Where the file is a link: write what it leads to.")
                .default("no"),
        ],
    )
    .returns(&[
        Return::new("keyfile", "The file."),
        Return::new("state", "As given; with path what the file is, beside its mode, owner, group and size."),
        Return::new("user, key, key_options, path, exclusive, comment, manage_dir, follow, validate_certs", "As given."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let new = self.wanted(cx)?;
        let user = users::user_by_name(&self.user);
        let path = match (&self.path, &user) {
            (Some(path), _) => cx.expand(path),
            (None, Some(user)) => Path::new(&user.home).join(".ssh/authorized_keys"),
            (None, None) if cx.check() => {
                return Ok(self.outcome(
                    Outcome::changed(self.state == "present")
                        .msg("Either user must exist or you must provide full path to key file in check mode"),
                    None,
                ));
            }
            (None, None) => {
                return Err(Failure::new(format!(
                    "Failed to lookup user {}: there is no such user on this host (make it first with the module user)",
                    self.user
                )));
            }
        };
        let real = if self.follow {
            files::resolve(&path)
                .map_err(|error| Failure::io("cannot follow the link", &path, &error))?
        } else {
            path.clone()
        };
        let before = rewrite::read(&real)?.unwrap_or_default();
        let before = String::from_utf8(before)
            .map_err(|_| Failure::new(format!("{} is not UTF-8", real.display())))?;
        let old = line::read(&before);
        let lines = self.edited(old.clone(), &new);
        let changed = lines != old;
        let mut outcome = Outcome::changed(changed);
        if changed {
            let after = line::written(&lines);
            if cx.diff() {
                outcome = outcome.diff(&real.to_string_lossy(), &before, &after);
            }
            if !cx.check() {
                self.write(&real, after.as_bytes(), user.as_ref())?;
            }
        }
        Ok(self.outcome(outcome, Some(&path)))
    }
}

impl AuthorizedKey {
    /// The keys of the task, with the options and the comment that it gives them.
    fn wanted(&self, cx: &Context) -> Result<Vec<Key>, Failure> {
        let text = if self.key.starts_with("http://") || self.key.starts_with("https://") {
            download(cx, &self.key, self.validate_certs)?
        } else {
            self.key.clone()
        };
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let mut key = Key::parse(line)
                    .ok_or_else(|| Failure::new(format!("invalid key specified: {line}")))?;
                if let Some(options) = &self.key_options {
                    key.options = line::options(options);
                }
                if let Some(comment) = &self.comment {
                    key.comment.clone_from(comment);
                }
                Ok(key)
            })
            .collect()
    }

    /// The lines of the file as they shall be. A key that changes goes to the end, as in Ansible.
    fn edited(&self, mut lines: Vec<Line>, new: &[Key]) -> Vec<Line> {
        for key in new {
            let at = lines.iter().position(|line| line.is(key));
            if self.state == "absent" {
                lines.retain(|line| !line.is(key));
                continue;
            }
            match at {
                Some(at) if lines[at].says(key) => {}
                Some(at) => {
                    lines.remove(at);
                    lines.push(Line::Key(key.clone()));
                }
                None => lines.push(Line::Key(key.clone())),
            }
        }
        if self.exclusive && self.state == "present" {
            lines.retain(|line| new.iter().any(|key| line.is(key)));
        }
        lines
    }

    fn write(
        &self,
        path: &Path,
        content: &[u8],
        user: Option<&users::User>,
    ) -> Result<(), Failure> {
        let dir = parent(path);
        if self.manage_dir {
            self.own_dir(dir, user)?;
        }
        let attributes = Attributes {
            mode: Some(0o600),
            owner: user.map(|user| user.uid),
            group: user.map(|user| user.gid),
        };
        let failed = |error: &std::io::Error| {
            rewrite::write_failure(path, content.len() as u64, path.exists(), error)
        };
        let mut file = files::Atomic::replace(path, attributes).map_err(|error| failed(&error))?;
        std::io::Write::write_all(&mut file, content).map_err(|error| failed(&error))?;
        file.commit_or_overwrite().map_err(|error| failed(&error))
    }

    /// sshd reads the file only where nobody else can write its directory.
    fn own_dir(&self, dir: &Path, user: Option<&users::User>) -> Result<(), Failure> {
        let failed =
            |error: &std::io::Error| Failure::io("cannot prepare the directory", dir, error);
        if !dir.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(|error| failed(&error))?;
        }
        if let Some(user) = user {
            chown(dir, Some(user.uid), Some(user.gid)).map_err(|error| failed(&error))?;
        }
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|error| failed(&error))
    }

    fn outcome(&self, outcome: Outcome, keyfile: Option<&PathBuf>) -> Outcome {
        let outcome = outcome
            .with("user", self.user.as_str())
            .with("key", self.key.as_str())
            .with("key_options", self.key_options.clone())
            .with("path", self.path.clone())
            .with("manage_dir", self.manage_dir)
            .with("state", self.state.as_str())
            .with("exclusive", self.exclusive)
            .with("comment", self.comment.clone())
            .with("validate_certs", self.validate_certs)
            .with("follow", self.follow);
        let Some(keyfile) = keyfile else {
            return outcome;
        };
        let mut outcome = outcome.with("keyfile", keyfile.to_string_lossy());
        if self.path.is_some() {
            outcome.data.extend(describe(keyfile));
        }
        outcome
    }
}

/// What an address answers, by the host's curl. The address goes by standard input, like those of `get_url`.
fn download(cx: &Context, url: &str, validate: bool) -> Result<String, Failure> {
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    let mut process = cx
        .process("curl")
        .args(["--fail", "--silent", "--show-error", "--location"])
        .args([
            "--proto",
            "=http,https",
            "--max-time",
            "30",
            "--config",
            "-",
        ])
        .stdin(format!("url = \"{quoted}\"\n").into_bytes());
    if !validate {
        process = process.arg("--insecure");
    }
    let output = process
        .system()
        .run()?
        .check(&format!("Error getting key from: {url}"))?;
    Ok(output.stdout_text())
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, mode, run};
    use serde_json::json;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOne one@host";
    const TWO: &str = "from=\"10.0.0.1,10.0.0.2\",no-pty ssh-rsa AAAAB3NzaC1yc2EAAAA two words";

    #[test]
    fn keys_come_once_and_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("ssh/authorized_keys");
        let args = |key: &str, state: &str| json!({"user": "root", "path": file, "key": key, "state": state});
        assert!(check("authorized_key", args(ONE, "present")).changed && !file.exists());
        assert!(run("authorized_key", args(ONE, "present")).changed);
        assert_eq!((mode(&file), mode(dir.path().join("ssh"))), (0o600, 0o700));
        assert!(!run("authorized_key", args(ONE, "present")).changed);
        assert!(run("authorized_key", args(TWO, "present")).changed);
        let both = std::fs::read_to_string(&file).expect("there");
        assert_eq!(both, format!("{ONE}\n{TWO}\n"));
        assert!(!run("authorized_key", args(&both, "present")).changed);
        assert!(run("authorized_key", args(ONE, "absent")).changed);
        assert!(!run("authorized_key", args(ONE, "absent")).changed);
        assert_eq!(
            std::fs::read_to_string(&file).expect("there"),
            format!("{TWO}\n")
        );
        assert!(run("authorized_key", args("ssh-rsa", "present")).failed);
        assert!(run("authorized_key", args("no key", "present")).failed);
    }
}
