//! kubectl, with the credentials of a task.

use crate::modules::http::Scratch;
use crate::{Arg, Context, Failure, Kind, Output, Process};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How the server is reached, as a part of the arguments of a module (`#[serde(flatten)]`).
#[derive(Deserialize, Default)]
pub(super) struct Connection {
    kubectl: Option<String>,
    kubeconfig: Option<Value>,
    context: Option<String>,
    host: Option<String>,
    api_key: Option<String>,
    username: Option<String>,
    password: Option<String>,
    ca_cert: Option<String>,
    client_cert: Option<String>,
    client_key: Option<String>,
    validate_certs: Option<bool>,
    impersonate_user: Option<String>,
    impersonate_groups: Option<Vec<String>>,
    proxy: Option<String>,
    no_proxy: Option<String>,
    proxy_headers: Option<Value>,
}

/// The arguments, for specifications.
pub(super) const ARGS: [Arg; 17] = [
    Arg::new("kubectl", Kind::Path, "The program, if it isn't in PATH."),
    Arg::new(
        "kubeconfig",
        Kind::Raw,
        "File of the host with the credentials, or its content as a mapping. Not said: what kubectl finds itself.",
    ),
    Arg::new("context", Kind::Str, "Context of the file."),
    Arg::new("host", Kind::Str, "URL of the server."),
    Arg::new("api_key", Kind::Str, "Token; needs host."),
    Arg::new("username", Kind::Str, "User; needs host."),
    Arg::new("password", Kind::Str, "Password; needs host."),
    Arg::new("ca_cert", Kind::Path, "Certificates of authorities, PEM.").aliases(&["ssl_ca_cert"]),
    Arg::new("client_cert", Kind::Path, "Certificate of the client, PEM.").aliases(&["cert_file"]),
    Arg::new("client_key", Kind::Path, "Key of the client, PEM.").aliases(&["key_file"]),
    Arg::new(
        "validate_certs",
        Kind::Bool,
        "Check the certificate of the server.",
    )
    .aliases(&["verify_ssl"]),
    Arg::new("impersonate_user", Kind::Str, "Ask as this user."),
    Arg::new("impersonate_groups", Kind::List, "Ask as these groups."),
    Arg::new("proxy", Kind::Str, "URL of a proxy."),
    Arg::new("no_proxy", Kind::Str, "What is reached without the proxy."),
    Arg::new(
        "proxy_headers",
        Kind::Dict,
        "Isn't supported: put the user into the URL of the proxy.",
    ),
    Arg::new(
        "persist_config",
        Kind::Bool,
        "Has no effect: kubectl keeps what it gets.",
    ),
];

/// kubectl of one task.
pub(super) struct Kubectl<'c> {
    cx: &'c Context,
    program: PathBuf,
    options: Vec<String>,
    proxy: Vec<(&'static str, String)>,
    scratch: Scratch,
}

impl<'c> Kubectl<'c> {
    /// Tokens, passwords and given configurations go into a file that only this user reads, never into arguments.
    pub(super) fn new(cx: &'c Context, connection: &Connection) -> Result<Self, Failure> {
        let program = match &connection.kubectl {
            Some(path) => cx.expand(path),
            None => cx.find_program("kubectl").ok_or_else(|| {
                Failure::new(
                    "there is no kubectl on this host: install it, give kubectl its path, or delegate the task to a host of the control plane",
                )
            })?,
        };
        if connection.proxy_headers.is_some() {
            return Err(Failure::new(
                "proxy_headers isn't supported: put the user into the URL of the proxy",
            ));
        }
        let scratch = Scratch::new()?;
        let mut options = Vec::new();
        if let Some(config) = connection.config(cx, &scratch)? {
            options.push(format!("--kubeconfig={config}"));
        }
        let path = |path: &String| cx.expand(path).to_string_lossy().into_owned();
        for (name, value) in [
            ("context", connection.context.clone()),
            ("server", connection.host.clone()),
            ("as", connection.impersonate_user.clone()),
            (
                "certificate-authority",
                connection.ca_cert.as_ref().map(path),
            ),
            (
                "client-certificate",
                connection.client_cert.as_ref().map(path),
            ),
            ("client-key", connection.client_key.as_ref().map(path)),
        ] {
            options.extend(value.map(|value| format!("--{name}={value}")));
        }
        if connection.validate_certs == Some(false) {
            options.push("--insecure-skip-tls-verify=true".to_owned());
        }
        let groups = connection.impersonate_groups.iter().flatten();
        options.extend(groups.map(|group| format!("--as-group={group}")));
        let proxy = [
            ("HTTPS_PROXY", &connection.proxy),
            ("HTTP_PROXY", &connection.proxy),
            ("NO_PROXY", &connection.no_proxy),
        ];
        let proxy = proxy
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect();
        Ok(Self {
            cx,
            program,
            options,
            proxy,
            scratch,
        })
    }

