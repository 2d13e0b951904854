//! Answers the probes of `oracle.py` with kopsrun's own templates, in the same form.

use indexmap::IndexMap;
use kopsrun::content::place::Place;
use kopsrun::content::template::{Scope, Templar, TemplateError, TemplateSettings};
use kopsrun::content::value::{Key, Value, read};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

type Names = IndexMap<String, Value>;

/// Variables of a probe over those of its scope.
struct Vars(Names, Arc<Names>);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).or_else(|| self.1.get(name)).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().chain(self.1.keys()).cloned().collect()
    }

    fn place(&self, _name: &str) -> Option<Place> {
        None
    }
}

/// Text of the operator; `{"__unsafe": x}` is x as it comes from a host.
pub fn value(json: &Json) -> Value {
    let all = |items: &Json| -> Vec<Value> {
        items.as_array().into_iter().flatten().map(value).collect()
    };
    let Json::Object(entries) = json else {
        return match json {
            Json::Array(_) => Value::list(all(json)),
            other => Value::from_trusted_json(other),
        };
    };
    match (entries.len(), entries.iter().next()) {
        (1, Some((mark, inner))) if mark == "__unsafe" => value(inner).distrusted(),
        (1, Some((mark, inner))) if mark == "__int" => integer(inner),
        (1, Some((mark, inner))) if mark == "__tuple" => Value::tuple(all(inner)),
        (1, Some((mark, inner))) if mark == "__pairs" => {
            let pairs = inner.as_array().into_iter().flatten();
            let pairs = pairs.map(|pair| {
                let key = Key::of(&value(&pair[0])).expect("keys of probes can be hashed");
                (key, value(&pair[1]))
            });
            Value::dict(pairs.collect())
        }
        _ => Value::record(
            entries
                .iter()
                .map(|(name, inner)| (name.as_str(), value(inner))),
        ),
    }
}

fn integer(json: &Json) -> Value {
    let digits = json.as_str().unwrap_or_default();
    Value::integer(digits.parse().expect("numbers of probes are whole"))
}

/// Scopes by name, for probes that share variables.
#[derive(Default)]
pub struct Scopes(std::collections::HashMap<String, Arc<Names>>);

impl Scopes {
    /// Keeps the scope that a line defines; false when the line is a probe.
    pub fn define(&mut self, line: &Json) -> bool {
        let Some(name) = line["scope"].as_str() else {
            return false;
        };
        self.0
            .insert(name.to_owned(), Arc::new(variables(&line["vars"])));
        true
    }
}

fn variables(json: &Json) -> Names {
    let vars = json.as_object().into_iter().flatten();
    vars.map(|(name, inner)| (name.clone(), value(inner)))
        .collect()
}

fn templar(probe: &Json, scopes: &Scopes) -> Templar {
    let scope = probe["in"].as_str().and_then(|name| scopes.0.get(name));
    let vars = Vars(
        variables(&probe["vars"]),
        scope.cloned().unwrap_or_default(),
    );
    let mut environment = BTreeMap::from([("HOME".to_owned(), "/home/op".to_owned())]);
    for (name, text) in probe["environment"].as_object().into_iter().flatten() {
        environment.insert(name.clone(), text.as_str().unwrap_or_default().to_owned());
    }
    let dir = probe["dir"].as_str().map(PathBuf::from);
    let settings = TemplateSettings {
        environment: Arc::new(environment),
        search: dir.iter().cloned().collect(),
        playbook_dir: dir.unwrap_or_default(),
        native: probe["native"] == true,
        ..TemplateSettings::default()
    };
    Templar::new(Arc::new(vars), Arc::new(settings))
}

fn run(probe: &Json, scopes: &Scopes) -> Result<Value, TemplateError> {
    let templar = templar(probe, scopes);
    let text = probe["template"].as_str().unwrap_or_default();
    match probe["kind"].as_str() {
        Some("expr") => templar.expr(text),
        Some("file") => templar.render_file(text).map(Value::from),
        Some("when") => templar
            .condition(&value(&probe["template"]))
            .map(Value::Bool),
        Some("lookup") => {
            let terms = templar.render(&value(&probe["terms"]))?;
            let terms = match terms {
                Value::List(items) => read(&items).clone(),
                other => vec![other],
            };
            templar.lookup(text, terms, "files").map(Value::list)
        }
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

/// The answer as the oracle writes it: `value` and `unsafe`, or `error` and `message`.
pub fn answer_in(probe: &Json, scopes: &Scopes) -> Json {
    match run(probe, scopes) {
        Ok(Value::Undefined(_)) => json!({"value": "Undefined"}),
        Ok(found) if probe["kind"] != "file" && holds_unsafe(&found) => {
            json!({"value": found.repr(), "unsafe": true})
        }
        Ok(found) => json!({"value": found.repr()}),
        Err(error) if error.is_undefined() => {
            json!({"error": "undefined", "message": error.message})
        }
        Err(error) => json!({"error": "error", "message": error.message}),
    }
}

/// A text as Python's literal.
#[allow(dead_code, reason = "one of the tests needs it")]
pub fn repr(text: &str) -> String {
    Value::from(text).repr()
}
