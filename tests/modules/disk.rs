//! What is in a directory, down to bytes, modes and owners.

use crate::{archives, certificates};
use fancy_regex::Regex;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

/// Paths below the directory, and what is there.
pub type State = BTreeMap<String, String>;

pub fn state(dir: &Path, times: bool) -> State {
    let mut state = State::new();
    add(dir, dir, times, &mut state);
    state
}

/// What differs between a copy of a directory and the directory itself. Names begin with `etc/`.
pub fn changed(copy: &Path, original: &Path) -> State {
    let original = state(original, false);
    let root = copy.parent().unwrap_or(copy).to_string_lossy().into_owned();
    let mut changed: State = state(copy, false)
        .into_iter()
        .filter(|(name, line)| original.get(name) != Some(line))
        .map(|(name, line)| (format!("etc/{name}"), line.replace(&root, "ROOT")))
        .collect();
    let gone = original
        .keys()
        .filter(|name| fs::symlink_metadata(copy.join(name)).is_err());
    changed.extend(gone.map(|name| (format!("etc/{name}"), "gone".to_owned())));
    changed
}

fn add(root: &Path, dir: &Path, times: bool, state: &mut State) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let meta = path.symlink_metadata().expect("there");
        if !(meta.is_symlink() || meta.is_dir() || meta.is_file()) {
            continue;
        }
        let what = if meta.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            format!("link to {}", target.display())
        } else if meta.is_dir() {
            add(root, &path, times, state);
            "directory".to_owned()
        } else {
            let told = archives::listed(&path).or_else(|| certificates::told(&path));
            let content = told.unwrap_or_else(|| {
                let bytes = fs::read(&path).expect("root may");
                format!("{:?}", String::from_utf8_lossy(&bytes))
            });
            format!("{} links {content}", meta.nlink())
        };
        let mode = if meta.is_symlink() {
            String::new()
        } else {
            format!("{:04o}", meta.mode() & 0o7777)
        };
        let time = if times {
            meta.mtime().to_string()
        } else {
            String::new()
        };
        let name = path.strip_prefix(root).expect("below").to_string_lossy();
        let line = format!("{mode} {}:{} {time} {what}", meta.uid(), meta.gid());
        let line = line.replace(&*root.to_string_lossy(), "DIR");
        // Several backups have one stable name.
        let all = state.entry(stable(&name)).or_default();
        let mut lines: Vec<&str> = all.lines().chain([line.as_str()]).collect();
        lines.sort_unstable();
        *all = lines.join("\n");
    }
}

/// A text without the numbers and times in names of backups and the letters in names of temporary files.
pub fn stable(text: &str) -> String {
    static VARYING: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [
            r"\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~",
            r"(?<=made\.)[a-z0-9_]{8}(?=\.end)",
        ]
        .map(|pattern| Regex::new(pattern).expect("sound"))
    });
    VARYING.iter().fold(text.to_owned(), |text, pattern| {
        pattern.replace_all(&text, ".VARIES").into_owned()
    })
}

pub fn differences(theirs: &State, ours: &State) -> Vec<String> {
    let names = theirs
        .keys()
        .chain(ours.keys().filter(|name| !theirs.contains_key(*name)));
    names
        .filter(|name| theirs.get(*name) != ours.get(*name))
        .map(|name| {
            let show = |state: &State| state.get(name).cloned().unwrap_or("nothing".to_owned());
            format!(
                "on disk: {name}: Ansible {}, kopsrun {}",
                show(theirs),
                show(ours)
            )
        })
        .collect()
}
