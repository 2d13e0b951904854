//! `known_hosts`: keys of hosts that a user's ssh trusts.

mod line;

use crate::files::{self, Attributes, parent};
use crate::modules::ownership::describe;
use crate::modules::rewrite;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use line::Line;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
pub struct KnownHosts {
    name: String,
    key: Option<String>,
    path: String,
    hash_host: bool,
    state: String,
}

impl Module for KnownHosts {
    const SPEC: Spec = Spec::new(
        "known_hosts",
        "Adds and removes keys of hosts in a known_hosts file.",
        &[
            Arg::new(
                "name",
                Kind::Str,
                "The host, as [host]:port for another port than 22.",
            )
            .aliases(&["host"])
            .required(),
            Arg::new(
                "key",
                Kind::Str,
                "The line: host, type and key. With state absent and without it, all lines of the host go.",
            ),
            Arg::new("path", Kind::Path, "The file.").default("~/.ssh/known_hosts"),
            Arg::new("hash_host", Kind::Bool, "Write a hash instead of the host's name.")
                .default("no"),
            Arg::new("state", Kind::Str, "Whether the key is in the file.")
                .choices(&["absent", "present"])
                .default("present"),
        ],
    )
    .rules(&[Rule::If("state", "present", &["key"])])
    .returns(&[
        Return::new("name", "As given; so are key, path and hash_host."),
        Return::new("state", "What the file is, beside its mode, owner, group and size."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let path = cx.expand(&self.path);
        let name = self.name.to_lowercase();
        if name.contains(',') {
            return Err(Failure::new(
                "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.",
            ));
        }
        let before = rewrite::read(&path)?.unwrap_or_default();
        let before = String::from_utf8(before)
            .map_err(|_| Failure::new(format!("{} is not UTF-8", path.display())))?;
        let new = self
            .key
            .as_deref()
            .map(|key| wanted(&name, key))
            .transpose()?;
        let after = match (&new, self.state.as_str()) {
            (Some(new), "present") => self.added(&before, &name, new),
            (new, _) => removed(&before, &name, new.as_ref()),
        };
        let changed = after.as_ref().is_some_and(|after| *after != before);
        let mut outcome = Outcome::changed(changed)
            .with("name", self.name)
            .with("key", self.key)
            .with("path", path.to_string_lossy())
            .with("hash_host", self.hash_host)
            .with("state", self.state);
        // As in Ansible, whether or not a diff is asked for.
        let there = path.exists();
        let from = if there {
            path.to_string_lossy()
        } else {
            "/dev/null".into()
        };
        let after = after.unwrap_or_else(|| before.clone());
        outcome = outcome.with(
            "diff",
            serde_json::json!({
                "before_header": from, "after_header": path.to_string_lossy(),
                "before": before, "after": after,
            }),
        );
        if changed && !cx.check() {
            write(&path, &after)?;
        }
        outcome.data.extend(describe(&path));
        Ok(outcome)
    }
}

/// The line of the task, which has to be about the host that the task names.
fn wanted(name: &str, key: &str) -> Result<Line, Failure> {
    let key = key.trim();
    if key.contains('\n') {
        return Err(Failure::new(
            "key must be one line; several keys are several tasks (or a loop)",
        ));
    }
    let line = Line::parse(key).ok_or_else(|| {
        Failure::new(format!(
            "invalid format for the key of a host: expected HOST TYPE KEY, got {key:?}"
        ))
    })?;
    if !line.is_about(name) {
        return Err(Failure::new(format!(
            "the key is of {}, not of {name}: name and the host in key must be the same",
            line.hosts()
        )));
    }
    Ok(line)
}

impl KnownHosts {
    /// The file with the key; `None` when it has it already. A line of the host with another key of the same type goes.
    fn added(&self, before: &str, name: &str, new: &Line) -> Option<String> {
        let fits = |known: &Line| known.is_about(name) && known.same_kind(new);
        let found = before
            .lines()
            .filter_map(Line::parse)
            .find(|line| fits(line));
        if let Some(found) = &found
            && found.same_key(new)
            && found.is_hashed() == self.hash_host
            && (self.hash_host || found.hosts() == new.hosts())
        {
            return None;
        }
        let mut after = String::with_capacity(before.len() + 512);
        let mut replaced = false;
        for line in before.split_inclusive('\n') {
            if !replaced && Line::parse(line).is_some_and(|line| fits(&line)) {
                replaced = true;
                continue;
            }
            after.push_str(line);
        }
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after.push_str(&if self.hash_host {
            new.hashed(name)
        } else {
            new.text().to_owned()
        });
        after.push('\n');
        Some(after)
    }
}

/// The file without the key of the host of this type (whichever it is, as in Ansible), or without all of its keys;
/// `None` when there is none.
fn removed(before: &str, name: &str, key: Option<&Line>) -> Option<String> {
    let goes = |line: &str| {
        Line::parse(line)
            .is_some_and(|line| line.is_about(name) && key.is_none_or(|key| line.same_kind(key)))
    };
    before.lines().any(goes).then(|| {
        before
            .split_inclusive('\n')
            .filter(|line| !goes(line))
            .collect()
    })
}

fn write(path: &Path, content: &str) -> Result<(), Failure> {
    if !parent(path).is_dir() {
        return Err(Failure::new(format!(
            "{} is not there: make the directory first",
            parent(path).display()
        )));
    }
    files::write(path, content.as_bytes(), Attributes::default())
        .map_err(|error| rewrite::write_failure(path, content.len() as u64, path.exists(), &error))
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOne";

    #[test]
    fn keys_come_change_and_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("known");
        let args = |name: &str, key: &str, state: &str, hash: bool| json!({"name": name, "path": file, "key": key, "state": state, "hash_host": hash});
        let one = format!("[n1]:2222 ssh-ed25519 {KEY}");
        let add = args("[n1]:2222", &one, "present", false);
        assert!(check("known_hosts", add.clone()).changed && !file.exists());
        assert!(run("known_hosts", add.clone()).changed);
        assert!(!run("known_hosts", add).changed);
        // Hashed it is the same key, in another line.
        assert!(run("known_hosts", args("[n1]:2222", &one, "present", true)).changed);
        assert!(!run("known_hosts", args("[n1]:2222", &one, "present", true)).changed);
        let text = std::fs::read_to_string(&file).expect("there");
        assert!(
            text.starts_with("|1|") && text.lines().count() == 1,
            "{text}"
        );
        let other = "n2,10.0.0.2 ssh-rsa AAAAB3";
        assert!(run("known_hosts", args("n2", other, "present", false)).changed);
        assert!(
            run(
                "known_hosts",
                json!({"name": "[n1]:2222", "path": file, "state": "absent"})
            )
            .changed
        );
        assert!(
            !run(
                "known_hosts",
                json!({"name": "[n1]:2222", "path": file, "state": "absent"})
            )
            .changed
        );
        assert!(
            run(
                "known_hosts",
                args("10.0.0.2", "10.0.0.2 ssh-rsa AAAAB4", "present", false)
            )
            .changed
        );
        assert_eq!(
            std::fs::read_to_string(&file).expect("there"),
            "10.0.0.2 ssh-rsa AAAAB4\n"
        );
        assert!(run("known_hosts", args("n3", other, "present", false)).failed);
        assert!(run("known_hosts", json!({"name": "n3", "path": file})).failed);
    }
}
