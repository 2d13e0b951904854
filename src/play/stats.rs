//! What `set_stats` keeps until the recap.

use super::store::lock;
use crate::content::inventory::HostName;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::sync::Mutex;

/// Under this name are figures of the whole run.
const RUN: &str = "_run";

/// Figures by host.
#[derive(Default)]
pub(super) struct Stats {
    kept: Mutex<IndexMap<String, Json>>,
}

impl Stats {
    /// Takes over what a result, or one of the results of a loop, says.
    pub(super) fn take(&self, result: &Map<String, Json>, host: &HostName) {
        if let Some(Json::Array(results)) = result.get("results") {
            for result in results.iter().filter_map(Json::as_object) {
                self.take(result, host);
            }
        }
        let Some(stats) = result.get("ansible_stats").and_then(Json::as_object) else {
            return;
        };
        let flag = |name: &str| stats.get(name).and_then(Json::as_bool);
        let to = if flag("per_host").unwrap_or(true) {
            host
        } else {
            RUN
        };
        let mut kept = lock(&self.kept);
        let entry = kept.entry(to.to_owned());
        let entry = entry.or_insert_with(|| Json::Object(Map::new()));
        let data = stats.get("data").and_then(Json::as_object);
        for (name, value) in data.into_iter().flatten() {
            let Some(all) = entry.as_object_mut() else {
                continue;
            };
            match all.get_mut(name) {
                Some(known) if flag("aggregate").unwrap_or(false) => add(known, value),
                _ => {
                    all.insert(name.clone(), value.clone());
                }
            }
        }
        if entry.as_object().is_some_and(Map::is_empty) {
            kept.shift_remove(to);
        }
    }

    pub(super) fn all(&self) -> IndexMap<String, Json> {
        lock(&self.kept).clone()
    }
}

/// One value more: numbers are summed, texts and lists joined, mappings merged; values of two types stay as they are.
fn add(known: &mut Json, more: &Json) {
    match (known, more) {
        (Json::Object(known), Json::Object(more)) => {
            known.extend(
                more.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        (Json::Array(known), Json::Array(more)) => known.extend(more.iter().cloned()),
        (Json::String(known), Json::String(more)) => known.push_str(more),
        (known @ Json::Number(_), Json::Number(more)) => {
            let sum = match (known.as_i64(), more.as_i64()) {
                (Some(one), Some(other)) => Json::from(one + other),
                _ => Json::from(
                    known.as_f64().unwrap_or_default() + more.as_f64().unwrap_or_default(),
                ),
            };
            *known = sum;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn taken(results: &[Json]) -> Json {
        let stats = Stats::default();
        for result in results {
            let result = json!({ "ansible_stats": result });
            stats.take(
                result.as_object().expect("an object"),
                &HostName::from("h1"),
            );
        }
        serde_json::to_value(stats.all()).expect("plain data")
    }

    #[test]
    fn figures_of_the_run_are_summed() {
        let one =
            json!({"data": {"n": 1, "l": [1], "t": "a"}, "per_host": false, "aggregate": true});
        let found = taken(&[one.clone(), one]);
        assert_eq!(found, json!({"_run": {"n": 2, "l": [1, 1], "t": "aa"}}));
    }

    #[test]
    fn the_last_figure_of_a_host_counts_without_aggregate() {
        let one = |n: u8| json!({"data": {"n": n}, "per_host": true, "aggregate": false});
        assert_eq!(taken(&[one(1), one(2)]), json!({"h1": {"n": 2}}));
    }
}