    fn process(&self, args: &[&str]) -> Process<'c> {
        let process = self
            .cx
            .process(&self.program)
            .args(&self.options)
            .args(args);
        let with = |process: Process<'c>, (name, value): &(&str, String)| process.env(name, value);
        self.proxy.iter().fold(process.system(), with)
    }

    /// Runs kubectl to its end.
    pub(super) fn run(&self, args: &[&str]) -> Result<Output, Failure> {
        self.process(args).run()
    }

    /// The same with an object on its standard input, which `-f -` among the arguments stands for.
    pub(super) fn run_with(&self, object: &Value, args: &[&str]) -> Result<Output, Failure> {
        self.process(args)
            .stdin(object.to_string().into_bytes())
            .run()
    }

    /// A file for kubectl with this value.
    pub(super) fn file(&self, name: &str, value: &Value) -> Result<String, Failure> {
        let path = self.scratch.file(name);
        write_private(&path, value)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// An object as it is now; `None` when there is none.
    pub(super) fn get(&self, object: &Value, namespace: &[&str]) -> Result<Option<Value>, Failure> {
        let args = [
            &["get", "-f", "-", "-o", "json", "--ignore-not-found"],
            namespace,
        ]
        .concat();
        let output = self
            .run_with(object, &args)?
            .check("kubectl can't get the object")?;
        let text = output.stdout_text();
        if text.trim().is_empty() {
            return Ok(None);
        }
        parsed(&text).map(Some)
    }
}

/// What kubectl wrote with `-o json`.
pub(super) fn parsed(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("kubectl wrote something that isn't JSON: {error}")))
}

impl Connection {
    /// The same with this file, when the task names none.
    pub(super) fn or_kubeconfig(mut self, path: &str) -> Self {
        if self.kubeconfig.is_none() && self.host.is_none() && Path::new(path).exists() {
            self.kubeconfig = Some(path.into());
        }
        self
    }

    fn config(&self, cx: &Context, scratch: &Scratch) -> Result<Option<String>, Failure> {
        let secret = self.api_key.is_some() || self.username.is_some() || self.password.is_some();
        let config = match &self.kubeconfig {
            Some(_) if secret => {
                return Err(Failure::new(
                    "api_key, username and password can't be added to a kubeconfig: give host with them, or put them into the file",
                ));
            }
            Some(Value::String(path)) => {
                return Ok(Some(cx.expand(path).to_string_lossy().into_owned()));
            }
            Some(config @ Value::Object(_)) => config.clone(),
            Some(_) => {
                return Err(Failure::new(
                    "kubeconfig is the path of a file, or a mapping",
                ));
            }
            None if secret => self.made()?,
            None => return Ok(None),
        };
        let path = scratch.file("kubeconfig");
        write_private(&path, &config)?;
        Ok(Some(path.to_string_lossy().into_owned()))
    }

    fn made(&self) -> Result<Value, Failure> {
        let host = self.host.as_ref().ok_or_else(|| {
            Failure::new("api_key, username and password need host, the URL of the server")
        })?;
        let mut user = json!({});
        for (name, value) in [
            ("token", &self.api_key),
            ("username", &self.username),
            ("password", &self.password),
        ] {
            if let Some(value) = value {
                user[name] = value.as_str().into();
            }
        }
        Ok(json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "task",
            "clusters": [{"name": "task", "cluster": {"server": host}}],
            "users": [{"name": "task", "user": user}],
            "contexts": [{"name": "task", "context": {"cluster": "task", "user": "task"}}],
        }))
    }
}

fn write_private(path: &Path, value: &Value) -> Result<(), Failure> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(value.to_string().as_bytes()))
        .map_err(|error| Failure::io("cannot write", path, &error))
}
