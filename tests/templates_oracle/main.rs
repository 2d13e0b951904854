//! Templates of kopsrun and of the real ansible-core on the same probes: written ones (`cases/`) and random ones.
//! `SEED=7 CASES=20000 cargo test --test templates_oracle` tries others.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read the environment, start programs and say what they compared"
)]

#[path = "../oracle/mod.rs"]
mod oracle;
mod probe;

use kopsrun::content::template::{REFUSED, Templar};
use probe::Scopes;
use serde_json::{Value as Json, json};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The seed and the number of the random probes when nothing else is asked for.
const SEED: &str = "20251121";
const CASES: &str = "6000";

/// Differences that are meant, as what stands in an answer of Ansible, and why.
const MEANT: [(&str, &str); 6] = [
    ("Markup(", "text for HTML is no class of its own here"),
    (
        "AnsibleUndefined(",
        "how Python shows an undefined object; it prints under its name here",
    ),
    ("\\udc", "bytes that aren't UTF-8 have no form here"),
    (
        "{1, 2}",
        "there are no sets: text that writes one stays text",
    ),
    ("b'", "there are no bytes: text that writes some stays text"),
    (
        "Could not load",
        "a filter that doesn't exist is wrong there even where nobody calls it; here the check before a run says so",
    ),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates_oracle")
}

/// What ansible-core answers, one answer a probe; lines that define scopes have none.
fn theirs(lines: &[Json]) -> Vec<Json> {
    let mut python = Command::new(oracle::python_with_collections())
        .arg(directory().join("oracle.py"))
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/home/op")
        .env("LANG", "C.UTF-8")
        .env("PYTHONHASHSEED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the virtualenv has python");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut input = python.stdin.take().expect("it was piped");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = python.wait_with_output().expect("python ends");
    writer
        .join()
        .expect("writing doesn't panic")
        .expect("python reads all probes");
    let answers = String::from_utf8(output.stdout).expect("answers are JSON");
    let answers: Vec<Json> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect("answers are JSON"))
        .collect();
    let probes = lines.iter().filter(|line| line.get("scope").is_none());
    assert_eq!(
        answers.len(),
        probes.count(),
        "ansible-core answers every probe"
    );
    answers
}

/// Why an answer of kopsrun isn't that of Ansible; None when it is, or is meant to differ.
fn difference(probe: &Json, ours: &Json, theirs: &Json) -> Option<&'static str> {
    let shown = theirs.to_string();
    if MEANT.iter().any(|(part, _)| shown.contains(part)) {
        return None;
    }
    if theirs.get("error").is_some() && ours.get("error").is_some() {
        return None;
    }
    // A constant that fails while Jinja2 compiles is left as it was written; here it fails.
    let template = probe["template"].as_str().unwrap_or_default();
    let written = json!({"value": probe::repr(template)});
    if ours.get("error").is_some() && theirs["value"] == written["value"] {
        return None;
    }
    // Sets have no order there: what `union` makes of the hosts changes from run to run.
    let words = |answer: &Json| {
        let text = answer["value"].as_str().unwrap_or_default();
        let mut words: Vec<String> = text
            .trim_matches('\'')
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        words.sort_unstable();
        words
    };
    let unordered = probe["in"] == "roles/kubernetes/node" && words(ours) == words(theirs);
    if ours["value"] != theirs["value"] && !unordered {
        return Some("value");
    }
    // Ansible distrusts what a branch would have used that wasn't taken.
    let branches =
        template.contains("if ") || template.contains(" or ") || template.contains(" and ");
    let laxer = theirs["unsafe"] == true && ours["unsafe"] != true;
    (laxer && probe["kind"] != "file" && !branches).then_some("trust")
}

/// Compares all answers.
fn compare(what: &str, lines: &[Json]) {
    let answers = theirs(lines);
    let mut scopes = Scopes::default();
    let mut wrong = Vec::new();
    let probes = lines.iter().filter(|line| !scopes.define(line));
    let probes: Vec<&Json> = probes.collect();
    for (probe, theirs) in probes.iter().zip(&answers) {
        let ours = probe::answer_in(probe, &scopes);
        if let Some(aspect) = difference(probe, &ours, theirs) {
            wrong.push(format!(
                "{aspect} of {probe}\n    ansible: {theirs}\n    kopsrun: {ours}"
            ));
        }
    }
    let failed = answers
        .iter()
        .filter(|answer| answer.get("error").is_some());
    let failed = failed.count();
    let shown = wrong.len().min(20);
    assert!(
        wrong.is_empty(),
        "{what}: {} of {} differ:\n{}",
        wrong.len(),
        probes.len(),
        wrong[..shown].join("\n")
    );
    println!(
        "{what}: {} templates mean the same, {failed} of them fail in both",
        probes.len()
    );
}

