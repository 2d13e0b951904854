//! With a stand-in for kubectl that answers what a server once answered.

use crate::Outcome;
use crate::modules::test::{check, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const STAND_IN: &str = r#"#!/bin/sh
# A stand-in for kubectl: writes down what it is asked, and answers what the test recorded for the first word it knows.
dir=${0%/*}
echo "$*" >>"$dir/log"
case "$*" in *"-f -"*) cat >>"$dir/objects"; echo >>"$dir/objects";; esac
for word in "$@"; do
  [ ! -e "$dir/error.$word" ] || { cat "$dir/error.$word" >&2; exit 1; }
  [ ! -e "$dir/answer.$word" ] || { cat "$dir/answer.$word"; exit 0; }
done
"#;

/// A node with a label and a taint, as kubectl 1.32 writes it, shortened.
fn node(unschedulable: bool) -> Value {
    let mut spec = json!({"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]});
    if unschedulable {
        spec["unschedulable"] = true.into();
    }
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": spec, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
}

fn map(data: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "x", "resourceVersion": version},
        "data": {"a": data}})
}

struct Stage(tempfile::TempDir);

impl Stage {
    fn new(answers: &[(&str, &Value)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join("kubectl");
        fs::write(&program, STAND_IN).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        for (word, answer) in answers {
            let text = match answer {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            fs::write(dir.path().join(word), text).expect("written");
        }
        Self(dir)
    }

    fn args(&self, args: &Value) -> Value {
        let mut args = args.clone();
        args["kubectl"] = self.0.path().join("kubectl").to_string_lossy().into();
        args["kubeconfig"] = "/k".into();
        args
    }

    fn run(&self, module: &str, args: &Value) -> Outcome {
        run(module, self.args(args))
    }

    /// What was asked since the last time, without the option that all have.
    fn asked(&self) -> String {
        let log = self.0.path().join("log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        fs::remove_file(log).ok();
        text.replace("--kubeconfig=/k ", "")
    }

    fn objects(&self) -> String {
        fs::read_to_string(self.0.path().join("objects")).unwrap_or_default()
    }
}

#[test]
fn objects_are_created() {
    let definition = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "x"}, "data": {"a": "2"}});
    let args = json!({"definition": definition});
    let empty = Stage::new(&[("answer.create", &map("2", "7"))]);
    let created = empty.run("k8s", &args);
    assert!(
        created.changed && created.data["method"] == "create",
        "{created:?}"
    );
    assert_eq!(created.data["result"]["data"]["a"], "2");
    assert_eq!(
        empty.asked(),
        "get -f - -o json --ignore-not-found\ncreate -f - -o json\n"
    );
    assert_eq!(
        empty.objects().lines().last(),
        Some(&*definition.to_string())
    );
    assert!(check("k8s", empty.args(&args)).changed);
    assert!(
        empty
            .asked()
            .contains("create -f - -o json --dry-run=server")
    );
    // Without a definition, name and namespace are arguments.
    let named = json!({"kind": "Namespace", "name": "y", "namespace": "z", "state": "absent"});
    assert!(!empty.run("k8s", &named).changed);
    assert_eq!(
        empty.asked(),
        "get -f - -o json --ignore-not-found --namespace z\n"
    );
}

#[test]
fn objects_are_changed_and_removed() {
    let definition = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "x"}, "data": {"a": "2"}});
    let args = json!({"definition": definition});
    let there = Stage::new(&[
        ("answer.get", &map("1", "7")),
        ("answer.patch", &map("2", "8")),
        ("answer.apply", &map("1", "9")),
    ]);
    let patched = there.run("k8s", &args);
    assert!(
        patched.changed && patched.data["method"] == "patch",
        "{patched:?}"
    );
    assert_eq!(patched.data["diff"]["before"]["data"]["a"], "1");
    assert!(
        there
            .asked()
            .contains("patch -f - -o json --type=strategic --patch-file=")
    );
    let mut applied = args.clone();
    applied["apply"] = true.into();
    applied["server_side_apply"] = json!({"field_manager": "me", "force_conflicts": true});
    // Only what the server writes of itself differs.
    assert!(!there.run("k8s", &applied).changed);
    assert!(
        there
            .asked()
            .contains("apply --server-side --field-manager me --force-conflicts -f - -o json")
    );
    let mut gone = args.clone();
    gone["state"] = "absent".into();
    gone["delete_options"] = json!({"gracePeriodSeconds": 5, "propagationPolicy": "Foreground"});
    assert!(check("k8s", there.args(&gone)).changed && !there.asked().contains("delete"));
    assert!(there.run("k8s", &gone).changed);
    assert!(there.asked().contains(
        "delete -f - --ignore-not-found --wait=false --grace-period=5 --cascade=foreground"
    ));
    // Objects of other people's kinds.
    let refused = "error: application/strategic-merge-patch+json is not supported by x".into();
    let custom = Stage::new(&[
        ("answer.get", &map("1", "7")),
        ("error.--type=strategic", &refused),
        ("answer.--type=merge", &map("2", "8")),
    ]);
    assert!(custom.run("k8s", &args).changed);
}

#[test]
fn several_objects_selectors_and_mistakes() {
    let stage = Stage::new(&[("answer.create", &map("2", "7"))]);
    let with = |name: &str, label: &str| json!({"kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": label}}});
    let list = json!({"kind": "List", "items": [with("a", "x"), with("b", "y"), with("c", "x")]});
    let outcome = stage.run(
        "k8s",
        &json!({"definition": list, "label_selectors": ["app=x"]}),
    );
    let results = outcome.data["result"]["results"].as_array().map(Vec::len);
    assert_eq!(results, Some(2), "{outcome:?}");
    let failing = Stage::new(&[("error.create", &"Error from server (Forbidden): no".into())]);
    let refused = failing.run("k8s", &json!({"definition": with("a", "x")}));
    assert!(refused.failed, "{refused:?}");
    assert_eq!(
        refused.data["msg"],
        "kubectl create failed: Error from server (Forbidden): no"
    );
    for (args, said) in [
        (json!({}), "what object?"),
        (
            json!({"definition": "text"}),
            "resource_definition is a mapping",
        ),
        (
            json!({"kind": "A", "name": "a", "append_hash": true}),
            "append_hash isn't supported",
        ),
        (
            json!({"kind": "A", "name": "a", "api_key": "t"}),
            "api_key, username and password can't be added",
        ),
        (
            json!({"kind": "A", "name": "a", "apply": true, "merge_type": "merge"}),
            "apply",
        ),
    ] {
        let outcome = stage.run("k8s", &args);
        let msg = outcome.data["msg"].as_str().expect("text");
        assert!(outcome.failed && msg.contains(said), "{args}: {msg}");
    }
    let waiting = Stage::new(&[("answer.get", &node(false)), ("answer.patch", &node(false))]);
    let args = json!({"definition": {"kind": "Node", "metadata": {"name": "n1"}}, "wait": true,
        "wait_condition": {"type": "Ready", "status": false}, "wait_timeout": 0});
    let late = waiting.run("k8s", &args);
    let msg = late.data["msg"].as_str().expect("text");
    assert!(
        late.failed && msg.contains("isn't ready after 0 seconds"),
        "{msg}"
    );
}

#[test]
fn objects_are_found() {
    let list = json!({"kind": "List", "items": [map("1", "7"), map("2", "8")]});
    let stage = Stage::new(&[("answer.get", &list)]);
    let args = json!({"kind": "Deployment", "api_version": "apps/v1", "namespace": "x", "label_selectors": ["a=b", "c"],
        "field_selectors": ["d=e"], "hidden_fields": ["metadata.resourceVersion"]});
    let found = stage.run("k8s_info", &args);
    assert_eq!(
        found.data["resources"][1]["metadata"],
        json!({"name": "m", "namespace": "x"}),
        "{found:?}"
    );
    assert_eq!(
        stage.asked(),
        "get Deployment.v1.apps -o json --show-managed-fields=true --ignore-not-found --namespace x --selector a=b,c --field-selector d=e\n"
    );
    let outcome = Stage::new(&[]).run("k8s_info", &json!({"kind": "Pod", "name": "p"}));
    assert_eq!(outcome.data["resources"], json!([]));
    assert_eq!(outcome.data["api_found"], true);
    let said = "error: the server doesn't have a resource type \"Foo\"".into();
    let unknown = Stage::new(&[("error.get", &said)]);
    assert_eq!(
        unknown.run("k8s_info", &json!({"kind": "Foo"})).data["api_found"],
        false
    );
}

#[test]
fn nodes_are_cordoned_labelled_and_tainted() {
    let open = Stage::new(&[("answer.node", &node(false))]);
    let args = json!({"name": "n1", "state": "cordoned", "labels": {"zone": "b", "old": null, "new": "1"},
        "taints": ["a=b:NoExecute", "node-role.kubernetes.io/control-plane:NoSchedule"], "taints_absent": ["gone"]});
    let told = check("kube_node", open.args(&args));
    assert_eq!(
        told.data["actions"],
        json!(["cordoned", "labelled", "tainted"]),
        "{told:?}"
    );
    assert_eq!(open.asked().lines().count(), 1);
    assert!(open.run("kube_node", &args).changed);
    assert_eq!(
        open.asked(),
        "get node n1 -o json --ignore-not-found\ncordon n1\nlabel node n1 --overwrite new=1 zone=b\ntaint node n1 --overwrite a=b:NoExecute\n"
    );
    let same = json!({"name": "n1", "state": "ready", "labels": {"zone": "a"},
        "taints_absent": ["x", "node-role.kubernetes.io/control-plane:NoExecute"]});
    assert!(!open.run("kube_node", &same).changed);
    assert!(
        open.run("k8s_drain", &json!({"name": "n1", "state": "cordon"}))
            .changed
    );
    let none = Stage::new(&[]);
    assert!(
        !none
            .run("kube_node", &json!({"name": "n1", "state": "absent"}))
            .changed
    );
    assert!(none.run("kube_node", &json!({"name": "n1"})).failed);
}

#[test]
fn nodes_are_drained_and_removed() {
    let pod = |owner: &str| json!({"metadata": {"ownerReferences": [{"kind": owner, "controller": true}]}});
    let pods = json!({"items": [pod("DaemonSet"), pod("ReplicaSet")]});
    let busy = Stage::new(&[("answer.node", &node(true)), ("answer.pods", &pods)]);
    let options = json!({"force": true, "ignore_daemonsets": true, "delete_emptydir_data": true, "terminate_grace_period": 3, "wait_timeout": 60});
    let args = json!({"name": "n1", "delete_options": options, "pod_selectors": ["app=a"]});
    let drained = busy.run("k8s_drain", &args);
    assert!(
        drained.changed && drained.data["result"] == "node n1 drained.",
        "{drained:?}"
    );
    assert!(busy.asked().ends_with(
        "drain n1 --delete-emptydir-data --force --ignore-daemonsets --grace-period=3 --timeout=60s --pod-selector=app=a\n"
    ));
    let pods = json!({"items": [pod("DaemonSet")]});
    let idle = Stage::new(&[("answer.node", &node(true)), ("answer.pods", &pods)]);
    for (state, changed) in [("drained", false), ("uncordoned", true), ("absent", true)] {
        let outcome = idle.run("kube_node", &json!({"name": "n1", "state": state}));
        assert_eq!(outcome.changed, changed, "{outcome:?}");
    }
    assert!(idle.asked().ends_with("delete node n1\n"));
}
