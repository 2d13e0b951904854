//! `helm`: a release of a chart.

use super::{CONNECTION, Connection, Helm, strings};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Rule, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are those of the collection's module"
)]
pub struct HelmRelease {
    release_name: String,
    release_namespace: String,
    release_state: String,
    chart_ref: Option<String>,
    chart_repo_url: Option<String>,
    chart_version: Option<String>,
    #[serde(default)]
    release_values: Map<String, Value>,
    values_files: Option<Vec<String>>,
    set_values: Option<Vec<SetValue>>,
    update_repo_cache: bool,
    create_namespace: bool,
    atomic: bool,
    wait: bool,
    wait_timeout: Option<Value>,
    timeout: Option<String>,
    force: bool,
    purge: bool,
    replace: bool,
    disable_hook: bool,
    dependency_update: bool,
    skip_crds: bool,
    history_max: Option<u64>,
    post_renderer: Option<String>,
    insecure_skip_tls_verify: bool,
    reset_values: bool,
    reuse_values: Option<bool>,
    reset_then_reuse_values: bool,
    #[serde(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct SetValue {
    value: String,
    #[serde(default = "raw")]
    value_type: String,
}

fn raw() -> String {
    "raw".to_owned()
}

const fn flag(name: &'static str, doc: &'static str) -> Arg {
    Arg::new(name, Kind::Bool, doc).default("no")
}

const OWN: [Arg; 27] = [
    Arg::new("release_name", Kind::Str, "The release.")
        .aliases(&["name"])
        .required(),
    Arg::new("release_namespace", Kind::Str, "Its namespace.")
        .aliases(&["namespace"])
        .required(),
    Arg::new("release_state", Kind::Str, "Whether it is there.")
        .aliases(&["state"])
        .choices(&["absent", "present"])
        .default("present"),
    Arg::new(
        "chart_ref",
        Kind::Path,
        "The chart: REPOSITORY/NAME, a URL, or a path of the host. Needed where it is present.",
    ),
    Arg::new(
        "chart_repo_url",
        Kind::Str,
        "URL of the chart's repository, when helm doesn't know it.",
    ),
    Arg::new("chart_version", Kind::Str, "Version of the chart."),
    Arg::new("release_values", Kind::Dict, "Values for the chart.").aliases(&["values"]),
    Arg::new("values_files", Kind::List, "Files of the host with values."),
    Arg::new(
        "set_values",
        Kind::List,
        "Single values: value (a.b=c), value_type (raw, string, json, file).",
    )
    .of(Kind::Dict),
    flag(
        "update_repo_cache",
        "Ask the repositories for new charts first.",
    ),
    flag("create_namespace", "Make the namespace."),
    flag("atomic", "Take back what fails."),
    flag("wait", "Wait until everything runs, or is gone."),
    Arg::new(
        "wait_timeout",
        Kind::Raw,
        "How long, as 5m; old, for timeout.",
    ),
    Arg::new("timeout", Kind::Str, "How long, as 5m."),
    flag(
        "force",
        "Replace what can't be changed; go on although nothing differs.",
    ),
    Arg::new("purge", Kind::Bool, "With state absent: keep no history.").default("yes"),
    flag("replace", "Use the name of a removed release again."),
    flag("disable_hook", "Without hooks."),
    flag("dependency_update", "Fetch what the chart depends on.").aliases(&["dep_up"]),
    flag("skip_crds", "Without definitions of kinds."),
    Arg::new("history_max", Kind::Int, "How many revisions are kept."),
    Arg::new(
        "post_renderer",
        Kind::Str,
        "A program that changes what is rendered.",
    ),
    flag(
        "insecure_skip_tls_verify",
        "Don't check the certificate of the chart's server.",
    )
    .aliases(&["skip_tls_certs_check"]),
    Arg::new("reset_values", Kind::Bool, "Begin with the chart's values.").default("yes"),
    Arg::new(
        "reuse_values",
        Kind::Bool,
        "Begin with the last release's values.",
    ),
    flag(
        "reset_then_reuse_values",
        "Begin with the chart's values and the last release's over them.",
    ),
];

