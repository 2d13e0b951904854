//! `helm`, `helm_info` and `helm_repository`: charts on Kubernetes, by the helm of the host.

pub(super) mod info;
pub(super) mod release;
pub(super) mod repository;
#[cfg(test)]
mod tests;

use super::http::Scratch;
use crate::{Arg, Context, Failure, Kind, Output};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Which helm, and which cluster, as a part of the arguments of all three (`#[serde(flatten)]`).
#[derive(Deserialize)]
struct Connection {
    binary_path: Option<String>,
    kubeconfig: Option<Value>,
    context: Option<String>,
    host: Option<String>,
    api_key: Option<String>,
    ca_cert: Option<String>,
    validate_certs: bool,
}

/// The arguments, for specifications.
const CONNECTION: [Arg; 7] = [
    Arg::new(
        "binary_path",
        Kind::Path,
        "The program, if it isn't in PATH.",
    ),
    Arg::new(
        "kubeconfig",
        Kind::Raw,
        "File of the host with the credentials, or its content as a mapping.",
    )
    .aliases(&["kubeconfig_path"]),
    Arg::new("context", Kind::Str, "Context of the file.").aliases(&["kube_context"]),
    Arg::new("host", Kind::Str, "URL of the server."),
    Arg::new("api_key", Kind::Str, "Token."),
    Arg::new("ca_cert", Kind::Path, "Certificates of authorities, PEM.").aliases(&["ssl_ca_cert"]),
    Arg::new(
        "validate_certs",
        Kind::Bool,
        "Check the certificate of the server.",
    )
    .aliases(&["verify_ssl"])
    .default("yes"),
];

/// helm of one task.
struct Helm<'c> {
    cx: &'c Context,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    insecure: bool,
    scratch: Scratch,
}

impl<'c> Helm<'c> {
    /// Credentials go into the environment and files, never into arguments.
    fn new(cx: &'c Context, connection: &Connection) -> Result<Self, Failure> {
        let program = match &connection.binary_path {
            Some(path) => cx.expand(path),
            None => cx.find_program("helm").ok_or_else(|| {
                Failure::new("there is no helm on this host: install it, or give binary_path")
            })?,
        };
        let scratch = Scratch::new()?;
        let path = |path: &String| cx.expand(path).to_string_lossy().into_owned();
        let config = match &connection.kubeconfig {
            None => None,
            Some(Value::String(file)) => Some(path(file)),
            Some(config @ Value::Object(_)) => {
                let file = scratch.file("kubeconfig");
                fs::write(&file, config.to_string())
                    .map_err(|error| Failure::io("cannot write", &file, &error))?;
                Some(file.to_string_lossy().into_owned())
            }
            Some(_) => {
                return Err(Failure::new(
                    "kubeconfig is the path of a file, or a mapping",
                ));
            }
        };
        let environment = [
            ("KUBECONFIG", config),
            ("HELM_KUBECONTEXT", connection.context.clone()),
            ("HELM_KUBEAPISERVER", connection.host.clone()),
            ("HELM_KUBETOKEN", connection.api_key.clone()),
            ("HELM_KUBECAFILE", connection.ca_cert.as_ref().map(path)),
        ];
        Ok(Self {
            cx,
            program,
            environment: environment
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            insecure: !connection.validate_certs,
            scratch,
        })
    }

    fn run(&self, args: &[String], stdin: Option<&str>) -> Result<Output, Failure> {
        let mut process = self.cx.process(&self.program).args(args).system();
        for (name, value) in &self.environment {
            process = process.env(name, value);
        }
        if self.insecure {
            process = process.env("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "true");
        }
        if let Some(text) = stdin {
            process = process.stdin(text.as_bytes().to_vec());
        }
        process.run()
    }

    /// The same; an end with another code than 0 is a failure, in the collection's words.
    fn succeed(&self, args: &[String], stdin: Option<&str>) -> Result<Output, Failure> {
        let output = self.run(args, stdin)?;
        if output.ok() {
            return Ok(output);
        }
        let said = output.stderr_text();
        let message = format!(
            "Failure when executing Helm command. Exited {}.\nstdout: {}\nstderr: {}",
            output.rc,
            output.stdout_text(),
            said
        );
        Err(Failure::new(message)
            .with("rc", output.rc)
            .with("stdout", output.stdout_text())
            .with("stderr", said)
            .with("command", self.line(args)))
    }

    fn line(&self, args: &[String]) -> String {
        let program = self.program.to_string_lossy();
        std::iter::once(&*program)
            .chain(args.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The answer to a command that writes JSON.
    fn json(&self, args: &[String]) -> Result<Value, Failure> {
        let text = self.succeed(args, None)?.stdout_text();
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("helm wrote something that isn't JSON: {error}")))
    }

    /// A release as `helm list` has it, with the values that it was given; `None` when there is none.
    fn status(
        &self,
        name: &str,
        namespace: &str,
        states: &[String],
        all: bool,
    ) -> Result<Option<Value>, Failure> {
        let mut args = strings(&[
            "list",
            "--output=json",
            "--namespace",
            namespace,
            "--filter",
        ]);
        args.push(format!("^{}$", escaped(name)));
        if states.is_empty() {
            args.extend(strings(&[
                "--deployed",
                "--failed",
                "--pending",
                "--superseded",
                "--uninstalled",
            ]));
        }
        args.extend(states.iter().map(|state| format!("--{state}")));
        let list = self.json(&args)?;
        let found = list
            .as_array()
            .into_iter()
            .flatten()
            .find(|release| release["name"] == name);
        let Some(mut release) = found.cloned() else {
            return Ok(None);
        };
        let mut args = strings(&[
            "get",
            "values",
            "--output=json",
            "--namespace",
            namespace,
            name,
        ]);
        if all {
            args.push("--all".to_owned());
        }
        release["values"] = match self.json(&args)? {
            Value::Null => serde_json::json!({}),
            values => values,
        };
        Ok(Some(release))
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Names of releases hold nothing that a regular expression would take for more but dots.
fn escaped(name: &str) -> String {
    name.replace('.', "\\.")
}
