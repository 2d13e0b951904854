//! With a stand-in for helm that answers what helm 3.14 answers.

use crate::Outcome;
use crate::modules::test::{check, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const STAND_IN: &str = r#"#!/bin/sh
# A stand-in for helm: writes down what it is asked, and answers what the test recorded.
dir=${0%/*}
echo "$*" | sed 's|/[^ ]*/values.yml|VALUES|' >>"$dir/log"
[ "$1 $2" != "repo add" ] || cat >"$dir/stdin"
for words in "$1.$2" "$1"; do [ ! -e "$dir/$words" ] || { cat "$dir/$words"; exit 0; }; done
[ "$1" != fail ] || exit 1
"#;

const RELEASE: &str = r#"[{"name":"app","namespace":"ns","revision":"1","updated":"2026-01-01 00:00:00.0 +0000 UTC","status":"deployed","chart":"chart-1.2.3","app_version":"9"}]"#;
const CHART: &str = "apiVersion: v2\nappVersion: \"9\"\nname: chart\nversion: 1.2.3\n";

struct Stage(tempfile::TempDir);

impl Stage {
    fn new(answers: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join("helm");
        fs::write(&program, STAND_IN).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        for (words, answer) in answers {
            fs::write(dir.path().join(words), answer).expect("written");
        }
        Self(dir)
    }

    fn args(&self, more: &Value) -> Value {
        let mut args = more.clone();
        args["binary_path"] = self.0.path().join("helm").to_string_lossy().into();
        args
    }

    fn run(&self, module: &str, args: &Value) -> Outcome {
        run(module, self.args(args))
    }

    /// The last thing that was asked.
    fn last(&self) -> String {
        let text = fs::read_to_string(self.0.path().join("log")).unwrap_or_default();
        text.lines().last().unwrap_or_default().to_owned()
    }
}

#[test]
fn releases_come_change_and_go() {
    let args = json!({"name": "app", "namespace": "ns", "chart_ref": "repo/chart", "values": {"a": 1}, "create_namespace": true, "wait": true, "timeout": "5m", "chart_version": "1.2.3"});
    let empty = Stage::new(&[("list", "[]"), ("show.chart", CHART), ("upgrade", "done")]);
    let told = check("helm", empty.args(&args));
    assert!(
        told.changed && told.data["status"]["chart"] == "chart-1.2.3",
        "{told:?}"
    );
    assert!(
        empty
            .last()
            .starts_with("show chart repo/chart --version=1.2.3"),
        "{}",
        empty.last()
    );
    let done = empty.run("helm", &args);
    assert!(done.changed && done.data["stdout"] == "done", "{done:?}");
    let command = done.data["command"].as_str().expect("text");
    assert!(
        command.contains("helm upgrade --install --namespace ns --create-namespace --wait --reset-values --timeout=5m --version=1.2.3 --values=")
            && command.ends_with("values.yml app repo/chart"),
        "{command}"
    );
    let gone = json!({"name": "app", "namespace": "ns", "state": "absent"});
    assert!(!empty.run("helm", &gone).changed);

    let there = Stage::new(&[
        ("list", RELEASE),
        ("get.values", r#"{"a":1}"#),
        ("show.chart", CHART),
    ]);
    let same = there.run("helm", &args);
    assert!(
        !same.changed && same.data["status"]["values"]["a"] == 1,
        "{same:?}"
    );
    for more in [
        json!({"values": {"a": 2}}),
        json!({"set_values": [{"value": "b=c", "value_type": "string"}]}),
        json!({"force": true}),
    ] {
        let mut other = args.clone();
        other
            .as_object_mut()
            .expect("a mapping")
            .extend(more.as_object().cloned().unwrap_or_default());
        assert!(there.run("helm", &other).changed, "{more}");
    }
    let mut reused = args.clone();
    reused["values"] = json!({});
    reused["reuse_values"] = true.into();
    assert!(!there.run("helm", &reused).changed);
    assert!(there.run("helm", &gone).changed);
    assert_eq!(there.last(), "uninstall --namespace ns app");
    let found = there.run("helm_info", &json!({"name": "app", "namespace": "ns"}));
    assert_eq!(found.data["status"]["chart"], "chart-1.2.3", "{found:?}");
    assert!(
        !empty
            .run("helm_info", &json!({"name": "app", "namespace": "ns"}))
            .data
            .contains_key("status")
    );
    assert!(
        empty
            .run("helm", &json!({"name": "app", "namespace": "ns"}))
            .failed
    );
}

#[test]
fn repositories_are_kept() {
    let stage = Stage::new(&[("repo.list", r#"[{"name":"old","url":"https://a/"}]"#)]);
    let args = json!({"name": "new", "url": "https://b", "username": "u", "password": "secret"});
    assert!(check("helm_repository", stage.args(&args)).changed);
    assert_eq!(stage.last(), "repo list --output=json");
    assert!(stage.run("helm_repository", &args).changed);
    assert_eq!(
        stage.last(),
        "repo add new https://b --username=u --password-stdin"
    );
    assert_eq!(
        fs::read_to_string(stage.0.path().join("stdin")).expect("read"),
        "secret"
    );
    for (args, changed, failed) in [
        (json!({"name": "old", "url": "https://a"}), false, false),
        (json!({"name": "old", "url": "https://c"}), false, true),
        (
            json!({"name": "old", "url": "https://c", "force": true}),
            true,
            false,
        ),
        (json!({"name": "old", "state": "absent"}), true, false),
        (json!({"name": "none", "state": "absent"}), false, false),
        (json!({"name": "none"}), false, true),
    ] {
        let outcome = stage.run("helm_repository", &args);
        assert_eq!(
            (outcome.changed, outcome.failed),
            (changed, failed),
            "{args}: {outcome:?}"
        );
    }
}
