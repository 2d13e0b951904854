//! The arguments that modules take, with their aliases, types, choices, defaults and whether they are needed, compared
//! with `ansible-doc`. What differs stands in docs/modules.md, with the reason.

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
            "get_certificate",
            "openssl_csr",
            "openssl_csr_info",
            "openssl_csr_pipe",
            "openssl_privatekey",
            "openssl_privatekey_info",
            "openssl_privatekey_pipe",
            "x509_certificate",
            "x509_certificate_info",
            "x509_certificate_pipe",
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
    let with_gaps: BTreeSet<&str> = gaps
        .iter()
        .filter_map(|gap| gap.split(' ').next())
        .collect();
    #[expect(
        clippy::print_stdout,
        reason = "the tally, for who runs it with --nocapture"
    )]
    {
        println!(
            "{compared} modules compared with ansible-doc, {} without any difference",
            compared - with_gaps.len()
        );
    }
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
        for difference in differences(arg, option) {
            gaps.insert(of(&format!("{name}: {difference}")));
        }
    }
}

/// Type, need and default, where they aren't the same.
fn differences(arg: &Arg, option: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let kind = option["type"].as_str().unwrap_or("str");
    if !same_kind(arg.kind, kind) {
        found.push(format!("type {kind}"));
    }
    if let (Kind::List, Some(elements)) = (arg.kind, option["elements"].as_str())
        && !same_kind(arg.elements, elements)
    {
        found.push(format!("elements {elements}"));
    }
    let required = option["required"] == true;
    if required != arg.required {
        found.push(if required { "required" } else { "optional" }.to_owned());
    }
    let default = &option["default"];
    let nothing = match default {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::String(text) => ["", "{}"].contains(&text.as_str()),
        other => other.is_null(),
    };
    match arg.default {
        Some(ours) if !nothing && !same_default(arg.kind, ours, default) => {
            found.push(format!("default {}", word(default)));
        }
        None if !nothing && (arg.kind, default) != (Kind::Bool, &Value::Bool(false)) => {
            found.push(format!("default {}", word(default)));
        }
        _ => {}
    }
    found
}

/// Whether all that Ansible's type takes is taken, with the same meaning. Raw values are looked at by the action itself.
fn same_kind(ours: Kind, theirs: &str) -> bool {
    match (ours, theirs) {
        (Kind::Raw, _) => true,
        // Only `~` and variables mean more.
        (Kind::Path, "path" | "str") => true,
        (Kind::Str, "str" | "json" | "jsonarg" | "bytes" | "bits" | "sid") => true,
        (Kind::Mode, "str" | "raw") => true,
        (Kind::Bool, "bool") | (Kind::Float, "float") => true,
        (Kind::Int, "int" | "integer") => true,
        (Kind::List, "list") | (Kind::Dict, "dict") => true,
        _ => false,
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
        (Kind::Bool, theirs) | (_, theirs @ Value::Bool(_)) => truth(ours) == truth(&word(theirs)),
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
