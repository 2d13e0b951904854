//! Modules compared with ansible-core's own: the same tasks through both, on equal directories. What is expected is
//! what the real modules just did; see README.md.

mod archives;
mod arguments;
mod case;
mod certificates;
mod disk;
mod facts;
#[path = "../oracle/mod.rs"]
mod oracle;
mod programs;

use case::Case;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What changes from run to run, or is about the program and not the host.
const VOLATILE: &[&str] = &[
    "_ansible_no_log",
    "_ansible_verbose_always",
    "discovered_interpreter_python",
    "atime",
    "ctime",
    "delta",
    "deprecations",
    "dev",
    "end",
    "exception",
    "inode",
    "invocation",
    "module_stderr",
    "module_stdout",
    "mtime",
    "start",
    // Ansible asks lsattr for it; a process for each stat is too dear for a number that nobody uses.
    "version",
    "warnings",
];

/// What is there now: in check mode Ansible adds it to results of modules that say what will be there.
const ABOUT_NOW: &[&str] = &["uid", "gid", "owner", "group", "mode", "state", "size"];

/// How many topics run at the same time.
const PARALLEL: usize = 4;

/// Before anything is changed, the change, and once more.
const PHASES: [&str; 3] = ["check mode", "first run", "second run"];

#[test]
fn modules_do_what_ansibles_do() {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let only = std::env::var("MODULES").unwrap_or_default();
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/modules/cases"));
    let topics: Vec<Vec<Case>> = case::topics(dir)
        .into_iter()
        .map(|mut cases| {
            cases.retain(|case| only.split(',').any(|part| case.name.contains(part)));
            cases
        })
        .filter(|cases| !cases.is_empty())
        .collect();
    assert!(!topics.is_empty(), "no case has {only:?} in its name");
    oracle::home();
    // Ansible waits for processes most of the time, so several topics run side by side.
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some(cases) = topics.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let faults = topic(cases);
                    wrong.lock().expect("nobody panicked").extend(faults);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked");
    let all = topics.iter().flatten();
    #[expect(
        clippy::print_stdout,
        reason = "the tally, for who runs it with --nocapture"
    )]
    {
        println!(
            "{} cases, {} known to differ, {} wrong",
            all.clone().count(),
            all.filter(|case| case.differs.is_some()).count(),
            wrong.len()
        );
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What is wrong with the cases of one file.
fn topic(cases: &[Case]) -> Vec<String> {
    let expected = programs::ansible(cases);
    let got = programs::kopsrun(cases);
    let mut wrong = Vec::new();
    for (case, (theirs, ours)) in cases.iter().zip(expected.iter().zip(&got)) {
        let mut faults = Vec::new();
        for (phase, name) in PHASES.iter().enumerate() {
            if *name == PHASES[0] && !case.check {
                continue;
            }
            compare(
                case,
                name,
                // What is kept may be from before something was found to vary.
                &plain(&theirs.results[phase], "DIR"),
                &ours.results[phase],
                &mut faults,
            );
        }
        faults.extend(disk::differences(&theirs.disk, &ours.disk));
        match (&case.differs, faults.is_empty()) {
            (Some(reason), true) => wrong.push(format!(
                "{}: doesn't differ any more ({reason}): take `differs` away",
                case.name
            )),
            (None, false) => wrong.push(format!("{}:\n    {}", case.name, faults.join("\n    "))),
            _ => {}
        }
    }
    wrong
}

/// A result without what varies, its directory written `DIR`.
fn plain(value: &Value, dir: &str) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .filter(|(name, _)| !VOLATILE.contains(&name.as_str()))
                // A file of Ansible's own.
                .filter(|(_, value)| {
                    !value
                        .as_str()
                        .is_some_and(|text| text.contains("/ansible-tmp-"))
                })
                // The code of a module that broke says nothing.
                .filter(|(name, _)| *name != "rc" || !entries.contains_key("module_stdout"))
                .map(|(name, value)| (disk::stable(&name.replace(dir, "DIR")), plain(value, dir)))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(|item| plain(item, dir)).collect(),
        Value::String(text) => disk::stable(&text.replace(dir, "DIR")).into(),
        other => other.clone(),
    }
}

/// Adds what differs between two results of one phase.
fn compare(case: &Case, phase: &str, theirs: &Value, ours: &Value, faults: &mut Vec<String>) {
    let failed = |result: &Value| result["failed"] == true;
    if failed(theirs) != failed(ours) {
        faults.push(format!(
            "{phase}: Ansible's {}, kopsrun's {}: {} / {}",
            words(failed(theirs)),
            words(failed(ours)),
            theirs["msg"],
            ours["msg"]
        ));
        return;
    }
    let empty = Map::new();
    let [theirs, ours] = [theirs, ours].map(|result| result.as_object().unwrap_or(&empty));
    // kopsrun may tell more, mostly in check mode; what Ansible tells must be equal.
    for name in theirs.keys() {
        // A failure has words of its own; its code is the module's.
        let about_now = phase == PHASES[0] && ABOUT_NOW.contains(&name.as_str());
        let of_failure = ["changed", "rc"].contains(&name.as_str());
        let failed = theirs.get("failed") == Some(&Value::Bool(true));
        let told = !case.ignore.contains(name) && !about_now && (!failed || of_failure);
        let (expected, got) = (theirs.get(name), ours.get(name));
        if told && expected != got && !(name == "diff" && same_diff(expected, got)) {
            if let (Some(Value::Object(theirs)), Some(Value::Object(ours))) = (expected, got) {
                let differing = theirs
                    .iter()
                    .filter(|(key, value)| ours.get(*key) != Some(value));
                let parts: Vec<String> = differing
                    .map(|(key, value)| format!("{key}: {value} / {:?}", ours.get(key)))
                    .collect();
                if !parts.is_empty() {
                    faults.push(format!(
                        "{phase}: {name}: Ansible / kopsrun: {}",
                        parts.join(", ")
                    ));
                }
                continue;
            }
            let show =
                |value: Option<&Value>| value.map_or("nothing".to_owned(), ToString::to_string);
            faults.push(format!(
                "{phase}: {name}: Ansible {}, kopsrun {}",
                show(expected),
                show(got)
            ));
        }
    }
}

fn words(failed: bool) -> &'static str {
    if failed { "fails" } else { "doesn't fail" }
}

/// Diffs are drawn, not read by playbooks: only what is before and after counts, not how the parts are arranged.
fn same_diff(theirs: Option<&Value>, ours: Option<&Value>) -> bool {
    let texts = |diff: Option<&Value>| -> Vec<(Value, Value)> {
        let parts = match diff {
            Some(Value::Array(parts)) => parts.clone(),
            Some(part) => vec![part.clone()],
            None => Vec::new(),
        };
        parts
            .into_iter()
            .map(|part| {
                let side = |name: &str| match &part[name] {
                    Value::Object(entries) => {
                        let mut entries = entries.clone();
                        entries.remove("path");
                        Value::Object(entries)
                    }
                    other => other.clone(),
                };
                (side("before"), side("after"))
            })
            .filter(|(before, after)| before != after)
            .collect()
    };
    texts(theirs) == texts(ours)
}
