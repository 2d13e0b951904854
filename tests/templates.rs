//! Templates render as ansible-core 2.18 renders them: `tests/vectors/templates.jsonl`, which it wrote itself.

#[path = "templates_oracle/probe.rs"]
#[allow(dead_code, reason = "the other test that uses it needs more of it")]
mod probe;

use serde_json::Value as Json;

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
        let answer = probe::answer_in(&probe, &probe::Scopes::default());
        let found = match (answer["value"].as_str(), answer["error"].as_str()) {
            (Some(value), _) if answer["unsafe"] == true => format!("unsafe {value}"),
            (Some(value), _) => value.to_owned(),
            (None, error) => format!("error: {}", error.unwrap_or_default()),
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
            let detail = answer["message"].as_str().unwrap_or_default();
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
