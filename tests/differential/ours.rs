//! kopsrun's outcomes: the binary runs, and its journal says what happened.

use crate::case::Case;
use crate::outcome::{Outcome, Record, placeless};
use kopsrun::journal::{Counts, Event, Status};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Notes that Ansible tells its callbacks too, and under which name.
const NOTES: &[(&str, &str)] = &[
    ("no hosts matched", "no hosts matched"),
    ("no more hosts left", "no hosts remaining"),
];

/// No case takes that long.
const LIMIT: Duration = Duration::from_secs(120);

/// What kopsrun makes of a case.
pub fn outcomes(case: &Case, below: &Path) -> Vec<Outcome> {
    let dir = below.join("kopsrun").join(case.name.replace('/', "-"));
    let state = below.join("state").join(case.name.replace('/', "-"));
    case.lay_out(&dir);
    drop(fs::remove_dir_all(&state));
    fs::create_dir_all(&state).expect("target/tmp can be written");
    let mut seen = BTreeSet::new();
    let run = |run: &Vec<String>| {
        let mut outcome = perform(case, run, &dir, &state);
        let place = dir.to_string_lossy();
        outcome.stdout = placeless(&outcome.stdout, &place);
        outcome.stderr = placeless(&outcome.stderr, &place);
        for journal in journals(&state) {
            if seen.insert(journal.clone()) {
                let text = fs::read_to_string(&journal).expect("a journal is text");
                outcome.records.extend(records(&placeless(&text, &place)));
            }
        }
        outcome
    };
    case.runs.iter().map(run).collect()
}

/// Ansible's programs as verbs.
fn verb(program: &str) -> &'static str {
    match program {
        "ansible-playbook" => "play",
        "ansible" => "exec",
        "ansible-inventory" => "inventory",
        "ansible-vault" => "vault",
        other => panic!("{other} has no verb"),
    }
}

/// The programs of this machine, and last Ansible's, which packs modules of Python.
fn path_with_ansible() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([crate::oracle::home().join("bin")]);
    std::env::join_paths(dirs).expect("paths without colons")
}

fn perform(case: &Case, run: &[String], dir: &Path, state: &Path) -> Outcome {
    let [out, err] = ["stdout", "stderr"].map(|name| state.join(name));
    let mut child = Command::new(env!("CARGO_BIN_EXE_kopsrun"))
        .arg(verb(&run[0]))
        .args(&run[1..])
        .current_dir(dir)
        .env_clear()
        .envs([("LC_ALL", "C.UTF-8"), ("USER", "root")])
        .env("PATH", path_with_ansible())
        .env("HOME", state)
        .env("XDG_STATE_HOME", state.join("state"))
        .envs(case.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(File::create(&out).expect("a file"))
        .stderr(File::create(&err).expect("a file"))
        .spawn()
        .expect("kopsrun was built");
    let started = Instant::now();
    let rc = loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            break status.code().unwrap_or(-1);
        }
        if started.elapsed() > LIMIT {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            break -1;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |path| String::from_utf8_lossy(&fs::read(path).expect("written by it")).into_owned();
    Outcome {
        rc,
        stdout: read(out),
        stderr: read(err),
        records: Vec::new(),
    }
}

/// The journals of all runs, the oldest first.
fn journals(state: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![state.join("state")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("events.jsonl") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn records(journal: &str) -> Vec<Record> {
    let mut reader = Reader::default();
    journal
        .lines()
        .map(|line| serde_json::from_str(line).expect("a journal holds events"))
        .flat_map(|event| reader.read(event))
        .collect()
}

/// Reads events with what came before them in mind.
#[derive(Default)]
struct Reader {
    task: String,
    module: String,
}

impl Reader {
    fn read(&mut self, event: Event) -> Vec<Record> {
        match event {
            Event::PlayStarted { name, .. } => vec![Record::Play { name }],
            Event::TaskStarted {
                name,
                module,
                role,
                handler,
                ..
            } => {
                self.task = match role {
                    Some(role) => format!("{role} : {name}"),
                    None => name,
                };
                self.module = module.unwrap_or_default();
                if self.module == "meta" {
                    return Vec::new();
                }
                vec![Record::Task {
                    name: self.task.clone(),
                    handler,
                }]
            }
            Event::Note { text, .. } if NOTES.iter().any(|(said, _)| text.ends_with(said)) => {
                let note = NOTES.iter().find(|(said, _)| text.ends_with(said));
                let text = note.map(|(_, name)| (*name).to_owned());
                text.into_iter().map(|text| Record::Note { text }).collect()
            }
            Event::HostResult { .. } if self.module == "meta" => Vec::new(),
            // Told by what they bring in.
            Event::HostResult {
                status: Status::Ok, ..
            } if self.module.starts_with("include_") && self.module != "include_vars" => Vec::new(),
            Event::HostResult { .. } => self.result(event).into_iter().collect(),
            Event::Stats { hosts, .. } => {
                let mut hosts: Vec<_> = hosts.into_iter().collect();
                hosts.sort_by(|a, b| a.0.cmp(&b.0));
                let recap = |(host, counts)| Record::Recap {
                    host,
                    counts: figures(counts),
                };
                hosts.into_iter().map(recap).collect()
            }
            _ => Vec::new(),
        }
    }

    fn result(&self, event: Event) -> Option<Record> {
        let Event::HostResult {
            host,
            task,
            item,
            status,
            result,
            ..
        } = event
        else {
            return None;
        };
        let status = match status {
            Status::Ok => "ok",
            Status::Changed => "changed",
            Status::Skipped => "skipped",
            // Ansible tells an item that is ignored as failed, and a rescue when it begins.
            Status::Ignored if item.is_some() => "failed",
            Status::Unreachable if item.is_some() => "failed",
            Status::Failed | Status::Rescued => "failed",
            Status::Unreachable => "unreachable",
            Status::Ignored => "ignored",
        };
        // A failure of the runner's own has the runner's own words.
        let tells = match self.module.as_str() {
            "debug" => status == "ok",
            "fail" => !matches!(status, "skipped" | "unreachable"),
            "assert" => status == "ok" || result.get("assertion").is_some(),
            _ => false,
        };
        let shown = tells.then(|| said(&result));
        Some(Record::Result {
            host,
            task: if self.task.ends_with(&task) {
                self.task.clone()
            } else {
                task
            },
            status: status.to_owned(),
            item,
            shown,
            delegate: None,
        })
    }
}

fn figures(counts: Counts) -> [u32; 7] {
    let Counts {
        ok,
        changed,
        unreachable,
        failed,
        skipped,
        rescued,
        ignored,
    } = counts;
    [ok, changed, unreachable, failed, skipped, rescued, ignored]
}

/// A result without what every result has; the same names as in record.py.
fn said(result: &Value) -> Map<String, Value> {
    let Some(all) = result.as_object() else {
        return Map::new();
    };
    let name = |key: &str| {
        all.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let hidden = [name("ansible_loop_var"), name("ansible_index_var")];
    let common = [
        "changed",
        "failed",
        "skipped",
        "failed_when_result",
        "ansible_loop_var",
        "ansible_index_var",
        "exception",
        "attempts",
        "results",
    ];
    all.iter()
        .filter(|(key, _)| !common.contains(&key.as_str()) && !hidden.contains(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