impl Module for HelmRelease {
    const SPEC: Spec = Spec::new(
        "helm",
        "Keeps a release of a chart, by the helm 3 of the host. A change is another chart, version or value. Returns status, command, stdout, stderr. Tested with a stand-in for helm.",
        &join::<27, 7, 34>(OWN, CONNECTION),
    )
    .rules(&[
        Rule::If("release_state", "present", &["chart_ref"]),
        Rule::Exclusive(&["context", "ca_cert"]),
        Rule::Exclusive(&["replace", "history_max"]),
    ]);

    fn run(mut self, cx: &Context) -> Result<Outcome, Failure> {
        let chart = self.chart_ref.map(|chart| cx.expand(&chart));
        self.chart_ref = chart.map(|chart| chart.to_string_lossy().into_owned());
        let helm = Helm::new(cx, &self.connection)?;
        if self.update_repo_cache && !cx.check() {
            helm.succeed(&strings(&["repo", "update"]), None)?;
        }
        let before = helm.status(&self.release_name, &self.release_namespace, &[], false)?;
        if self.release_state == "absent" {
            return self.remove(cx, &helm, before.as_ref());
        }
        let chart = self.chart(&helm)?;
        if let Some(release) = before
            .as_ref()
            .filter(|release| release["status"] != "uninstalled")
        {
            let same = !self.force && release["status"] == "deployed" && self.same(release, &chart);
            if same {
                return Ok(Outcome::ok()
                    .with("status", release.clone())
                    .with("stdout", "")
                    .with("stderr", ""));
            }
        }
        let args = self.deployment(cx, &helm)?;
        if cx.check() {
            let wanted = json!({
                "name": self.release_name, "namespace": self.release_namespace, "values": self.release_values,
                "chart": format!("{}-{}", chart["name"].as_str().unwrap_or_default(), chart["version"].as_str().unwrap_or_default()),
                "appversion": chart["appVersion"], "status": "deployed",
            });
            return Ok(Outcome::changed(true)
                .with("status", wanted)
                .with("command", helm.line(&args)));
        }
        let output = helm.succeed(&args, None)?;
        let after = helm.status(&self.release_name, &self.release_namespace, &[], false)?;
        Ok(Outcome::changed(true)
            .with("status", after.unwrap_or_default())
            .with("stdout", output.stdout_text())
            .with("stderr", output.stderr_text())
            .with("command", helm.line(&args)))
    }
}

impl HelmRelease {
    fn remove(
        &self,
        cx: &Context,
        helm: &Helm<'_>,
        before: Option<&Value>,
    ) -> Result<Outcome, Failure> {
        let there = before.is_some_and(|release| release["status"] != "uninstalled" || self.purge);
        if !there {
            return Ok(Outcome::ok());
        }
        let mut args = strings(&["uninstall", "--namespace", &self.release_namespace]);
        for (wanted, option) in [
            (!self.purge, "--keep-history"),
            (self.disable_hook, "--no-hooks"),
            (self.wait, "--wait"),
        ] {
            if wanted {
                args.push(option.to_owned());
            }
        }
        args.extend(self.timeout().map(|time| format!("--timeout={time}")));
        args.push(self.release_name.clone());
        if cx.check() {
            return Ok(Outcome::changed(true).with("command", helm.line(&args)));
        }
        let output = helm.succeed(&args, None)?;
        Ok(Outcome::changed(true)
            .with("stdout", output.stdout_text())
            .with("stderr", output.stderr_text())
            .with("command", helm.line(&args)))
    }

    fn timeout(&self) -> Option<String> {
        let old = || match self.wait_timeout.as_ref()? {
            // Helm 2 counted seconds.
            Value::Number(seconds) => Some(format!("{seconds}s")),
            other => other.as_str().map(ToOwned::to_owned),
        };
        self.timeout.clone().or_else(old)
    }

