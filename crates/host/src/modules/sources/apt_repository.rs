//! `apt_repository`: a line of sources.list(5).

use super::line::{Line, file_name};
use crate::files::{self, Attributes};
use crate::modules::apt::{AptGet, Retries, update};
use crate::modules::ownership::Ownership;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const MAIN: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";

#[derive(Deserialize)]
pub struct AptRepository {
    repo: String,
    state: String,
    filename: Option<String>,
    mode: Option<String>,
    update_cache: bool,
    update_cache_retries: u64,
    update_cache_retry_max_delay: u64,
}

impl Module for AptRepository {
    const SPEC: Spec = Spec::new(
        "apt_repository",
        "Keeps a line of apt's list of sources. When the lists of packages can't be fetched afterwards, the files become what they were. Returns repo, sources_added, sources_removed.",
        &[
            Arg::new("repo", Kind::Str, "The line: deb or deb-src, a URI, a suite, components. Not ppa:, which asks a server of Ubuntu what it stands for: write the line that it makes.")
                .required(),
            Arg::new("state", Kind::Str, "Whether it is there.")
                .choices(&["absent", "present"])
                .default("present"),
            Arg::new("filename", Kind::Str, "Name of a new file in /etc/apt/sources.list.d, without .list; made of the URI if not said."),
            Arg::new("mode", Kind::Mode, "Mode of a new file."),
            Arg::new("update_cache", Kind::Bool, "Fetch the lists of packages after a change.")
                .aliases(&["update-cache"])
                .default("yes"),
            Arg::new("update_cache_retries", Kind::Int, "How often that is tried again.").default("5"),
            Arg::new("update_cache_retry_max_delay", Kind::Int, "Seconds that are waited at most before the next try.")
                .default("12"),
            Arg::new("validate_certs", Kind::Bool, "Has no effect: only ppa: needs a server.").default("yes"),
            Arg::new("install_python_apt", Kind::Bool, "Has no effect: no Python is needed.").default("yes"),
            Arg::new("codename", Kind::Str, "Has no effect: it is about ppa:."),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let wanted = self.wanted()?;
        let files = lists()?;
        let changes = if self.state == "present" {
            self.add(&wanted, &files)
        } else {
            remove(&wanted, &files)
        };
        let names = |kept: fn(&Change) -> bool| -> Vec<Value> {
            let paths = changes.iter().filter(|change| kept(change));
            paths
                .map(|change| change.path.to_string_lossy().into())
                .collect()
        };
        let outcome = Outcome::changed(!changes.is_empty())
            .with("repo", self.repo.as_str())
            .with("state", self.state.as_str())
            .with("sources_added", names(|change| change.before.is_none()))
            .with("sources_removed", names(|change| change.after.is_none()));
        if !cx.check() && !changes.is_empty() {
            self.apply(cx, &changes)?;
        }
        if cx.diff() && !changes.is_empty() {
            let diffs: Vec<Value> = changes.iter().map(Change::diff).collect();
            return Ok(outcome.with("diff", diffs));
        }
        Ok(outcome)
    }
}

/// A file, with its content before and after; `None` where there is none.
struct Change {
    path: PathBuf,
    before: Option<String>,
    after: Option<String>,
}

impl Change {
    fn diff(&self) -> Value {
        let name = |content: &Option<String>| match content {
            Some(_) => self.path.to_string_lossy().into_owned(),
            None => "/dev/null".to_owned(),
        };
        json!({
            "before_header": name(&self.before), "after_header": name(&self.after),
            "before": self.before.as_deref().unwrap_or_default(), "after": self.after.as_deref().unwrap_or_default(),
        })
    }
}

type Files = Vec<(PathBuf, String)>;

/// All lists of sources in the old format and their contents.
fn lists() -> Result<Files, Failure> {
    let mut paths: Vec<PathBuf> = fs::read_dir(PARTS)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "list")
        })
        .collect();
    paths.sort();
    if Path::new(MAIN).exists() {
        paths.insert(0, PathBuf::from(MAIN));
    }
    paths
        .into_iter()
        .map(|path| {
            let bytes =
                fs::read(&path).map_err(|error| Failure::io("cannot read", &path, &error))?;
            Ok((path, String::from_utf8_lossy(&bytes).into_owned()))
        })
        .collect()
}

fn remove(wanted: &Line, files: &Files) -> Vec<Change> {
    let change = |(path, content): &(PathBuf, String)| {
        let lines: Vec<&str> = content.lines().collect();
        let kept: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| Line::parse(line).source != wanted.source)
            .collect();
        (kept.len() < lines.len()).then(|| Change {
            path: path.clone(),
            before: Some(content.clone()),
            // The main list stays, also without a line.
            after: (!kept.is_empty() || path == Path::new(MAIN))
                .then(|| kept.iter().map(|line| format!("{line}\n")).collect()),
        })
    };
    files.iter().filter_map(change).collect()
}

impl AptRepository {
    fn wanted(&self) -> Result<Line, Failure> {
        let repo = self.repo.trim();
        if repo.is_empty() {
            return Err(Failure::new(
                "Please set argument 'repo' to a non-empty value",
            ));
        }
        if repo.starts_with("ppa:") {
            return Err(Failure::new(format!(
                "{repo} isn't supported, because a server of Ubuntu says what it stands for: give the line that add-apt-repository makes of it (deb [signed-by=KEY] https://ppa.launchpadcontent.net/OWNER/NAME/ubuntu SUITE main)"
            )));
        }
        let line = Line::parse(repo);
        let words = line
            .source
            .as_deref()
            .map_or(0, |source| source.split(' ').count());
        if words < 3 || !line.enabled {
            return Err(Failure::new(format!(
                "Invalid repository string: {} (it is: deb URI SUITE COMPONENTS)",
                self.repo
            )));
        }
        Ok(line)
    }

