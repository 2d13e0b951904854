//! Every setting that `ansible-config list` names is honoured by kopsrun, or ignored with a reason.
#![allow(
    clippy::disallowed_methods,
    reason = "tests read the environment of the machine that they run on"
)]

mod oracle;

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

/// What isn't set by hand: ansible-core computes it.
const COMPUTED: [&str; 2] = ["CONFIG_FILE", "GALAXY_SERVERS"];

fn said(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("a program that can be started");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

/// `(section, key)` of everything that can be written into ansible.cfg, and the variables of the environment.
fn all() -> (Vec<(String, String)>, Vec<String>) {
    let mut command = Command::new(oracle::program("ansible-config"));
    let text = said(command.args(["list", "--format", "json"]));
    let list: BTreeMap<String, Json> = serde_json::from_str(&text).expect("JSON");
    assert!(list.len() > 180, "{} settings", list.len());
    let (mut entries, mut variables) = (Vec::new(), Vec::new());
    for (name, setting) in &list {
        if COMPUTED.contains(&name.as_str()) {
            continue;
        }
        let many = |key: &str| setting[key].as_array().cloned().unwrap_or_default();
        for entry in many("ini") {
            let text = |key: &str| entry[key].as_str().expect("text").to_owned();
            entries.push((text("section"), text("key")));
        }
        let named = many("env").into_iter();
        variables.extend(named.filter_map(|entry| entry["name"].as_str().map(str::to_owned)));
    }
    (entries, variables)
}

#[test]
fn every_setting_is_honoured_or_ignored_with_a_reason() {
    let (entries, variables) = all();
    let dir = tempfile::tempdir().expect("a directory");
    let mut cfg = String::new();
    for (section, key) in &entries {
        // An empty value is of every type.
        cfg += &format!("[{section}]\n{key} =\n");
    }
    fs::write(dir.path().join("ansible.cfg"), cfg).expect("written");
    let dump = |environment: &[String]| -> Json {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopsrun"));
        command
            .args(["config", "dump", "--output", "json"])
            .current_dir(dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir.path());
        for name in environment {
            command.env(name, "");
        }
        serde_json::from_str(&said(&mut command)).expect("JSON")
    };
    let told = |json: &Json, names: &mut Vec<String>| {
        for ignored in json["ignored"].as_array().expect("a list") {
            let reason = ignored["reason"].as_str().expect("a reason");
            let name = ignored["name"].as_str().expect("a name");
            assert!(!reason.contains("no such setting"), "{name}: {reason}");
            names.push(name.to_owned());
        }
    };
    let mut ignored = Vec::new();
    told(&dump(&[]), &mut ignored);
    told(&dump(&variables), &mut ignored);
    assert!(ignored.len() > 200, "{}", ignored.len());
    assert!(entries.len() > 180 && variables.len() > 180);
}
