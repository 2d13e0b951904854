//! `k8s_info`: objects of Kubernetes.

use super::client::{self, Connection, Kubectl, parsed};
use super::k8s::hide;
use super::wait::{self, Wait};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub struct Info {
    kind: String,
    api_version: String,
    name: Option<String>,
    namespace: Option<String>,
    label_selectors: Option<Vec<String>>,
    field_selectors: Option<Vec<String>>,
    hidden_fields: Option<Vec<String>>,
    #[serde(flatten)]
    wait: Wait,
    #[serde(flatten)]
    connection: Connection,
}

impl Module for Info {
    const SPEC: Spec = Spec::new(
        "k8s_info",
        "Finds objects of Kubernetes by the kubectl of the host. Returns resources and api_found. Tested with a stand-in for kubectl.",
        &join::<7, 21, 28>(
            [
                Arg::new("kind", Kind::Str, "Kind of the objects.").required(),
                Arg::new(
                    "api_version",
                    Kind::Str,
                    "Version of the API, with its group: apps/v1.",
                )
                .aliases(&["api", "version"])
                .default("v1"),
                Arg::new("name", Kind::Str, "Name of one object."),
                Arg::new(
                    "namespace",
                    Kind::Str,
                    "Namespace; all of them if not said, unless name is.",
                ),
                Arg::new(
                    "label_selectors",
                    Kind::List,
                    "Only objects with these labels.",
                ),
                Arg::new(
                    "field_selectors",
                    Kind::List,
                    "Only objects with these fields.",
                ),
                Arg::new(
                    "hidden_fields",
                    Kind::List,
                    "Fields to leave out, as metadata.managedFields.",
                ),
            ],
            join::<4, 17, 21>(wait::ARGS, client::ARGS),
        ),
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let kubectl = Kubectl::new(cx, &self.connection)?;
        let kind = self.qualified();
        let mut args = vec![
            "get",
            &kind,
            "-o",
            "json",
            "--show-managed-fields=true",
            "--ignore-not-found",
        ];
        match (&self.namespace, &self.name) {
            (Some(namespace), _) => args.extend(["--namespace", namespace]),
            (None, None) => args.push("--all-namespaces"),
            (None, Some(_)) => {}
        }
        let labels = self
            .label_selectors
            .as_ref()
            .map(|all| all.join(","))
            .filter(|text| !text.is_empty());
        let fields = self
            .field_selectors
            .as_ref()
            .map(|all| all.join(","))
            .filter(|text| !text.is_empty());
        let field_of_name = self
            .name
            .as_ref()
            .map(|name| format!("metadata.name={name}"));
        let fields: Vec<String> = fields.into_iter().chain(field_of_name).collect();
        let fields = fields.join(",");
        if let Some(labels) = &labels {
            args.extend(["--selector", labels]);
        }
        if !fields.is_empty() {
            args.extend(["--field-selector", &fields]);
        }
        let output = kubectl.run(&args)?;
        let said = output.stderr_text();
        if !output.ok()
            && (said.contains("doesn't have a resource type")
                || said.contains("no matches for kind"))
        {
            return Ok(Outcome::ok()
                .with("api_found", false)
                .with("resources", json!([]))
                .msg(format!(
                    "Failed to find API for resource with apiVersion \"{}\" and kind \"{}\"",
                    self.api_version, self.kind
                )));
        }
        let text = output.check("kubectl can't get the objects")?.stdout_text();
        let mut objects = if text.trim().is_empty() {
            Vec::new()
        } else {
            items(parsed(&text)?)
        };
        let namespace: Vec<&str> = self
            .namespace
            .iter()
            .flat_map(|name| ["--namespace", name.as_str()])
            .collect();
        for object in &mut objects {
            let own: &[&str] = if object["metadata"]["namespace"].is_null() {
                &namespace
            } else {
                &[]
            };
            if let Some((now, _)) = self.wait.wait(cx, &kubectl, object, own, true)? {
                *object = now;
            }
            hide(object, self.hidden_fields.as_deref().unwrap_or_default());
        }
        Ok(Outcome::ok()
            .with("api_found", true)
            .with("resources", objects))
    }
}

impl Info {
    /// `Deployment.v1.apps`, by which kubectl knows kind, version and group; the core group has no name.
    fn qualified(&self) -> String {
        let (group, version) = self
            .api_version
            .rsplit_once('/')
            .unwrap_or(("", &self.api_version));
        format!("{}.{version}.{group}", self.kind)
    }
}

/// The objects of a list, or the one that it is.
fn items(mut value: Value) -> Vec<Value> {
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => vec![value],
    }
}
