//! `getent`: entries of the system's databases, as facts.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
pub struct Getent {
    database: String,
    key: Option<String>,
    service: Option<String>,
    split: Option<String>,
    fail_key: bool,
}

/// Databases whose fields are separated by colons.
const COLONS: &[&str] = &["passwd", "shadow", "group", "gshadow"];

impl Module for Getent {
    const SPEC: Spec = Spec::new(
        "getent",
        "Reads a database of the system (passwd, group, hosts…) into the fact getent_DATABASE.",
        &[
            Arg::new("database", Kind::Str, "The database.").required(),
            Arg::new("key", Kind::Str, "Only this entry."),
            Arg::new(
                "service",
                Kind::Str,
                "Ask only this service of the name switch.",
            ),
            Arg::new("split", Kind::Str, "What separates the fields."),
            Arg::new("fail_key", Kind::Bool, "Fail when the key isn't there.").default("yes"),
        ],
    )
    .returns(&[Return::new(
        "ansible_facts",
        "getent_DATABASE: keys and the list of their fields.",
    )]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let mut process = cx.process("getent").system().arg(&self.database);
        process = process.args(&self.key);
        if let Some(service) = &self.service {
            process = process.arg("-s").arg(service);
        }
        let output = process.run()?;
        let name = format!("getent_{}", self.database);
        let facts = |entries: Map<String, Value>| json!({name: entries});
        match output.rc {
            0 => {
                Ok(Outcome::ok().with("ansible_facts", facts(self.entries(&output.stdout_text()))))
            }
            1 => Err(Failure::new("Missing arguments, or database unknown.")),
            2 => {
                let text = "One or more supplied key could not be found in the database.";
                if self.fail_key {
                    return Err(Failure::new(text));
                }
                let key = self.key.clone().unwrap_or_default();
                let none = Map::from_iter([(key, Value::Null)]);
                Ok(Outcome::ok().msg(text).with("ansible_facts", facts(none)))
            }
            3 => Err(Failure::new("Enumeration not supported on this database.")),
            _ => Err(Failure::new("Unexpected failure!")),
        }
    }
}

impl Getent {
    /// Keys with their fields. Where a key comes again, it has a list of the fields of each.
    fn entries(&self, text: &str) -> Map<String, Value> {
        let mut entries: Map<String, Value> = Map::new();
        let split = self
            .split
            .as_deref()
            .or_else(|| COLONS.contains(&self.database.as_str()).then_some(":"));
        let mut repeated = Vec::new();
        for line in text.lines() {
            let mut fields: Vec<&str> = match split {
                Some(split) => line.split(split).collect(),
                None => line.split_whitespace().collect(),
            };
            if fields.is_empty() {
                continue;
            }
            let key = fields.remove(0).to_owned();
            let fields = json!(fields);
            match entries.get_mut(&key) {
                None => {
                    entries.insert(key, fields);
                }
                Some(Value::Array(known)) if repeated.contains(&key) => known.push(fields),
                Some(known) => {
                    *known = json!([known.take(), fields]);
                    repeated.push(key);
                }
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn entries_become_facts() {
        let facts =
            run("getent", json!({"database": "passwd", "key": "root"})).data["ansible_facts"]
                .clone();
        assert_eq!(facts["getent_passwd"]["root"][1], "0");
        let facts = check("getent", json!({"database": "group"})).data["ansible_facts"].clone();
        assert_eq!(facts["getent_group"]["root"][1], "0");
        let none = run(
            "getent",
            json!({"database": "group", "key": "no-such-group", "fail_key": false}),
        );
        assert!(
            none.data["ansible_facts"]["getent_group"]["no-such-group"].is_null() && !none.failed
        );
        assert!(
            run(
                "getent",
                json!({"database": "group", "key": "no-such-group"})
            )
            .failed
        );
        assert!(run("getent", json!({"database": "no-such-database"})).failed);
    }
}
