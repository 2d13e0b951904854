//! The callback `ansible.posix.json`: one document with all results, when the run ends.

use super::whole::Whole;
use super::{Settings, Task};
use crate::journal::{Event, Record, Status};
use crate::ui::color::Tone;
use crate::ui::results;
use crate::ui::screen::Screen;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// The document as far as it is known.
#[derive(Default)]
pub(super) struct Document {
    plays: Vec<Value>,
    /// Plays and tasks so far, for their ids.
    count: u64,
}

impl Document {
    pub(super) fn take<W: Write>(
        &mut self,
        record: &Record,
        whole: Option<Whole>,
        task: &Task,
        settings: &Settings,
        screen: &mut Screen<W>,
    ) -> io::Result<()> {
        let now = record.time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        match &record.event {
            Event::PlayStarted { name, place, .. } => {
                let head = self.head(name, place.as_deref(), &now, record);
                self.plays.push(json!({"play": head, "tasks": []}));
            }
            Event::TaskStarted { .. } => {
                let head = self.head(&task.title(), task.place.as_deref(), &now, record);
                if let Some(tasks) = self.tasks() {
                    tasks.push(json!({"hosts": {}, "task": head}));
                }
            }
            Event::Stats { hosts, custom } => {
                let stats: Map<String, Value> = hosts
                    .iter()
                    .map(|(host, c)| {
                        let figures = json!({
                            "ok": c.ok, "changed": c.changed, "unreachable": c.unreachable,
                            "failures": c.failed, "skipped": c.skipped, "rescued": c.rescued,
                            "ignored": c.ignored,
                        });
                        (host.clone(), figures)
                    })
                    .collect();
                let mut custom = match settings.show_custom_stats {
                    true => custom.clone(),
                    false => indexmap::IndexMap::new(),
                };
                let run = custom.shift_remove("_run").unwrap_or_else(|| json!({}));
                let document = json!({
                    "plays": self.plays, "stats": stats, "custom_stats": custom, "global_custom_stats": run,
                });
                return screen.line(Tone::Plain, &results::dumped(&document, Some(4), true));
            }
            _ => {}
        }
        if let Some(whole) = whole {
            self.add(whole, task, &now);
        }
        Ok(())
    }

    fn head(&mut self, name: &str, place: Option<&str>, now: &str, record: &Record) -> Value {
        self.count += 1;
        // No two of a run are the same, which is what ids are for.
        let id = format!(
            "{:08x}-0000-4000-8000-{:012x}",
            record.time.as_second(),
            self.count
        );
        let path = place.and_then(|place| place.rsplit_once(':'));
        let path = path.map(|(path, _)| path).unwrap_or_default();
        json!({"name": name, "id": id, "path": path, "duration": {"start": now}})
    }

    fn tasks(&mut self) -> Option<&mut Vec<Value>> {
        self.plays.last_mut()?.get_mut("tasks")?.as_array_mut()
    }

    fn add(&mut self, whole: Whole, task: &Task, now: &str) {
        let mut result = match whole.result {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        result.shift_remove("failed");
        result.shift_remove("skipped");
        match whole.status {
            Status::Ok | Status::Changed => {}
            Status::Skipped => {
                result.insert("skipped".to_owned(), true.into());
            }
            _ if result.get("unreachable") == Some(&Value::Bool(true)) => {}
            _ => {
                result.insert("failed".to_owned(), true.into());
            }
        }
        let action = task.action.as_deref().or(task.module.as_deref());
        result.insert("action".to_owned(), action.unwrap_or_default().into());
        if let Some(last) = self.tasks().and_then(|tasks| tasks.last_mut()) {
            last["hosts"][&whole.host] = result.into();
            last["task"]["duration"]["end"] = now.into();
        }
        if let Some(play) = self.plays.last_mut() {
            play["play"]["duration"]["end"] = now.into();
        }
    }
}
