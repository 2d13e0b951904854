//! `kube_node`: a node of Kubernetes: cordoned, drained, labelled, tainted, waited for, removed.

use super::client::{self, Connection, Kubectl, parsed};
use super::wait::is_ready;
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Where kubeadm puts the credentials of the administrator.
const ADMIN: &str = "/etc/kubernetes/admin.conf";

#[derive(Deserialize)]
pub struct KubeNode {
    name: String,
    state: String,
    labels: Option<Map<String, Value>>,
    taints: Option<Vec<String>>,
    taints_absent: Option<Vec<String>>,
    #[serde(default)]
    drain: Draining,
    wait_timeout: u64,
    #[serde(flatten)]
    connection: Connection,
}

/// How pods leave a node.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Draining {
    delete_emptydir_data: bool,
    disable_eviction: bool,
    force: bool,
    ignore_daemonsets: bool,
    terminate_grace_period: Option<u64>,
    /// Seconds; 0: as long as it takes.
    wait_timeout: u64,
    #[serde(rename = "wait_sleep")]
    _wait_sleep: Option<u64>,
}

impl Module for KubeNode {
    const SPEC: Spec = Spec::new(
        "kube_node",
        "Cordons, uncordons, drains, labels, taints, waits for and removes a node of Kubernetes, by the kubectl of the host and /etc/kubernetes/admin.conf. Returns what was done, and the node's labels and taints. Tested with a stand-in for kubectl.",
        &join::<7, 17, 24>(
            [
                Arg::new("name", Kind::Str, "The node.").required(),
                Arg::new("state", Kind::Str, "There (present), without new pods (cordoned), without any (drained), with (uncordoned), working (ready: waits), not there (absent: also drain it first).")
                    .choices(&["absent", "cordoned", "drained", "present", "ready", "uncordoned"])
                    .default("present"),
                Arg::new("labels", Kind::Dict, "Labels and their values; null: without the label."),
                Arg::new("taints", Kind::List, "Taints that it has: key=value:Effect or key:Effect."),
                Arg::new("taints_absent", Kind::List, "Taints that it has not: key:Effect or key."),
                Arg::new("drain", Kind::Dict, "How pods go: delete_emptydir_data, disable_eviction, force, ignore_daemonsets, terminate_grace_period, wait_timeout (seconds)."),
                Arg::new("wait_timeout", Kind::Int, "Seconds to wait for state ready.").default("300"),
            ],
            client::ARGS,
        ),
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let connection = self.connection.or_kubeconfig(ADMIN);
        let kubectl = Kubectl::new(cx, &connection)?;
        let Some(node) = Node::find(cx, &kubectl, &self.name)? else {
            if self.state == "absent" {
                return Ok(Outcome::ok().with("actions", json!([])));
            }
            return Err(Failure::new(format!(
                "the node {} isn't in the cluster",
                self.name
            )));
        };
        let mut actions: Vec<&str> = Vec::new();
        let mut note = |changed: bool, what: &'static str| {
            if changed {
                actions.push(what);
            }
        };
        match self.state.as_str() {
            "absent" => note(node.delete()?, "deleted"),
            "cordoned" => note(node.cordon(true)?, "cordoned"),
            "uncordoned" => note(node.cordon(false)?, "uncordoned"),
            "drained" => note(node.drain(&self.drain, &[])?, "drained"),
            _ => {}
        }
        if self.state != "absent" {
            note(node.label(self.labels.as_ref())?, "labelled");
            let taints = self.taints.as_deref().unwrap_or_default();
            let without = self.taints_absent.as_deref().unwrap_or_default();
            note(node.taint(taints, without)?, "tainted");
        }
        if self.state == "ready" && !cx.check() {
            node.wait(Duration::from_secs(self.wait_timeout))?;
        }
        Ok(Outcome::changed(!actions.is_empty())
            .with("actions", actions)
            .with("labels", node.object["metadata"]["labels"].clone())
            .with("taints", node.object["spec"]["taints"].clone()))
    }
}

/// A node as it was when the task began.
pub(super) struct Node<'k, 'c> {
    cx: &'c Context,
    kubectl: &'k Kubectl<'c>,
    name: &'k str,
    object: Value,
}

