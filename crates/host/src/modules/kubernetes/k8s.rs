//! `k8s`: objects of Kubernetes as they are to be.

use super::client::{self, Connection, Kubectl, parsed};
use super::wait::{self, Wait};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Output, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
pub struct K8s {
    state: String,
    resource_definition: Option<Value>,
    kind: Option<String>,
    api_version: String,
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    apply: bool,
    server_side_apply: Option<Map<String, Value>>,
    force: bool,
    merge_type: Option<Vec<String>>,
    delete_all: bool,
    delete_options: Option<Map<String, Value>>,
    label_selectors: Option<Vec<String>>,
    continue_on_error: bool,
    hidden_fields: Option<Vec<String>>,
    append_hash: bool,
    validate: Option<Map<String, Value>>,
    #[serde(flatten)]
    wait: Wait,
    #[serde(flatten)]
    connection: Connection,
}

const OWN: [Arg; 19] = [
    Arg::new(
        "state",
        Kind::Str,
        "There as it is defined (present), changed if it is there (patched), not there (absent).",
    )
    .choices(&["absent", "present", "patched"])
    .default("present"),
    Arg::new(
        "resource_definition",
        Kind::Raw,
        "The object, or a list of them: a mapping, or YAML as text.",
    )
    .aliases(&["definition", "inline"]),
    Arg::new(
        "src",
        Kind::Path,
        "A file of the controller with the objects.",
    ),
    Arg::new(
        "template",
        Kind::Raw,
        "A template of the controller with the objects, or a list of them; also a mapping with path.",
    ),
    Arg::new(
        "kind",
        Kind::Str,
        "Kind of the object, without a definition.",
    ),
    Arg::new(
        "api_version",
        Kind::Str,
        "Its version of the API, with the group: apps/v1.",
    )
    .aliases(&["api", "version"])
    .default("v1"),
    Arg::new("name", Kind::Str, "Its name."),
    Arg::new(
        "generate_name",
        Kind::Str,
        "The beginning of a name that the server makes.",
    ),
    Arg::new(
        "namespace",
        Kind::Str,
        "Its namespace, where the definition has none.",
    ),
    Arg::new(
        "apply",
        Kind::Bool,
        "Compare with what was applied last, as kubectl apply.",
    )
    .default("no"),
    Arg::new(
        "server_side_apply",
        Kind::Dict,
        "With apply: by the server; field_manager, force_conflicts.",
    ),
    Arg::new(
        "force",
        Kind::Bool,
        "Replace the object instead of changing it.",
    )
    .default("no"),
    Arg::new(
        "merge_type",
        Kind::List,
        "How it is changed; several are tried in turn: strategic-merge and then merge if not said.",
    )
    .choices(&["merge", "strategic-merge"]),
    Arg::new(
        "delete_all",
        Kind::Bool,
        "With state absent: all objects of the kind in the namespace.",
    )
    .aliases(&["all"])
    .default("no"),
    Arg::new(
        "delete_options",
        Kind::Dict,
        "gracePeriodSeconds, propagationPolicy. Not preconditions, which kubectl doesn't know.",
    ),
    Arg::new(
        "label_selectors",
        Kind::List,
        "Only definitions with these labels (key=value, key!=value, key, !key).",
    ),
    Arg::new(
        "continue_on_error",
        Kind::Bool,
        "Go on with the next object when one fails.",
    )
    .default("no"),
    Arg::new(
        "hidden_fields",
        Kind::List,
        "Fields to leave out of the result, as metadata.managedFields.",
    ),
    Arg::new(
        "append_hash",
        Kind::Bool,
        "Isn't supported: put a hash of the data into the name.",
    )
    .default("no"),
];

