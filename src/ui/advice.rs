//! What a person needs beside Ansible's own lines when a task failed: its place, and what can be done.

use crate::journal::{Event, Status};

/// Lines for standard error, where standard output has to be Ansible's to the byte; empty where there is nothing to add.
pub fn advice(event: &Event) -> String {
    let Event::HostResult {
        host,
        status: Status::Failed | Status::Unreachable,
        place,
        hints,
        ..
    } = event
    else {
        return String::new();
    };
    let place = place
        .iter()
        .map(|place| format!("{host}: task at {place}\n"));
    let hints = hints.iter().map(|hint| format!("{host}: hint: {hint}\n"));
    place.chain(hints).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn only_failures_are_advised_on() {
        let event = |status| Event::HostResult {
            host: "node1".into(),
            task: "copy".into(),
            item: None,
            status,
            message: None,
            result: Value::Null,
            diff: None,
            delegate: Default::default(),
            detail: Default::default(),
            place: Some("site.yml:3:7".into()),
            hints: vec!["make room".into()],
            duration: 0.1,
        };
        assert_eq!(
            advice(&event(Status::Failed)),
            "node1: task at site.yml:3:7\nnode1: hint: make room\n"
        );
        assert_eq!(advice(&event(Status::Ignored)), "");
        assert_eq!(advice(&event(Status::Ok)), "");
    }
}