impl<'k, 'c> Node<'k, 'c> {
    pub(super) fn find(
        cx: &'c Context,
        kubectl: &'k Kubectl<'c>,
        name: &'k str,
    ) -> Result<Option<Self>, Failure> {
        let output = kubectl
            .run(&["get", "node", name, "-o", "json", "--ignore-not-found"])?
            .check("kubectl can't get the node")?;
        let text = output.stdout_text();
        if text.trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            cx,
            kubectl,
            name,
            object: parsed(&text)?,
        }))
    }

    fn act(&self, args: &[&str]) -> Result<bool, Failure> {
        if !self.cx.check() {
            let what = format!("kubectl {} failed", args[0]);
            self.kubectl.run(args)?.check(&what)?;
        }
        Ok(true)
    }

    fn cordoned(&self) -> bool {
        self.object["spec"]["unschedulable"] == true
    }

    /// Whether that changed something.
    pub(super) fn cordon(&self, cordoned: bool) -> Result<bool, Failure> {
        if self.cordoned() == cordoned {
            return Ok(false);
        }
        self.act(&[if cordoned { "cordon" } else { "uncordon" }, self.name])
    }

    /// Cordons the node and gives its pods away; those of daemon sets and of the kubelet itself stay.
    pub(super) fn drain(&self, how: &Draining, selectors: &[String]) -> Result<bool, Failure> {
        if self.cordoned() && !self.has_pods(selectors)? {
            return Ok(false);
        }
        let mut args = vec!["drain".to_owned(), self.name.to_owned()];
        for (wanted, option) in [
            (how.delete_emptydir_data, "--delete-emptydir-data"),
            (how.disable_eviction, "--disable-eviction"),
            (how.force, "--force"),
            (how.ignore_daemonsets, "--ignore-daemonsets"),
        ] {
            if wanted {
                args.push(option.to_owned());
            }
        }
        if let Some(seconds) = how.terminate_grace_period {
            args.push(format!("--grace-period={seconds}"));
        }
        if how.wait_timeout > 0 {
            args.push(format!("--timeout={}s", how.wait_timeout));
        }
        if !selectors.is_empty() {
            args.push(format!("--pod-selector={}", selectors.join(",")));
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.act(&args)
    }

    fn has_pods(&self, selectors: &[String]) -> Result<bool, Failure> {
        let field = format!("spec.nodeName={}", self.name);
        let labels = selectors.join(",");
        let mut args = vec![
            "get",
            "pods",
            "--all-namespaces",
            "-o",
            "json",
            "--field-selector",
            &field,
        ];
        if !selectors.is_empty() {
            args.extend(["--selector", &labels]);
        }
        let output = self
            .kubectl
            .run(&args)?
            .check("kubectl can't list the pods of the node")?;
        let pods = parsed(&output.stdout_text())?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        Ok(pods.iter().any(leaves))
    }

    fn delete(&self) -> Result<bool, Failure> {
        self.act(&["delete", "node", self.name])
    }

    fn label(&self, labels: Option<&Map<String, Value>>) -> Result<bool, Failure> {
        let now = &self.object["metadata"]["labels"];
        let mut args = vec![
            "label".to_owned(),
            "node".to_owned(),
            self.name.to_owned(),
            "--overwrite".to_owned(),
        ];
        let fixed = args.len();
        let mut labels: Vec<(&String, &Value)> = labels.into_iter().flatten().collect();
        labels.sort_by_key(|(name, _)| *name);
        for (name, value) in labels {
            let value = match value {
                Value::Null => {
                    if now.get(name).is_some() {
                        args.push(format!("{name}-"));
                    }
                    continue;
                }
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if now[name.as_str()] != value.as_str() {
                args.push(format!("{name}={value}"));
            }
        }
        self.act_if(&args, fixed)
    }

    fn taint(&self, taints: &[String], without: &[String]) -> Result<bool, Failure> {
        let now: Vec<Taint> = self.object["spec"]["taints"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Taint::of)
            .collect();
        let mut args = vec![
            "taint".to_owned(),
            "node".to_owned(),
            self.name.to_owned(),
            "--overwrite".to_owned(),
        ];
        let fixed = args.len();
        for text in taints {
            let taint = Taint::parse(text);
            if taint.effect.is_empty() {
                return Err(Failure::new(format!(
                    "the taint {text} has no effect: write key=value:NoSchedule, PreferNoSchedule or NoExecute"
                )));
            }
            if !now.contains(&taint) {
                args.push(text.clone());
            }
        }
        for text in without {
            let taint = Taint::parse(text);
            let there = now.iter().any(|known| {
                known.key == taint.key && (taint.effect.is_empty() || known.effect == taint.effect)
            });
            if there {
                args.push(format!("{text}-"));
            }
        }
        self.act_if(&args, fixed)
    }

    /// Runs a command that has more than its first `fixed` words to say.
    fn act_if(&self, args: &[String], fixed: usize) -> Result<bool, Failure> {
        if args.len() == fixed {
            return Ok(false);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.act(&args)
    }

    fn wait(&self, limit: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            if Self::find(self.cx, self.kubectl, self.name)?
                .is_some_and(|node| is_ready(&node.object))
            {
                return Ok(());
            }
            if start.elapsed() >= limit {
                return Err(Failure::new(format!(
                    "the node {} isn't ready after {} seconds (wait_timeout)",
                    self.name,
                    limit.as_secs()
                )));
            }
            self.cx.sleep(Duration::from_secs(2))?;
        }
    }
}

/// Whether a pod leaves a node that is drained.
fn leaves(pod: &Value) -> bool {
    let annotations = &pod["metadata"]["annotations"];
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let of_daemon_set = owners
        .into_iter()
        .flatten()
        .any(|owner| owner["kind"] == "DaemonSet" && owner["controller"] == true);
    annotations.get("kubernetes.io/config.mirror").is_none() && !of_daemon_set
}

#[derive(Debug, PartialEq)]
struct Taint {
    key: String,
    value: String,
    effect: String,
}

impl Taint {
    fn of(object: &Value) -> Self {
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        Self {
            key: text("key"),
            value: text("value"),
            effect: text("effect"),
        }
    }

    fn parse(text: &str) -> Self {
        let (rest, effect) = text.rsplit_once(':').unwrap_or((text, ""));
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
        }
    }
}
