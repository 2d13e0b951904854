//! One case: files, what is run on them, and how outcomes are compared. See README.md for the format.

use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The inventory of cases that bring none.
const INVENTORY: &str = include_str!("inventory.ini");

/// A case as it was read.
#[derive(Clone, Default)]
pub struct Case {
    /// `topic/name`.
    pub name: String,
    /// Programs with their arguments, run one after the other in one directory.
    pub runs: Vec<Vec<String>>,
    pub env: Vec<(String, String)>,
    /// Standard output is compared, not what happened.
    pub stdout: bool,
    /// Hosts don't wait for each other: what happened is compared for each host on its own.
    pub by_host: bool,
    /// Why kopsrun does something else; such a case fails when the two agree.
    pub differs: Option<String>,
    pub files: Vec<(PathBuf, String)>,
}

impl Case {
    /// Reads a case: lines `key: value` and prose, then files, each after a line `-- path --`.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut case = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut head = true;
        for line in text.lines() {
            if let Some(path) = line
                .strip_prefix("-- ")
                .and_then(|rest| rest.strip_suffix(" --"))
            {
                head = false;
                case.files.push((PathBuf::from(path), String::new()));
            } else if head {
                case.header(line);
            } else if let Some((_, content)) = case.files.last_mut() {
                content.push_str(line);
                content.push('\n');
            }
        }
        if case.runs.is_empty() {
            case.runs.push(vec!["site.yml".to_owned()]);
        }
        for run in &mut case.runs {
            complete(run);
        }
        let inventory = Path::new("inventory.ini");
        if !case.files.iter().any(|(path, _)| path == inventory) {
            case.files
                .push((inventory.to_owned(), INVENTORY.to_owned()));
        }
        case
    }

    fn header(&mut self, line: &str) {
        let Some((key, value)) = line.split_once(": ") else {
            return;
        };
        match key {
            "run" => self.runs.push(words(value)),
            "env" => {
                let (name, value) = value.split_once('=').expect("env: NAME=value");
                self.env.push((name.to_owned(), value.to_owned()));
            }
            "compare" => match value {
                "stdout" => self.stdout = true,
                "by host" => self.by_host = true,
                other => panic!(
                    "{}: compare is `stdout` or `by host`, not {other}",
                    self.name
                ),
            },
            "differs" => self.differs = Some(value.to_owned()),
            _ => {}
        }
    }

    /// Names everything that Ansible's outcome depends on.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        for run in &self.runs {
            add("run");
            run.iter().for_each(|word| add(word));
        }
        for (name, value) in &self.env {
            add(name);
            add(value);
        }
        for (path, content) in &self.files {
            add(&path.to_string_lossy());
            add(content);
        }
        hash.finalize()
            .iter()
            .take(12)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// True when Ansible must be started for the case alone: it reads these while it is imported.
    pub fn has_settings(&self) -> bool {
        self.env
            .iter()
            .any(|(name, _)| name.starts_with("ANSIBLE_"))
            || self
                .files
                .iter()
                .any(|(path, _)| path.ends_with("ansible.cfg"))
    }

    /// Writes the files below an empty directory; those that begin with `#!` can be run.
    pub fn lay_out(&self, dir: &Path) {
        drop(fs::remove_dir_all(dir));
        fs::create_dir_all(dir).expect("a directory");
        for (path, content) in &self.files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a directory"))
                .expect("a directory");
            fs::write(&path, content).expect("a file");
            if content.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own files");
            }
        }
    }
}

/// `site.yml` alone is run by ansible-playbook; the inventory is named where it isn't.
fn complete(run: &mut Vec<String>) {
    if !run[0].starts_with("ansible") {
        run.insert(0, "ansible-playbook".to_owned());
    }
    let names_one = |word: &String| word.starts_with("-i") || word.starts_with("--inventory");
    if run[0] != "ansible-vault" && !run.iter().any(names_one) {
        run.extend(["-i".to_owned(), "inventory.ini".to_owned()]);
    }
    // `-i -`: no inventory, because the settings name one.
    if let Some(at) = run.windows(2).position(|pair| pair == ["-i", "-"]) {
        run.drain(at..at + 2);
    }
}

/// Words as a shell takes them apart, with both kinds of quotes.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for char in line.chars() {
        match (quote, char) {
            (None, '\'' | '"') => (quote, any) = (Some(char), true),
            (Some(open), _) if open == char => quote = None,
            (None, ' ') => {
                if any || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                any = false;
            }
            _ => word.push(char),
        }
    }
    if any || !word.is_empty() {
        all.push(word);
    }
    all
}

/// All cases below a directory, by name.
pub fn all(dir: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let topics = fs::read_dir(dir).expect("the cases");
    for topic in topics.map(|entry| entry.expect("an entry").path()) {
        for file in fs::read_dir(&topic).expect("a topic is a directory") {
            let file = file.expect("an entry").path();
            let name = format!(
                "{}/{}",
                topic.file_name().expect("a name").to_string_lossy(),
                file.file_stem().expect("a name").to_string_lossy()
            );
            let text = fs::read_to_string(&file).expect("a case is text");
            cases.push(Case::parse(&name, &text));
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}