impl Module for K8s {
    const SPEC: Spec = Spec::new(
        "k8s",
        "Creates, changes and removes objects of Kubernetes by the kubectl of the host. Returns result, with method; of several objects result.results. Tested with a stand-in for kubectl.",
        &join::<20, 21, 41>(
            join::<19, 1, 20>(OWN, [Arg::new("validate", Kind::Dict, "fail_on_error: the server refuses unknown fields. Not version.")]),
            join::<4, 17, 21>(wait::ARGS, client::ARGS),
        ),
    )
    .rules(&[
        Rule::Exclusive(&["resource_definition", "src", "template"]),
        Rule::Exclusive(&["merge_type", "apply"]),
        Rule::Exclusive(&["name", "generate_name"]),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        self.refuse()?;
        let kubectl = Kubectl::new(cx, &self.connection)?;
        if self.delete_all && self.state == "absent" && self.resource_definition.is_none() {
            return self.delete_all(cx, &kubectl);
        }
        let objects: Vec<Value> = self
            .objects()?
            .into_iter()
            .filter(|object| self.selected(object))
            .collect();
        let several = objects.len() != 1;
        let mut changed = false;
        let mut failed = Vec::new();
        let mut results = Vec::new();
        let mut diffs = Vec::new();
        for object in &objects {
            match self.one(cx, &kubectl, object) {
                Ok(done) => {
                    changed |= done.changed;
                    if cx.diff() && done.changed {
                        diffs.push(json!({"before": done.before, "after": done.result}));
                    }
                    results.push((done.method, done.changed, done.result, done.duration));
                }
                Err(failure) if self.continue_on_error && several => failed.push(failure.message),
                Err(failure) => return Err(failure.with("changed", changed)),
            }
        }
        if !failed.is_empty() {
            return Err(Failure::new(failed.join("; ")).with("changed", changed));
        }
        let mut outcome = Outcome::changed(changed);
        if !diffs.is_empty() {
            outcome = outcome.with(
                "diff",
                if several {
                    json!(diffs)
                } else {
                    diffs.remove(0)
                },
            );
        }
        if several {
            let each = |(method, changed, result, _): (&str, bool, Value, Option<u64>)| json!({"changed": changed, "method": method, "result": result});
            let all: Vec<Value> = results.into_iter().map(each).collect();
            return Ok(outcome.with("result", json!({"results": all})));
        }
        let (method, _, result, duration) = results.remove(0);
        outcome = outcome.with("method", method).with("result", result);
        Ok(match duration {
            Some(seconds) => outcome.with("duration", seconds),
            None => outcome,
        })
    }
}

/// What became of one object.
struct Done {
    changed: bool,
    method: &'static str,
    before: Value,
    result: Value,
    duration: Option<u64>,
}

impl K8s {
    fn refuse(&self) -> Result<(), Failure> {
        if self.append_hash {
            return Err(Failure::new(
                "append_hash isn't supported: put a hash of the data into the name (the filter hash)",
            ));
        }
        let preconditions = self
            .delete_options
            .as_ref()
            .is_some_and(|all| all.contains_key("preconditions"));
        if preconditions {
            return Err(Failure::new(
                "delete_options.preconditions isn't supported: kubectl doesn't know it",
            ));
        }
        if self
            .validate
            .as_ref()
            .is_some_and(|all| all.contains_key("version"))
        {
            return Err(Failure::new(
                "validate.version isn't supported: the server validates with its own version",
            ));
        }
        Ok(())
    }

    /// All objects that are defined, lists taken apart.
    fn objects(&self) -> Result<Vec<Value>, Failure> {
        let given = match &self.resource_definition {
            Some(Value::Array(items)) => items.clone(),
            Some(object @ Value::Object(_)) => vec![object.clone()],
            Some(_) => {
                return Err(Failure::new(
                    "resource_definition is a mapping, a list of mappings, or YAML of them",
                ));
            }
            None => vec![self.named()?],
        };
        let mut objects = Vec::new();
        for object in given.into_iter().filter(|object| !object.is_null()) {
            let is_list = object["kind"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("List"));
            match object["items"].as_array().filter(|_| is_list) {
                Some(items) => objects.extend(items.clone()),
                None => objects.push(object),
            }
        }
        for object in &mut objects {
            self.complete(object)?;
        }
        Ok(objects)
    }

    fn named(&self) -> Result<Value, Failure> {
        let (Some(kind), true) = (
            &self.kind,
            self.name.is_some() || self.generate_name.is_some(),
        ) else {
            return Err(Failure::new(
                "what object? give resource_definition, src, template, or kind with name",
            ));
        };
        Ok(json!({"apiVersion": self.api_version, "kind": kind, "metadata": {}}))
    }

    /// Adds what the arguments say and the definition doesn't.
    fn complete(&self, object: &mut Value) -> Result<(), Failure> {
        if !object.is_object() {
            return Err(Failure::new(format!("{object} is no object of Kubernetes")));
        }
        for (key, value) in [
            ("kind", &self.kind),
            ("apiVersion", &Some(self.api_version.clone())),
        ] {
            if object[key].is_null() {
                object[key] = value.as_deref().map_or(Value::Null, Into::into);
            }
        }
        for (key, value) in [("name", &self.name), ("generateName", &self.generate_name)] {
            let unnamed = object["metadata"]["name"].is_null()
                && object["metadata"]["generateName"].is_null();
            if let Some(value) = value.as_ref().filter(|_| unnamed) {
                object["metadata"][key] = value.as_str().into();
            }
        }
        Ok(())
    }