    fn add(&self, wanted: &Line, files: &Files) -> Vec<Change> {
        let mut there = false;
        let mut changes = Vec::new();
        for (path, content) in files {
            let mut lines: Vec<String> = content.lines().map(ToOwned::to_owned).collect();
            let mut changed = false;
            for text in &mut lines {
                let line = Line::parse(text);
                if line.source != wanted.source {
                    continue;
                }
                there = true;
                if !line.enabled {
                    *text = line.written();
                    changed = true;
                }
            }
            if changed {
                changes.push(Change {
                    path: path.clone(),
                    before: Some(content.clone()),
                    after: Some(lines.iter().map(|line| format!("{line}\n")).collect()),
                });
            }
        }
        if !there {
            changes.push(self.new_line(wanted, files));
        }
        changes
    }

    fn new_line(&self, wanted: &Line, files: &Files) -> Change {
        let name = self
            .filename
            .clone()
            .unwrap_or_else(|| file_name(wanted.source.as_deref().unwrap_or_default()));
        let path = if name.starts_with('/') {
            PathBuf::from(name)
        } else {
            Path::new(PARTS).join(format!("{}.list", name.trim_end_matches(".list")))
        };
        let before = files
            .iter()
            .find(|(known, _)| *known == path)
            .map(|(_, content)| content.clone());
        let mut after = before.clone().unwrap_or_default();
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after += &(wanted.written() + "\n");
        Change {
            path,
            before,
            after: Some(after),
        }
    }

    /// Writes the files and fetches the lists of packages; when one of both fails, the files become what they were.
    fn apply(&self, cx: &Context, changes: &[Change]) -> Result<(), Failure> {
        let result = self.write(cx, changes).and_then(|()| {
            if !self.update_cache {
                return Ok(());
            }
            let retries = Retries {
                count: self.update_cache_retries,
                max_delay: self.update_cache_retry_max_delay,
            };
            update(cx, &AptGet::new("", 60), retries)
        });
        let Err(mut failure) = result else {
            return Ok(());
        };
        for change in changes {
            let undone = put(
                &change.path,
                change.before.as_deref(),
                Attributes::default(),
            );
            if let Err(again) = undone {
                failure.message += &format!("; and it can't be taken back: {again}");
            }
        }
        Err(failure)
    }

    fn write(&self, cx: &Context, changes: &[Change]) -> Result<(), Failure> {
        let ownership = Ownership::default().with_mode(self.mode.clone());
        let wanted = ownership.resolve(cx)?;
        for change in changes {
            let attributes = match change.before {
                None => wanted.attributes(None),
                Some(_) => Attributes::default(),
            };
            put(&change.path, change.after.as_deref(), attributes)?;
        }
        Ok(())
    }
}

fn put(path: &Path, content: Option<&str>, attributes: Attributes) -> Result<(), Failure> {
    match content {
        Some(content) => {
            let dir = files::parent(path);
            fs::create_dir_all(dir)
                .map_err(|error| Failure::io("cannot make the directory", dir, &error))?;
            files::write(path, content.as_bytes(), attributes)
                .map_err(|error| Failure::io("cannot write", path, &error))
        }
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io("cannot remove", path, &error))
            }
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::run;

    fn module(repo: &str) -> AptRepository {
        AptRepository {
            repo: repo.to_owned(),
            state: "present".to_owned(),
            filename: None,
            mode: None,
            update_cache: false,
            update_cache_retries: 0,
            update_cache_retry_max_delay: 0,
        }
    }

    #[test]
    fn lines_are_added_enabled_and_removed() {
        let list = "/etc/apt/sources.list.d/x.list";
        let files: Files = vec![(
            PathBuf::from(list),
            "# deb http://a b # why\nother\n".to_owned(),
        )];
        let module = module("deb  http://a   b");
        let wanted = module.wanted().expect("a line");
        let changes = module.add(&wanted, &files);
        assert_eq!(changes.len(), 1);
        assert_eq!(
            changes[0].after.as_deref(),
            Some("deb http://a b # why\nother\n")
        );
        let removed = remove(&wanted, &files);
        assert_eq!(removed[0].after.as_deref(), Some("other\n"));
        let only: Files = vec![(PathBuf::from(list), "deb http://a b\n".to_owned())];
        assert!(module.add(&wanted, &only).is_empty());
        assert_eq!(remove(&wanted, &only)[0].after, None);
        let new = module.add(&wanted, &Vec::new());
        assert_eq!(new[0].path, Path::new("/etc/apt/sources.list.d/a.list"));
        assert_eq!(new[0].diff()["before_header"], "/dev/null");
    }

    #[test]
    fn wrong_lines_are_refused() {
        for (repo, said) in [
            ("", "non-empty"),
            ("ppa:nginx/stable", "isn't supported"),
            ("words", "Invalid repository string: words"),
            ("deb http://a", "Invalid repository string"),
        ] {
            let outcome = run("apt_repository", json!({"repo": repo}));
            let msg = outcome.data["msg"].as_str().expect("text");
            assert!(outcome.failed && msg.contains(said), "{msg}");
        }
    }
}
