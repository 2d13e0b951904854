//! Facts, compared key by key with those that Ansible's `setup` finds on the same machine. What may differ stands in
//! docs/facts.md, with the reason.

use crate::oracle;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What changes from moment to moment: that it is there, and what kind of value it is.
const MOVING: &[&str] = &[
    "ansible_date_time",
    "ansible_loadavg",
    "ansible_memfree_mb",
    "ansible_memory_mb",
    "ansible_swapfree_mb",
    "ansible_uptime_seconds",
];

/// What kubespray reads: never among those that may differ.
const NEEDED: &[&str] = &[
    "all_ipv4_addresses",
    "all_ipv6_addresses",
    "architecture",
    "date_time",
    "default_ipv4",
    "default_ipv6",
    "distribution",
    "distribution_major_version",
    "distribution_release",
    "distribution_version",
    "env",
    "fqdn",
    "hostname",
    "kernel",
    "memtotal_mb",
    "os_family",
    "pkg_mgr",
    "selinux",
    "swaptotal_mb",
    "system",
    "user_id",
];

#[test]
fn facts_are_ansibles_but_for_those_that_are_documented() {
    let directory = tempfile::tempdir().expect("a directory");
    let play = json!([{
        "hosts": "localhost", "connection": "local", "gather_facts": false,
        "vars": {"ansible_python_interpreter": oracle::program("python")},
        "tasks": [
            {"setup": {}, "register": "found"},
            {"copy": {"content": "{{ found.ansible_facts | to_json }}", "dest": "{{ into }}"}},
        ],
    }]);
    let playbook = directory.path().join("site.yml");
    fs::write(&playbook, play.to_string()).expect("written");
    let theirs = gathered(
        &mut Command::new(oracle::program("ansible-playbook")),
        &playbook,
    );
    let mut kopsrun = Command::new(env!("CARGO_BIN_EXE_kopsrun"));
    let ours = gathered(kopsrun.arg("play"), &playbook);
    let (may_differ, absent) = documented();
    let mut wrong = Vec::new();
    for (name, value) in &theirs {
        let differs = !same(name, value, ours.get(name));
        if differs && name == "ansible_env" {
            let named = |env: Option<&Value>| -> BTreeSet<String> {
                let pairs = env.and_then(Value::as_object).into_iter().flatten();
                pairs
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect()
            };
            let (theirs, ours) = (named(Some(value)), named(ours.get(name)));
            wrong.push(format!(
                "ansible_env: only one of both has {:?}",
                theirs.symmetric_difference(&ours).collect::<Vec<_>>()
            ));
        } else if differs && !may_differ.contains(name) {
            wrong.push(format!(
                "{name}: Ansible {value}, kopsrun {}",
                ours.get(name).unwrap_or(&Value::Null)
            ));
        }
    }
    let more = ours
        .keys()
        .filter(|name| !theirs.contains_key(*name) && !may_differ.contains(*name));
    wrong.extend(more.map(|name| format!("{name}: only kopsrun has it")));
    let there = absent.iter().filter(|name| ours.contains_key(*name));
    wrong.extend(there.map(|name| format!("{name}: docs/facts.md says that it isn't there")));
    let needed = NEEDED
        .iter()
        .filter(|name| may_differ.contains(&format!("ansible_{name}")));
    wrong.extend(needed.map(|name| format!("{name} must not differ")));
    assert!(theirs.len() > 60, "only {} facts", theirs.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn gathered(command: &mut Command, playbook: &Path) -> Map<String, Value> {
    let home = playbook.parent().expect("a directory");
    let into = home.join("facts.json");
    let output = command
        .args(["-i", "localhost,", "-e"])
        .arg(format!("into={}", into.display()))
        .arg(playbook)
        .current_dir(home)
        // Whatever else the test was started with is of no interest.
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", home)
        // Which a shell sets, and Ansible starts one.
        .env("PWD", home)
        .env("XDG_STATE_HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let text = fs::read_to_string(&into).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    fs::remove_file(&into).expect("it is there");
    serde_json::from_str(&text).expect("JSON")
}

fn same(name: &str, theirs: &Value, ours: Option<&Value>) -> bool {
    let Some(ours) = ours else { return false };
    if MOVING.contains(&name) {
        return shape(theirs) == shape(ours);
    }
    match name {
        // A name of the program itself, and what each of them sets for what it starts.
        "ansible_env" => without(theirs, &["_"]) == without(ours, &["_"]),
        "ansible_mounts" => mounts(theirs) == mounts(ours),
        _ => sorted(theirs) == sorted(ours),
    }
}

/// Kinds of values, by name.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| (name.clone(), shape(value)));
            Value::Object(entries.collect())
        }
        Value::Number(_) => "number".into(),
        Value::String(_) => "text".into(),
        other => other.clone(),
    }
}

fn without(value: &Value, names: &[&str]) -> Value {
    let mut value = value.clone();
    if let Value::Object(entries) = &mut value {
        entries.retain(|name, _| !names.contains(&name.as_str()));
    }
    value
}

/// By mount point; what is free changes while it is measured.
fn mounts(value: &Value) -> BTreeSet<String> {
    let free = [
        "size_available",
        "block_available",
        "block_used",
        "inode_available",
        "inode_used",
    ];
    let all = value.as_array().into_iter().flatten();
    all.map(|mount| {
        let mount = without(mount, &free);
        let ordered: std::collections::BTreeMap<_, _> =
            mount.as_object().into_iter().flatten().collect();
        format!("{ordered:?}")
    })
    .collect()
}

/// Lists of texts and of addresses have no order in Ansible: they come from sets.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(entries) => {
            let ordered: std::collections::BTreeMap<_, _> = entries.iter().collect();
            let entries = ordered
                .into_iter()
                .map(|(name, value)| (name.clone(), sorted(value)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

/// The facts of the table of docs/facts.md, and those of them that aren't there.
fn documented() -> (BTreeSet<String>, BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/facts.md");
    let text = fs::read_to_string(path).expect("text");
    let (mut all, mut absent) = (BTreeSet::new(), BTreeSet::new());
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let names = columns[1]
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned());
        let names: Vec<String> = names.collect();
        if columns[2] == "not there" {
            absent.extend(names.iter().cloned());
        }
        all.extend(names);
    }
    assert!(!all.is_empty(), "docs/facts.md has a table");
    (all, absent)
}
