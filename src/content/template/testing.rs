//! Variables for tests, from JSON.

use super::{Scope, Templar, TemplateSettings};
use crate::content::value::Value;
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) struct Vars(pub IndexMap<String, Value>);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Variables of the operator. `{"__unsafe": x}` anywhere is x as it comes from a host.
fn value(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(value).collect()),
        Json::Object(entries) => match entries.get("__unsafe") {
            Some(inner) => Value::from_json(inner),
            None => Value::record(
                entries
                    .iter()
                    .map(|(name, inner)| (name.as_str(), value(inner))),
            ),
        },
        other => Value::from_trusted_json(other),
    }
}

pub(crate) fn scope(vars: &Json) -> Vars {
    let entries = vars.as_object().cloned().unwrap_or_default();
    Vars(
        entries
            .iter()
            .map(|(name, inner)| (name.clone(), value(inner)))
            .collect(),
    )
}

pub(crate) fn templar(vars: &Json) -> Templar {
    templar_in(vars, Vec::new())
}

pub(crate) fn templar_in(vars: &Json, search: Vec<PathBuf>) -> Templar {
    let environment = BTreeMap::from([
        ("HOME".to_owned(), "/home/op".to_owned()),
        ("USER".to_owned(), "op".to_owned()),
    ]);
    let settings = TemplateSettings {
        search,
        environment: Arc::new(environment),
        ..TemplateSettings::default()
    };
    Templar::new(Arc::new(scope(vars)), Arc::new(settings))
}
