//! `kube`: objects of Kubernetes by kubectl, as kubespray's own module of that name does it.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Kube {
    name: Option<String>,
    filename: Option<Vec<String>>,
    namespace: Option<String>,
    resource: Option<String>,
    label: Option<String>,
    server: Option<String>,
    kubeconfig: Option<String>,
    kubectl: Option<String>,
    force: bool,
    wait: bool,
    all: bool,
    log_level: i64,
    state: String,
    recursive: bool,
}

impl Module for Kube {
    const SPEC: Spec = Spec::new(
        "kube",
        "Applies and deletes objects of Kubernetes with the kubectl of the host. `changed` is always false, as in kubespray.",
        &[
            Arg::new("name", Kind::Str, "Name of an object."),
            Arg::new("filename", Kind::List, "Files with objects.")
                .aliases(&["files", "file", "filenames"]),
            Arg::new("namespace", Kind::Str, "Namespace."),
            Arg::new("resource", Kind::Str, "Kind of the object, as kubectl takes it."),
            Arg::new("label", Kind::Str, "Selector of labels."),
            Arg::new("server", Kind::Str, "URL of the API server."),
            Arg::new("kubeconfig", Kind::Str, "File with the credentials."),
            Arg::new("kubectl", Kind::Str, "The program, if it isn't in PATH."),
            Arg::new("force", Kind::Bool, "Delete without looking first.").default("no"),
            Arg::new("wait", Kind::Bool, "Wait until it is done.").default("no"),
            Arg::new("all", Kind::Bool, "All objects of the resource.").default("no"),
            Arg::new("log_level", Kind::Int, "How much kubectl says.").default("0"),
            Arg::new("state", Kind::Str, "What is to be.")
                .choices(&[
                    "present", "absent", "latest", "reloaded", "stopped", "exists",
                ])
                .default("present"),
            Arg::new("recursive", Kind::Bool, "Also files in directories below.").default("no"),
        ],
    )
    .without_check_mode();

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let lines = match self.state.as_str() {
            "absent" => self.delete(cx)?,
            "exists" => {
                let word = if self.exists(cx)? { "True" } else { "False" };
                return Ok(Outcome::ok().msg(word));
            }
            "stopped" => {
                return Err(Failure::new(
                    "state: stopped isn't supported: kubectl has no such command any more; scale to 0 or use state: absent",
                ));
            }
            _ => self.apply(cx)?,
        };
        Ok(Outcome::ok().msg(format!("success: {}", lines.join(" "))))
    }
}

impl Kube {
    fn apply(&self, cx: &Context) -> Result<Vec<String>, Failure> {
        let files = self
            .files()
            .ok_or_else(|| Failure::new("filename is needed to apply objects"))?;
        let mut args = vec!["apply".to_owned(), "--force".to_owned()];
        if self.wait {
            args.push("--wait".to_owned());
        }
        if self.recursive {
            args.push("--recursive=True".to_owned());
        }
        args.push(files);
        self.call(cx, &args)
    }

    fn delete(&self, cx: &Context) -> Result<Vec<String>, Failure> {
        if !self.force && !self.exists(cx)? {
            return Ok(Vec::new());
        }
        let mut args = vec!["delete".to_owned()];
        args.extend(self.selection("--all")?);
        if self.force && self.files().is_none() {
            args.push("--ignore-not-found".to_owned());
        }
        if self.recursive {
            args.push("--recursive=True".to_owned());
        }
        self.call(cx, &args)
    }

    /// Whether kubectl finds something. Whatever goes wrong there means no, as in kubespray.
    fn exists(&self, cx: &Context) -> Result<bool, Failure> {
        let mut args = vec!["get".to_owned()];
        args.extend(self.selection("--all-namespaces")?);
        if self.recursive && self.files().is_some() {
            args.push("--recursive=True".to_owned());
        }
        args.push("--no-headers".to_owned());
        let output = self.process(cx, &args)?.run()?;
        Ok(output.ok() && !output.stdout.is_empty())
    }

    fn files(&self) -> Option<String> {
        let files = self.filename.as_ref().filter(|files| !files.is_empty())?;
        let files: Vec<&str> = files.iter().map(|file| file.trim()).collect();
        Some(format!("--filename={}", files.join(",")))
    }

