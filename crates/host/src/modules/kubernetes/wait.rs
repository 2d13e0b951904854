//! Waiting until an object is as it is to be.

use super::client::Kubectl;
use crate::{Arg, Context, Failure, Kind};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Whether and how long to wait, as a part of the arguments of a module.
#[derive(Deserialize)]
pub(super) struct Wait {
    wait: bool,
    wait_sleep: u64,
    wait_timeout: u64,
    wait_condition: Option<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default = "yes")]
    status: Value,
    reason: Option<String>,
}

fn yes() -> Value {
    "True".into()
}

pub(super) const ARGS: [Arg; 4] = [
    Arg::new(
        "wait",
        Kind::Bool,
        "Wait until the object is ready, or gone.",
    )
    .default("no"),
    Arg::new("wait_sleep", Kind::Int, "Seconds between two looks.").default("5"),
    Arg::new("wait_timeout", Kind::Int, "Seconds in all.").default("120"),
    Arg::new(
        "wait_condition",
        Kind::Dict,
        "A condition of the object's status to wait for: type, status (True), reason.",
    ),
];

impl Wait {
    /// Looks until the object is ready (`present`) or gone. The last object, and how long it took in seconds.
    pub(super) fn wait(
        &self,
        cx: &Context,
        kubectl: &Kubectl<'_>,
        object: &Value,
        namespace: &[&str],
        present: bool,
    ) -> Result<Option<(Value, u64)>, Failure> {
        if !self.wait || cx.check() {
            return Ok(None);
        }
        let start = Instant::now();
        loop {
            let now = kubectl.get(object, namespace)?;
            let done = match &now {
                Some(now) => present && self.is_ready(now),
                None => !present,
            };
            if done {
                return Ok(Some((now.unwrap_or(json!({})), start.elapsed().as_secs())));
            }
            if start.elapsed() >= Duration::from_secs(self.wait_timeout) {
                let what = if present { "ready" } else { "gone" };
                return Err(Failure::new(format!(
                    "{} {} isn't {what} after {} seconds (wait_timeout)",
                    text(object, &["kind"]),
                    text(object, &["metadata", "name"]),
                    self.wait_timeout
                ))
                .with("result", now.unwrap_or(json!({}))));
            }
            cx.sleep(Duration::from_secs(self.wait_sleep.max(1)))?;
        }
    }

    fn is_ready(&self, object: &Value) -> bool {
        match &self.wait_condition {
            Some(condition) => condition.holds(object),
            None => is_ready(object),
        }
    }
}

impl Condition {
    fn holds(&self, object: &Value) -> bool {
        let Some(kind) = &self.kind else {
            return true;
        };
        let wanted = match &self.status {
            Value::Bool(true) => "True",
            Value::Bool(false) => "False",
            other => other.as_str().unwrap_or_default(),
        };
        conditions(object).any(|condition| {
            condition["type"] == kind.as_str()
                && condition["status"] == wanted
                && self
                    .reason
                    .as_ref()
                    .is_none_or(|reason| condition["reason"] == reason.as_str())
        })
    }
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
}

fn text<'o>(object: &'o Value, path: &[&str]) -> &'o str {
    let value = path.iter().fold(object, |value, key| &value[*key]);
    value.as_str().unwrap_or_default()
}

/// Whether an object does what it is for, by its kind; kinds without such a state are ready when they are there.
pub(super) fn is_ready(object: &Value) -> bool {
    let status = &object["status"];
    let count = |name: &str| status[name].as_i64().unwrap_or(0);
    let observed =
        count("observedGeneration") >= object["metadata"]["generation"].as_i64().unwrap_or(0);
    match text(object, &["kind"]) {
        "Deployment" => {
            let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
            observed
                && count("replicas") == wanted
                && count("updatedReplicas") == wanted
                && count("availableReplicas") == wanted
                && count("unavailableReplicas") == 0
        }
        "StatefulSet" => {
            let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
            observed
                && count("updatedReplicas") == wanted
                && count("readyReplicas") == wanted
                && status["currentRevision"] == status["updateRevision"]
        }
        "DaemonSet" => {
            let wanted = count("desiredNumberScheduled");
            observed
                && status.get("desiredNumberScheduled").is_some()
                && count("updatedNumberScheduled") == wanted
                && count("numberReady") == wanted
                && count("numberUnavailable") == 0
        }
        "Pod" | "Node" => conditions(object)
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True"),
        "CustomResourceDefinition" => conditions(object)
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True"),
        "Job" => conditions(object)
            .any(|condition| condition["type"] == "Complete" && condition["status"] == "True"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_ready_when_they_do_what_they_are_for() {
        let of = |kind: &str, spec: Value, status: Value| json!({"kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status});
        let deployed = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        let rolling = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2, "unavailableReplicas": 1});
        let old = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        let daemons = json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3});
        let sets = json!({"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"});
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let unready = json!({"conditions": [{"type": "Ready", "status": "False"}]});
        for (object, expected) in [
            (of("Deployment", json!({"replicas": 2}), deployed), true),
            (of("Deployment", json!({"replicas": 2}), rolling), false),
            (of("Deployment", json!({"replicas": 2}), old), false),
            (of("DaemonSet", json!({}), daemons), true),
            (of("DaemonSet", json!({}), json!({})), false),
            (of("StatefulSet", json!({}), sets), true),
            (of("Pod", json!({}), ready), true),
            (of("Node", json!({}), unready), false),
            (of("ConfigMap", json!({}), json!({})), true),
        ] {
            assert_eq!(is_ready(&object), expected, "{object}");
        }
        let condition = Condition {
            kind: Some("Progressing".to_owned()),
            status: "Unknown".into(),
            reason: Some("Paused".to_owned()),
        };
        let paused = json!({"status": {"conditions": [{"type": "Progressing", "status": "Unknown", "reason": "Paused"}]}});
        assert!(condition.holds(&paused) && !condition.holds(&json!({})));
    }
}
