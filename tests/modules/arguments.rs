//! The arguments, aliases, choices and defaults that modules take, compared with `ansible-doc`. What is left out stands
//! in docs/modules.md, with the reason.

use crate::oracle;
use host::{Arg, Kind, Spec};
use kopsrun::content::playbook::documented;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where a module of Ansible is, when it isn't in ansible.builtin.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "ansible.posix",
        &[
            "authorized_key",
            "mount",
            "selinux",
            "synchronize",
            "sysctl",
        ],
    ),
    (
        "community.general",
        &[
            "alternatives",
            "archive",
            "ini_file",
            "locale_gen",
            "make",
            "modprobe",
            "pam_limits",
            "timezone",
        ],
    ),
    (
        "community.crypto",
        &[
            "openssl_csr",
            "openssl_csr_info",
            "openssl_privatekey",
            "openssl_privatekey_info",
            "x509_certificate",
            "x509_certificate_info",
        ],
    ),
    (
        "kubernetes.core",
        &[
            "helm",
            "helm_info",
            "helm_repository",
            "k8s",
            "k8s_drain",
            "k8s_info",
        ],
    ),
];

/// What belongs to the package manager of each host.
const OTHERS: &[&str] = &["package"];

#[test]
fn modules_take_what_ansibles_take() {
    let specs: Vec<&Spec> = documented()
        .into_iter()
        .filter(|spec| !OTHERS.contains(&spec.name) && !is_statement(spec.name))
        .collect();
    let theirs = documentation(&specs);
    let mut gaps = BTreeSet::new();
    let mut compared = 0;
    for spec in specs {
        if let Some(about) = theirs.get(&full_name(spec.name)) {
            compared += 1;
            compare(spec, about, &mut gaps);
        }
    }
    let known = left_out();
    let wrong: Vec<String> = gaps
        .difference(&known)
        .map(|gap| format!("Ansible has it, kopsrun doesn't: {gap}"))
        .chain(
            known
                .difference(&gaps)
                .map(|gap| format!("in docs/modules.md without a reason: {gap}")),
        )
        .collect();
    assert!(
        compared > 40,
        "only {compared} modules are known to ansible-doc"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the language brings, not the modules.
fn is_statement(name: &str) -> bool {
    name.starts_with("import_") || ["include_role", "include_tasks", "meta"].contains(&name)
}

fn full_name(name: &str) -> String {
    let found = ELSEWHERE.iter().find(|(_, names)| names.contains(&name));
    format!(
        "{}.{name}",
        found.map_or("ansible.builtin", |(collection, _)| collection)
    )
}

/// What ansible-doc says of each, kept below target/tmp.
fn documentation(specs: &[&Spec]) -> Map<String, Value> {
    let names: Vec<String> = specs.iter().map(|spec| full_name(spec.name)).collect();
    let program = oracle::program_with_collections("ansible-doc");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let output = Command::new(program)
        .args(["--type", "module", "--json"])
        .args(&names)
        .env("HOME", home)
        .env_remove("ANSIBLE_CONFIG")
        .output()
        .expect("it starts");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn compare(spec: &Spec, about: &Value, gaps: &mut BTreeSet<String>) {
    let empty = Map::new();
    let options = about["doc"]["options"].as_object().unwrap_or(&empty);
    for (name, option) in options {
        // Options that only plugins give, and what stands for a free form.
        if name.starts_with('_') || ["free_form", "free-form", "key_value"].contains(&name.as_str())
        {
            continue;
        }
        let of = |what: &str| format!("{} {what}", spec.name);
        let Some(arg) = spec.args.iter().find(|arg| answers(arg, name)) else {
            gaps.insert(of(name));
            continue;
        };
        for alias in option["aliases"].as_array().into_iter().flatten() {
            let alias = alias.as_str().unwrap_or_default();
            if !answers(arg, alias) {
                gaps.insert(of(alias));
            }
        }
        let choices: Vec<String> = match &option["choices"] {
            Value::Array(choices) => choices.iter().map(word).collect(),
            Value::Object(choices) => choices.keys().cloned().collect(),
            _ => Vec::new(),
        };
        for choice in choices {
            if !arg.choices.is_empty() && !arg.choices.contains(&choice.as_str()) {
                gaps.insert(of(&format!("{name}: {choice}")));
            }
        }
        let nothing = option["default"].as_array().is_some_and(Vec::is_empty);
        if let (Some(ours), false) = (arg.default, option["default"].is_null() || nothing)
            && !same_default(arg.kind, ours, &option["default"])
        {
            gaps.insert(of(&format!("{name} = {}", word(&option["default"]))));
        }
    }
}

fn answers(arg: &Arg, name: &str) -> bool {
    arg.name == name || arg.aliases.contains(&name)
}

fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn same_default(kind: Kind, ours: &str, theirs: &Value) -> bool {
    let truth = |text: &str| ["yes", "true", "True"].contains(&text);
    match (kind, theirs) {
        (Kind::Bool, theirs) => truth(ours) == truth(&word(theirs)),
        (_, Value::Array(items)) => ours == items.iter().map(word).collect::<Vec<_>>().join(","),
        (_, theirs) => ours == word(theirs),
    }
}

/// `MODULE ARGUMENT` of the table of docs/modules.md.
fn left_out() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/modules.md");
    let text = fs::read_to_string(path).expect("text");
    let (_, table) = text
        .split_once("## Arguments that are left out")
        .expect("a chapter");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let module = columns[1].trim_matches('`').to_owned();
        let args = columns[2]
            .split(", ")
            .map(|arg| arg.trim_matches('`').to_owned());
        args.map(move |arg| format!("{module} {arg}"))
            .collect::<Vec<_>>()
    })
    .collect()
}