/// The files of `cases/`: one template a line, its kind by the file's name (`expr.txt`, `render.txt`, `when.txt`).
fn written() -> Vec<Json> {
    let mut probes = Vec::new();
    for kind in ["expr", "render", "when"] {
        let path = directory().join(format!("cases/{kind}.txt"));
        let text = fs::read_to_string(&path).expect("the cases are there");
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("##"));
        let dir = directory().join("data").display().to_string();
        probes.extend(lines.map(|line| {
            let template = if kind == "render" {
                line.replace("⏎", "\n")
            } else {
                line.to_owned()
            };
            json!({"kind": kind, "template": template, "dir": dir, "vars": variables(),
                   "environment": {"KOPSRUN_PROBE": "from outside"}})
        }));
    }
    probes
}

/// Variables of the written cases.
fn variables() -> Json {
    let text =
        fs::read_to_string(directory().join("cases/vars.json")).expect("the cases have variables");
    serde_json::from_str(&text).expect("they are JSON")
}

#[test]
fn written_templates_mean_what_they_mean_in_ansible() {
    compare("cases", &written());
}

/// What a program of this directory writes: lines of JSON.
fn lines_of(program: &str, args: &[&str]) -> Vec<Json> {
    let output = Command::new(oracle::python_with_collections())
        .arg(directory().join(program))
        .args(args)
        .output()
        .expect("the virtualenv has python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("probes are JSON");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("probes are JSON"))
        .collect()
}

#[test]
fn random_templates_mean_what_they_mean_in_ansible() {
    let or = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let (seed, cases) = (or("SEED", SEED), or("CASES", CASES));
    let probes = lines_of("generate.py", &[&seed, &cases]);
    compare(&format!("seed {seed}"), &probes);
}

/// All templates and default variables of a checkout of kubespray for six hosts, when `KOPSRUN_KUBESPRAY` names one.
#[test]
fn kubespray_renders_as_in_ansible() {
    match env::var("KOPSRUN_KUBESPRAY") {
        Ok(checkout) => {
            for host in (1..=6).map(|number| format!("node{number}")) {
                let probes = lines_of("kubespray.py", &[&checkout, &host]);
                compare(&format!("kubespray, {host}"), &probes);
            }
        }
        Err(_) => println!("KOPSRUN_KUBESPRAY names no checkout of kubespray"),
    }
}

/// Names of plugins that come with Ansible, of the collections that this program speaks for.
fn plugins(kind: &str) -> Vec<String> {
    let python = oracle::python_with_collections();
    let output = Command::new(python.with_file_name("ansible-doc"))
        .args(["--type", kind, "--list", "--json"])
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the virtualenv has ansible-doc");
    let names: Json = serde_json::from_slice(&output.stdout).expect("it lists as JSON");
    let spoken = [
        "ansible.builtin.",
        "ansible.netcommon.",
        "ansible.posix.",
        "ansible.utils.",
        "community.crypto.",
        "community.general.",
        "kubernetes.core.",
    ];
    let names = names
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    let names =
        names.filter(|name| !name.contains('.') || spoken.iter().any(|own| name.starts_with(own)));
    names.cloned().collect()
}

/// Every filter, test and lookup of Ansible and its collections is there, or is refused by name with a reason.
#[test]
fn nothing_is_missing_without_a_reason() {
    let mut missing = Vec::new();
    let mut known = 0;
    for (kind, expression) in [
        ("filter", "x | NAME"),
        ("test", "x is NAME"),
        ("lookup", "lookup('NAME')"),
    ] {
        let names = plugins(kind);
        assert!(names.len() > 20, "ansible-doc lists {kind}s: {names:?}");
        for name in names {
            known += 1;
            let faults = Templar::check_expression(&expression.replace("NAME", &name));
            missing.extend(
                faults
                    .iter()
                    .filter(|fault| fault.message.starts_with("there is no"))
                    .map(|fault| fault.message.clone()),
            );
        }
    }
    assert!(
        missing.is_empty(),
        "{} of {known}:\n{}",
        missing.len(),
        missing.join("\n")
    );
}

/// The table of docs/language.md says what the code refuses.
#[test]
fn the_documentation_lists_what_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/language.md");
    let text = fs::read_to_string(path).expect("docs/language.md is there");
    for (kind, refused) in REFUSED {
        let expected: String = refused
            .iter()
            .map(|(name, reason)| format!("| {kind} | `{name}` | {reason} |\n"))
            .collect();
        assert!(
            text.contains(&expected),
            "docs/language.md should have these lines:\n{expected}"
        );
    }
}
