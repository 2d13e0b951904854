//! The cases, as people write them.

use kopsrun::content::yaml;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// One task, and the directory that it finds.
pub struct Case {
    /// `FILE: name`.
    pub name: String,
    files: Vec<(String, Value)>,
    /// The task; `DIR` in it is the directory.
    task: Value,
    /// Returned keys that aren't compared.
    pub ignore: Vec<String>,
    /// Why the two are known to differ.
    pub differs: Option<String>,
    /// Check mode is compared; Ansible can't do it for all modules.
    pub check: bool,
    /// Times of modification are compared.
    pub times: bool,
}

/// The cases of each file of a directory, in order.
pub fn topics(dir: &Path) -> Vec<Vec<Case>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Case> {
    let text = fs::read_to_string(file).expect("text");
    let node = yaml::parse_one(&text, &Arc::from(file), &mut Vec::new())
        .unwrap_or_else(|fault| panic!("{}: {fault:?}", file.display()));
    let cases = node.value().expect("plain YAML").to_json();
    let topic = file.file_stem().expect("a name").to_string_lossy();
    cases
        .as_array()
        .expect("a list of cases")
        .iter()
        .map(|case| Case::new(&topic, case))
        .collect()
}

impl Case {
    fn new(topic: &str, case: &Value) -> Self {
        let known = [
            "name", "files", "task", "ignore", "differs", "times", "check",
        ];
        for key in case.as_object().expect("a case is a mapping").keys() {
            assert!(known.contains(&key.as_str()), "{topic}: {key}?");
        }
        let name = case["name"].as_str().expect("a case has a name");
        let files = case["files"].as_object().cloned().unwrap_or_default();
        let ignore = case["ignore"].as_array().cloned().unwrap_or_default();
        Self {
            name: format!("{topic}: {name}"),
            files: files.into_iter().collect(),
            task: case["task"].clone(),
            ignore: ignore
                .iter()
                .map(|key| key.as_str().expect("a key").to_owned())
                .collect(),
            differs: case["differs"].as_str().map(ToOwned::to_owned),
            check: case["check"].as_bool().unwrap_or(true),
            times: case["times"].as_bool().unwrap_or_default(),
        }
    }

    /// All that the outcome depends on.
    pub fn text(&self) -> String {
        format!("{:?} {} {}", self.files, self.task, self.times)
    }

    /// Whether it changes /etc, and so runs where that is a copy.
    pub fn is_of_the_system(&self) -> bool {
        self.name.starts_with("system_")
    }

    /// Whether its module isn't of ansible-core.
    pub fn needs_collections(&self) -> bool {
        let names = self.task.as_object().into_iter().flatten();
        let collections = ["ansible.posix.", "community."];
        names
            .map(|(name, _)| name)
            .any(|name| collections.iter().any(|start| name.starts_with(start)))
    }

    /// Makes what the task finds.
    pub fn lay_out(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("made");
        for (name, file) in &self.files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("below")).expect("made");
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            if let Some(target) = file.get("link") {
                symlink(text(target), &path).expect("a link");
                continue;
            }
            if let Some(target) = file.get("hard") {
                fs::hard_link(dir.join(text(target)), &path).expect("a link");
                continue;
            }
            if let Some(names) = file.get("packed").and_then(Value::as_array) {
                fs::write(&path, packed(names)).expect("written");
            } else if file.get("dir").is_some() {
                fs::create_dir_all(&path).expect("made");
            } else if let Some(bytes) = file.get("latin1") {
                let bytes: Vec<u8> = text(bytes).chars().map(|letter| letter as u8).collect();
                fs::write(&path, bytes).expect("written");
            } else {
                let content = text(file.get("content").unwrap_or(file));
                let content = content.replace("DIR", &dir.to_string_lossy());
                fs::write(&path, content).expect("written");
            }
            let mode = file.get("mode").map_or("0644".to_owned(), text);
            let mode = if file.get("dir").is_some() && file.get("mode").is_none() {
                0o755
            } else {
                u32::from_str_radix(&mode, 8).expect("octal")
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("root may");
            let owner = file.get("owner").and_then(Value::as_u64);
            if let Some(owner) = owner.and_then(|owner| u32::try_from(owner).ok()) {
                chown(&path, Some(owner), Some(owner)).expect("root may");
            }
        }
        self.lay_out_times(dir);
        for name in self.immutable() {
            chattr("+i", &dir.join(name));
        }
    }

    /// What nobody may change until [`Self::free`].
    fn immutable(&self) -> impl Iterator<Item = &str> {
        let is = |file: &Value| file["immutable"] == true;
        let files = self.files.iter().filter(move |(_, file)| is(file));
        files.map(|(name, _)| name.as_str())
    }

    /// Lets the directory be removed.
    pub fn free(&self, dir: &Path) {
        let paths = self.immutable().map(|name| dir.join(name));
        for path in paths.filter(|path| path.exists()) {
            chattr("-i", &path);
        }
    }

    fn lay_out_times(&self, dir: &Path) {
        // Times are equal on both sides, and long ago.
        for (name, file) in &self.files {
            if file.get("link").is_none() {
                let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
                let file = fs::File::open(dir.join(name)).expect("there");
                file.set_modified(at).expect("root may");
            }
        }
    }

    /// The task in one of its phases, for a playbook.
    pub fn task(&self, phase: usize, register: &str, dir: &Path) -> Value {
        let mut task = in_directory(&self.task, &dir.to_string_lossy());
        task["name"] = format!("{} ({phase})", self.name).into();
        task["register"] = register.into();
        task["ignore_errors"] = true.into();
        task["diff"] = true.into();
        task["check_mode"] = (phase == 0).into();
        task
    }
}

fn chattr(change: &str, path: &Path) {
    let status = Command::new("chattr").arg(change).arg(path).status();
    let status = status.expect("chattr of the package e2fsprogs starts");
    assert!(status.success(), "chattr {change} {}", path.display());
}

fn in_directory(value: &Value, dir: &str) -> Value {
    match value {
        Value::String(text) => text.replace("DIR", dir).into(),
        Value::Array(items) => items.iter().map(|item| in_directory(item, dir)).collect(),
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), in_directory(value, dir)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A tar.gz with files of these names, which hold their names; the same bytes each time.
fn packed(names: &[Value]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gzip);
    for name in names {
        let name = name.as_str().expect("a name");
        let mut header = tar::Header::new_gnu();
        header.set_size(name.len() as u64);
        header.set_mode(0o640);
        header.set_mtime(1_600_000_000);
        tar.append_data(&mut header, name, name.as_bytes())
            .expect("memory");
    }
    let gzip = tar.into_inner().expect("memory");
    gzip.finish().expect("memory")
}