    fn selected(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let holds = |selector: &str| -> bool {
            let has = |key: &str| labels.get(key.trim()).is_some();
            let is = |key: &str, value: &str| labels[key.trim()] == value.trim();
            if let Some((key, value)) = selector.split_once("!=") {
                return !is(key, value);
            }
            if let Some((key, value)) = selector.split_once('=') {
                return is(key, value.trim_start_matches('='));
            }
            match selector.trim().strip_prefix('!') {
                Some(key) => !has(key),
                None => has(selector),
            }
        };
        let all = self.label_selectors.iter().flatten();
        all.flat_map(|selectors| selectors.split(',')).all(holds)
    }

    /// The namespace, for an object that says none.
    fn namespace<'s>(&'s self, object: &Value) -> Vec<&'s str> {
        match &self.namespace {
            Some(namespace) if object["metadata"]["namespace"].is_null() => {
                vec!["--namespace", namespace]
            }
            _ => Vec::new(),
        }
    }

    fn one(&self, cx: &Context, kubectl: &Kubectl<'_>, object: &Value) -> Result<Done, Failure> {
        let namespace = self.namespace(object);
        let before = if object["metadata"]["name"].is_null() {
            None
        } else {
            kubectl.get(object, &namespace)?
        };
        let mut done = match (self.state.as_str(), before) {
            ("absent", None) => Done::unchanged("delete", json!({})),
            ("absent", Some(before)) => self.delete(cx, kubectl, object, before, &namespace)?,
            ("patched", None) => {
                cx.warn(format!(
                    "state: patched: there is no {} {} to change",
                    object["kind"], object["metadata"]["name"]
                ));
                Done::unchanged("patch", json!({}))
            }
            ("patched", Some(before)) => self.patch(cx, kubectl, object, before, &namespace)?,
            (_, before) if self.apply => {
                let mut args = vec!["apply"];
                args.extend(self.apply_options());
                self.write(cx, kubectl, object, before, &namespace, "apply", &args)?
            }
            (_, None) => {
                self.write(cx, kubectl, object, None, &namespace, "create", &["create"])?
            }
            (_, Some(before)) if self.force => self.write(
                cx,
                kubectl,
                object,
                Some(before),
                &namespace,
                "replace",
                &["replace"],
            )?,
            (_, Some(before)) => self.patch(cx, kubectl, object, before, &namespace)?,
        };
        let present = self.state != "absent";
        if !object["metadata"]["name"].is_null()
            && let Some((now, seconds)) =
                self.wait.wait(cx, kubectl, object, &namespace, present)?
        {
            done.duration = Some(seconds);
            if present {
                done.result = now;
            }
        }
        hide(
            &mut done.result,
            self.hidden_fields.as_deref().unwrap_or_default(),
        );
        Ok(done)
    }

    fn apply_options(&self) -> Vec<&str> {
        let Some(how) = &self.server_side_apply else {
            return Vec::new();
        };
        let mut options = vec!["--server-side"];
        if let Some(manager) = how.get("field_manager").and_then(Value::as_str) {
            options.extend(["--field-manager", manager]);
        }
        if how.get("force_conflicts") == Some(&Value::Bool(true)) {
            options.push("--force-conflicts");
        }
        options
    }

    /// Hands the definition to a command of kubectl that writes it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one object's whole way, in one place"
    )]
    fn write(
        &self,
        cx: &Context,
        kubectl: &Kubectl<'_>,
        object: &Value,
        before: Option<Value>,
        namespace: &[&str],
        method: &'static str,
        command: &[&str],
    ) -> Result<Done, Failure> {
        let mut args = [command, &["-f", "-", "-o", "json"], namespace].concat();
        if cx.check() {
            args.push("--dry-run=server");
        }
        if let Some(validate) = &self.validate {
            let strict = validate.get("fail_on_error") == Some(&Value::Bool(true));
            args.push(if strict {
                "--validate=strict"
            } else {
                "--validate=warn"
            });
        }
        let output = kubectl
            .run_with(object, &args)?
            .check(&format!("kubectl {method} failed"))?;
        Done::compared(method, before, &output)
    }

    fn patch(
        &self,
        cx: &Context,
        kubectl: &Kubectl<'_>,
        object: &Value,
        before: Value,
        namespace: &[&str],
    ) -> Result<Done, Failure> {
        let types: Vec<&str> = match &self.merge_type {
            Some(types) => types
                .iter()
                .map(|kind| kind.trim_end_matches("-merge"))
                .collect(),
            None => vec!["strategic", "merge"],
        };
        let patch = kubectl.file("patch", object)?;
        let file = format!("--patch-file={patch}");
        let mut last = None;
        for kind in types {
            let kind = format!("--type={kind}");
            let mut args = [&["patch", "-f", "-", "-o", "json", &kind, &file], namespace].concat();
            if cx.check() {
                args.push("--dry-run=server");
            }
            let output = kubectl.run_with(object, &args)?;
            if output.ok() {
                return Done::compared("patch", Some(before), &output);
            }
            // Objects of other people's kinds know no strategic merge.
            let unsupported = output.stderr_text().contains("not supported")
                || output.stderr_text().contains("UnsupportedMediaType");
            last = Some(output);
            if !unsupported {
                break;
            }
        }
        let failure = last.map(|output| output.check("kubectl patch failed"));
        match failure {
            Some(Err(failure)) => Err(failure),
            _ => Err(Failure::new("merge_type is empty")),
        }
    }

    fn delete(
        &self,
        cx: &Context,
        kubectl: &Kubectl<'_>,
        object: &Value,
        before: Value,
        namespace: &[&str],
    ) -> Result<Done, Failure> {
        if !cx.check() {
            let options = self.delete_options();
            let mut args = vec!["delete", "-f", "-", "--ignore-not-found", "--wait=false"];
            args.extend(options.iter().map(String::as_str));
            args.extend(namespace);
            kubectl
                .run_with(object, &args)?
                .check("kubectl delete failed")?;
        }
        Ok(Done {
            changed: true,
            method: "delete",
            before,
            result: json!({}),
            duration: None,
        })
    }

    fn delete_options(&self) -> Vec<String> {
        let of = |name: &str| self.delete_options.as_ref().and_then(|all| all.get(name));
        let grace = of("gracePeriodSeconds").map(|seconds| format!("--grace-period={seconds}"));
        let cascade = of("propagationPolicy")
            .and_then(Value::as_str)
            .map(|policy| format!("--cascade={}", policy.to_lowercase()));
        grace.into_iter().chain(cascade).collect()
    }

    fn delete_all(&self, cx: &Context, kubectl: &Kubectl<'_>) -> Result<Outcome, Failure> {
        let kind = self
            .kind
            .as_deref()
            .ok_or_else(|| Failure::new("delete_all needs kind"))?;
        let (group, version) = self
            .api_version
            .rsplit_once('/')
            .unwrap_or(("", &self.api_version));
        let kind = format!("{kind}.{version}.{group}");
        let mut selection = vec![kind.as_str()];
        if let Some(namespace) = &self.namespace {
            selection.extend(["--namespace", namespace]);
        }
        let labels = self.label_selectors.as_ref().map(|all| all.join(","));
        if let Some(labels) = labels.as_deref().filter(|text| !text.is_empty()) {
            selection.extend(["--selector", labels]);
        }
        let get = [
            &["get", "-o", "name", "--ignore-not-found"],
            selection.as_slice(),
        ]
        .concat();
        let there = kubectl.run(&get)?.check("kubectl can't list the objects")?;
        let changed = !there.stdout_text().trim().is_empty();
        if changed && !cx.check() {
            let options = self.delete_options();
            let mut args = [&["delete", "--ignore-not-found"], selection.as_slice()].concat();
            if labels.is_none() {
                args.push("--all");
            }
            args.extend(options.iter().map(String::as_str));
            kubectl.run(&args)?.check("kubectl delete failed")?;
        }
        let names: Vec<String> = there.stdout_text().lines().map(ToOwned::to_owned).collect();
        Ok(Outcome::changed(changed)
            .with("method", "delete")
            .with("result", json!({"items": names})))
    }
}

