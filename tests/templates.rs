//! Templates render as ansible-core 2.18 renders them: `tests/vectors/templates.jsonl`, which it wrote itself.

use indexmap::IndexMap;
use kopsrun::content::place::Place;
use kopsrun::content::template::{Scope, Templar, TemplateError, TemplateSettings};
use kopsrun::content::value::{Value, read};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

struct Vars(IndexMap<String, Value>);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn place(&self, _name: &str) -> Option<Place> {
        None
    }
}

/// Text of the operator; `{"__unsafe": x}` is x as it comes from a host.
fn value(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(value).collect()),
        Json::Object(entries) => match entries.get("__unsafe") {
            Some(inner) => Value::from_json(inner),
            None => {
                let entries = entries
                    .iter()
                    .map(|(name, inner)| (name.as_str(), value(inner)));
                Value::record(entries)
            }
        },
        other => Value::from_trusted_json(other),
    }
}

fn templar(probe: &Json) -> Templar {
    let vars = probe["vars"].as_object().cloned().unwrap_or_default();
    let vars = vars
        .iter()
        .map(|(name, inner)| (name.clone(), value(inner)));
    let settings = TemplateSettings {
        environment: Arc::new(BTreeMap::from([("HOME".to_owned(), "/home/op".to_owned())])),
        ..TemplateSettings::default()
    };
    Templar::new(Arc::new(Vars(vars.collect())), Arc::new(settings))
}

fn run(probe: &Json) -> Result<Value, TemplateError> {
    let templar = templar(probe);
    let text = probe["template"].as_str().unwrap_or_default();
    match probe["kind"].as_str() {
        Some("expr") => templar.expr(text),
        Some("file") => templar.render_file(text).map(Value::from),
        Some("when") => templar
            .condition(&value(&probe["template"]))
            .map(Value::Bool),
        _ => templar.render(&value(&probe["template"])),
    }
}

fn holds_unsafe(found: &Value) -> bool {
    match found {
        Value::List(items) => read(items).iter().any(holds_unsafe),
        Value::Dict(entries) => read(entries).values().any(holds_unsafe),
        Value::Tuple(items) => items.iter().any(holds_unsafe),
        other => other.holds_untrusted(),
    }
}

/// Where kopsrun is meant to differ, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "{1, 2}",
        "there are no sets: text that writes one stays text",
    ),
    (
        "b'c'",
        "there are no bytes: text that writes some stays text",
    ),
    ("\"joiner\"", "functions print under their names"),
    (
        "'::1' | ansible.utils.ipaddr('ipv4')",
        "an address of version 6 isn't one of version 4, whatever its number",
    ),
];

#[test]
fn templates_render_as_in_ansible() {
    let text = include_str!("vectors/templates.jsonl");
    let mut same = 0;
    let mut wrong = Vec::new();
    for line in text.lines() {
        let probe: Json = serde_json::from_str(line).expect("the vectors are JSON");
        let expected = match (probe["value"].as_str(), probe["error"].as_str()) {
            (Some(value), _) => {
                let mark = if probe["unsafe"] == true {
                    "unsafe "
                } else {
                    ""
                };
                format!("{mark}{value}")
            }
            (None, error) => format!("error: {}", error.unwrap_or_default()),
        };
        let found = match run(&probe) {
            Ok(found) => {
                let mark = if probe["kind"] != "file" && holds_unsafe(&found) {
                    "unsafe "
                } else {
                    ""
                };
                format!("{mark}{}", found.repr())
            }
            Err(error) if error.is_undefined() => "error: undefined".to_owned(),
            Err(_) => "error: error".to_owned(),
        };
        // Conditions fail in one way there.
        let found = match probe["kind"].as_str() {
            Some("when") if found.starts_with("error") => "error: error".to_owned(),
            _ => found,
        };
        let template = probe["template"].to_string();
        if found == expected || DIFFERENT.iter().any(|(known, _)| template.contains(known)) {
            same += 1;
        } else {
            let detail = run(&probe)
                .err()
                .map(|error| error.message)
                .unwrap_or_default();
            wrong.push(format!(
                "{} {template} {}\n    ansible: {expected} {}\n    kopsrun: {found} {detail}",
                probe["kind"], probe["vars"], probe["message"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{same} as in Ansible, {} not:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
