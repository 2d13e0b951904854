//! `k8s_drain`: a node that takes no more pods, or gives those that it has away.

use super::client::{self, Connection, Kubectl};
use super::node::{Draining, Node};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Drain {
    name: String,
    state: String,
    #[serde(default)]
    delete_options: Draining,
    pod_selectors: Option<Vec<String>>,
    #[serde(flatten)]
    connection: Connection,
}

impl Module for Drain {
    const SPEC: Spec = Spec::new(
        "k8s_drain",
        "Cordons, drains and uncordons a node of Kubernetes by the kubectl of the host. Returns result. Tested with a stand-in for kubectl.",
        &join::<4, 17, 21>(
            [
                Arg::new("name", Kind::Str, "The node.").required(),
                Arg::new("state", Kind::Str, "What is done.")
                    .choices(&["cordon", "drain", "uncordon"])
                    .default("drain"),
                Arg::new(
                    "delete_options",
                    Kind::Dict,
                    "How pods go: delete_emptydir_data, disable_eviction, force, ignore_daemonsets, terminate_grace_period, wait_timeout (seconds); wait_sleep has no effect.",
                ),
                Arg::new("pod_selectors", Kind::List, "Only pods with these labels.")
                    .aliases(&["label_selectors"]),
            ],
            client::ARGS,
        ),
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let kubectl = Kubectl::new(cx, &self.connection)?;
        let node = Node::find(cx, &kubectl, &self.name)?
            .ok_or_else(|| Failure::new(format!("Node {} not found.", self.name)))?;
        let (changed, said) = match self.state.as_str() {
            "cordon" => {
                let changed = node.cordon(true)?;
                (
                    changed,
                    if changed {
                        "marked unschedulable"
                    } else {
                        "already marked unschedulable"
                    },
                )
            }
            "uncordon" => {
                let changed = node.cordon(false)?;
                (
                    changed,
                    if changed {
                        "marked schedulable"
                    } else {
                        "already marked schedulable"
                    },
                )
            }
            _ => {
                let selectors = self.pod_selectors.as_deref().unwrap_or_default();
                let changed = node.drain(&self.delete_options, selectors)?;
                (
                    changed,
                    if changed {
                        "drained"
                    } else {
                        "already drained"
                    },
                )
            }
        };
        Ok(Outcome::changed(changed).with("result", format!("node {} {said}.", self.name)))
    }
}