    /// Which objects are meant.
    fn selection(&self, all: &str) -> Result<Vec<String>, Failure> {
        if let Some(files) = self.files() {
            return Ok(vec![files]);
        }
        let resource = self
            .resource
            .clone()
            .ok_or_else(|| Failure::new("resource is needed where there is no filename"))?;
        let mut words = vec![resource];
        words.extend(self.name.clone());
        words.extend(
            self.label
                .as_ref()
                .map(|label| format!("--selector={label}")),
        );
        if self.all {
            words.push(all.to_owned());
        }
        Ok(words)
    }

    fn process<'c>(&self, cx: &'c Context, args: &[String]) -> Result<crate::Process<'c>, Failure> {
        let program = match &self.kubectl {
            Some(path) => cx.expand(path),
            None => cx.find_program("kubectl").ok_or_else(|| {
                Failure::new(
                    "there is no kubectl on this host: install it, or give kubectl its path",
                )
            })?,
        };
        let level = (self.log_level != 0).then(|| self.log_level.to_string());
        let options = [
            ("server", &self.server),
            ("kubeconfig", &self.kubeconfig),
            ("v", &level),
            ("namespace", &self.namespace),
        ];
        let given = options
            .into_iter()
            .filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        Ok(cx.process(program).args(given).args(args))
    }

    fn call(&self, cx: &Context, args: &[String]) -> Result<Vec<String>, Failure> {
        let output = self
            .process(cx, args)?
            .run()?
            .check(&format!("error running kubectl {}", args.join(" ")))?;
        Ok(output
            .stdout_text()
            .lines()
            .map(ToOwned::to_owned)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::{Value, json};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A kubectl that writes down what it was asked for, and knows one object.
    fn with_kubectl(args: Value) -> (crate::Outcome, String) {
        let dir = tempfile::tempdir().expect("a directory");
        let (program, log) = (dir.path().join("kubectl"), dir.path().join("log"));
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>{}\ncase \"$*\" in *missing*) echo nothing >&2; exit 1;; esac\necho done $1\n",
            log.display()
        );
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        let mut args = args;
        args["kubectl"] = program.to_string_lossy().into();
        let outcome = run("kube", args);
        (outcome, fs::read_to_string(log).unwrap_or_default())
    }

    #[test]
    fn kubectl_is_called_as_kubespray_calls_it() {
        for (args, called) in [
            (
                json!({"filename": "a.yml, b.yml", "state": "latest", "namespace": "x"}),
                "--namespace=x apply --force --filename=a.yml,b.yml\n",
            ),
            (
                json!({"file": ["a.yml"], "wait": true, "recursive": true, "kubeconfig": "/k", "server": "s", "log_level": 2}),
                "--server=s --kubeconfig=/k --v=2 apply --force --wait --recursive=True --filename=a.yml\n",
            ),
            (
                json!({"resource": "ds", "name": "n", "state": "absent"}),
                "get ds n --no-headers\ndelete ds n\n",
            ),
            (
                json!({"resource": "pod", "label": "a=b", "state": "absent", "force": true, "all": true}),
                "delete pod --selector=a=b --all --ignore-not-found\n",
            ),
            (
                json!({"resource": "ds", "name": "missing", "state": "absent"}),
                "get ds missing --no-headers\n",
            ),
        ] {
            let (outcome, log) = with_kubectl(args.clone());
            assert!(!outcome.failed && !outcome.changed, "{args}: {outcome:?}");
            assert_eq!(log, called, "{args}");
        }
    }

    #[test]
    fn answers_and_failures() {
        let (outcome, _) = with_kubectl(json!({"resource": "ds", "name": "n", "state": "exists"}));
        assert_eq!(outcome.data["msg"], "True");
        let (outcome, _) = with_kubectl(json!({"filename": "missing.yml"}));
        assert!(outcome.failed, "{outcome:?}");
        assert_eq!(
            (&outcome.data["rc"], &outcome.data["stderr"]),
            (&json!(1), &json!("nothing\n"))
        );
        let (outcome, log) = with_kubectl(json!({"state": "latest"}));
        assert!(outcome.failed && log.is_empty());
        assert!(check("kube", json!({"filename": "a"})).skipped);
    }
}