impl Done {
    fn unchanged(method: &'static str, result: Value) -> Self {
        Self {
            changed: false,
            method,
            before: json!({}),
            result,
            duration: None,
        }
    }

    /// The object that kubectl wrote, compared with the one before.
    fn compared(
        method: &'static str,
        before: Option<Value>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let result = parsed(&output.stdout_text())?;
        let changed = match &before {
            Some(before) => settled(before) != settled(&result),
            None => true,
        };
        Ok(Self {
            changed,
            method,
            before: before.unwrap_or(json!({})),
            result,
            duration: None,
        })
    }
}

/// An object without what the server writes of itself.
fn settled(object: &Value) -> Value {
    let mut object = object.clone();
    hide(
        &mut object,
        &[
            "metadata.resourceVersion",
            "metadata.managedFields",
            "metadata.generation",
            "status",
        ]
        .map(ToOwned::to_owned),
    );
    object
}

/// Takes fields away, named as `metadata.managedFields`.
pub(super) fn hide(object: &mut Value, fields: &[String]) {
    for field in fields {
        let (path, last) = field.rsplit_once('.').unwrap_or(("", field));
        let keys = path.split('.').filter(|key| !key.is_empty());
        let pointer: String = keys.map(|key| format!("/{key}")).collect();
        if let Some(Value::Object(map)) = object.pointer_mut(&pointer) {
            map.remove(last);
        }
    }
}
