//! Results of whole tasks: those of a loop's items are put together again, for callbacks that print no items.

use crate::journal::{Detail, Event, Status};
use indexmap::IndexMap;
use serde_json::{Map, Value};

/// One result of a task on one host.
pub(super) struct Whole {
    pub host: String,
    pub status: Status,
    pub result: Value,
    pub diff: Option<Value>,
    /// The result is what the task is for.
    pub always: bool,
}

/// Collects the results of items until their loop ends.
#[derive(Default)]
pub(super) struct Collector {
    items: IndexMap<String, Vec<Value>>,
}

impl Collector {
    /// A result that is complete with this event.
    pub(super) fn take(&mut self, event: &Event) -> Option<Whole> {
        match event {
            Event::HostResult {
                host,
                item: Some(_),
                result,
                ..
            } => {
                let items = self.items.entry(host.clone()).or_default();
                items.push(with_lines(result));
                None
            }
            Event::HostResult {
                host,
                status,
                message,
                result,
                diff,
                detail,
                ..
            } => Some(Whole {
                host: host.clone(),
                status: *status,
                result: said(with_lines(result), message.as_deref(), *status),
                diff: diff.clone(),
                always: *detail == Detail::Always,
            }),
            Event::LoopFinished {
                host,
                status,
                result,
                ..
            } => {
                let items = self.items.shift_remove(host).unwrap_or_default();
                let mut result = result.clone();
                if let Some(map) = result.as_object_mut() {
                    map.insert("results".to_owned(), items.into());
                }
                Some(Whole {
                    host: host.clone(),
                    status: *status,
                    result,
                    diff: None,
                    always: false,
                })
            }
            _ => None,
        }
    }
}

fn with_lines(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(map) = result.as_object_mut() {
        crate::ui::results::with_lines(map);
    }
    result
}

/// A failure that has no result of its own says why.
pub(super) fn said(result: Value, message: Option<&str>, status: Status) -> Value {
    let mut result = match result {
        Value::Null => Value::Object(Map::new()),
        other => other,
    };
    let bad = !matches!(status, Status::Ok | Status::Changed | Status::Skipped);
    if let (true, Some(message), Some(map)) = (bad, message, result.as_object_mut())
        && map
            .keys()
            .all(|key| matches!(key.as_str(), "changed" | "failed"))
    {
        map.insert("msg".into(), message.into());
    }
    result
}