    /// `Chart.yaml`, of which name and versions count.
    fn chart(&self, helm: &Helm<'_>) -> Result<Value, Failure> {
        let mut args = strings(&["show", "chart"]);
        args.push(self.chart_ref.clone().unwrap_or_default());
        args.extend(self.source());
        let text = helm.succeed(&args, None)?.stdout_text();
        let field = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        Ok(
            json!({"name": field("name"), "version": field("version"), "appVersion": field("appVersion")}),
        )
    }

    fn source(&self) -> Vec<String> {
        let options = [
            ("repo", &self.chart_repo_url),
            ("version", &self.chart_version),
        ];
        let given = options
            .into_iter()
            .filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        let insecure = self
            .insecure_skip_tls_verify
            .then(|| "--insecure-skip-tls-verify".to_owned());
        given.chain(insecure).collect()
    }

    /// Whether the release has this chart and these values. Values in files and single ones can't be compared.
    fn same(&self, release: &Value, chart: &Value) -> bool {
        let text = |name: &str| chart[name].as_str().unwrap_or_default();
        let named = format!("{}-{}", text("name"), text("version"));
        let only_here = self.values_files.as_ref().is_none_or(Vec::is_empty)
            && self.set_values.as_ref().is_none_or(Vec::is_empty);
        let values = &release["values"];
        let reused = self.reuse_values == Some(true) || self.reset_then_reuse_values;
        let equal = if reused {
            contains(values, &Value::Object(self.release_values.clone()))
        } else {
            *values == Value::Object(self.release_values.clone())
        };
        release["chart"] == named.as_str() && only_here && equal
    }

    fn deployment(&self, cx: &Context, helm: &Helm<'_>) -> Result<Vec<String>, Failure> {
        let mut args = if self.replace {
            strings(&["install", "--replace"])
        } else {
            strings(&["upgrade", "--install"])
        };
        args.extend(strings(&["--namespace", &self.release_namespace]));
        let upgrade = !self.replace;
        for (wanted, option) in [
            (self.create_namespace, "--create-namespace"),
            (self.atomic, "--atomic"),
            (self.wait, "--wait"),
            (self.force, "--force"),
            (self.disable_hook, "--no-hooks"),
            (self.dependency_update, "--dependency-update"),
            (self.skip_crds, "--skip-crds"),
            (upgrade && self.reuse_values == Some(true), "--reuse-values"),
            (
                upgrade && self.reset_then_reuse_values,
                "--reset-then-reuse-values",
            ),
            (
                upgrade
                    && self.reset_values
                    && self.reuse_values != Some(true)
                    && !self.reset_then_reuse_values,
                "--reset-values",
            ),
        ] {
            if wanted {
                args.push(option.to_owned());
            }
        }
        args.extend(self.timeout().map(|time| format!("--timeout={time}")));
        args.extend(
            self.history_max
                .map(|count| format!("--history-max={count}")),
        );
        args.extend(
            self.post_renderer
                .as_ref()
                .map(|path| format!("--post-renderer={path}")),
        );
        args.extend(self.source());
        for file in self.values_files.iter().flatten() {
            args.push(format!("--values={}", cx.expand(file).display()));
        }
        if !self.release_values.is_empty() {
            // JSON is YAML; the file is gone with the task.
            let file = helm.scratch.file("values.yml");
            fs::write(
                &file,
                Value::Object(self.release_values.clone()).to_string(),
            )
            .map_err(|error| Failure::io("cannot write", &file, &error))?;
            args.push(format!("--values={}", file.display()));
        }
        for set in self.set_values.iter().flatten() {
            let option = match set.value_type.as_str() {
                "raw" => "--set",
                "string" => "--set-string",
                "json" => "--set-json",
                "file" => "--set-file",
                other => {
                    return Err(Failure::new(format!(
                        "value_type is raw, string, json or file; got {other:?}"
                    )));
                }
            };
            args.push(format!("{option}={}", set.value));
        }
        args.push(self.release_name.clone());
        args.push(self.chart_ref.clone().unwrap_or_default());
        Ok(args)
    }
}

/// Whether everything of `part` is in `whole`.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|is| contains(is, value))),
        _ => whole == part,
    }
}
