//! `helm_repository`: where charts come from.

use super::{CONNECTION, Connection, Helm, strings};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Rule, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct HelmRepository {
    repo_name: String,
    repo_url: Option<String>,
    repo_state: String,
    repo_username: Option<String>,
    repo_password: Option<String>,
    pass_credentials: bool,
    force_update: bool,
    insecure_skip_tls_verify: bool,
    #[serde(flatten)]
    connection: Connection,
}

impl Module for HelmRepository {
    const SPEC: Spec = Spec::new(
        "helm_repository",
        "Keeps a repository of charts in the list of helm. Tested with a stand-in for helm.",
        &join::<8, 7, 15>(
            [
                Arg::new("repo_name", Kind::Str, "Its name.")
                    .aliases(&["name"])
                    .required(),
                Arg::new("repo_url", Kind::Str, "Its URL.").aliases(&["url"]),
                Arg::new("repo_state", Kind::Str, "Whether it is there.")
                    .aliases(&["state"])
                    .choices(&["absent", "present"])
                    .default("present"),
                Arg::new("repo_username", Kind::Str, "User.").aliases(&["username"]),
                Arg::new(
                    "repo_password",
                    Kind::Str,
                    "Password; helm gets it by standard input.",
                )
                .aliases(&["password"]),
                Arg::new(
                    "pass_credentials",
                    Kind::Bool,
                    "Other domains get user and password as well.",
                )
                .default("no"),
                Arg::new(
                    "force_update",
                    Kind::Bool,
                    "Replace one of that name with another URL.",
                )
                .aliases(&["force"])
                .default("no"),
                Arg::new(
                    "insecure_skip_tls_verify",
                    Kind::Bool,
                    "Don't check the certificate of the server.",
                )
                .aliases(&["skip_tls_certs_check"])
                .default("no"),
            ],
            CONNECTION,
        ),
    )
    .rules(&[
        Rule::Together(&["repo_username", "repo_password"]),
        Rule::If("repo_state", "present", &["repo_url"]),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let helm = Helm::new(cx, &self.connection)?;
        // Without any repository this is an error of helm, which means an empty list.
        let output = helm.run(&strings(&["repo", "list", "--output=json"]), None)?;
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let known = list
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["name"] == self.repo_name.as_str());
        let url = known.map(|entry| {
            entry["url"]
                .as_str()
                .unwrap_or_default()
                .trim_end_matches('/')
        });
        let (args, stdin) = match (self.repo_state.as_str(), url) {
            ("absent", None) => return Ok(Outcome::ok()),
            ("absent", Some(_)) => (strings(&["repo", "remove", &self.repo_name]), None),
            (_, Some(url))
                if Some(url)
                    == self
                        .repo_url
                        .as_deref()
                        .map(|url| url.trim_end_matches('/'))
                    && !self.force_update =>
            {
                return Ok(Outcome::ok());
            }
            (_, Some(url)) if !self.force_update => {
                return Err(Failure::new(format!(
                    "Repository already have a repository named {} with the URL {url} (force_update: true replaces it)",
                    self.repo_name
                )));
            }
            _ => self.addition(),
        };
        if cx.check() {
            return Ok(Outcome::changed(true));
        }
        let output = helm.succeed(&args, stdin.as_deref())?;
        Ok(Outcome::changed(true)
            .with("stdout", output.stdout_text())
            .with("stderr", output.stderr_text())
            .with("command", helm.line(&args)))
    }
}

impl HelmRepository {
    fn addition(&self) -> (Vec<String>, Option<String>) {
        let url = self.repo_url.as_deref().unwrap_or_default();
        let mut args = strings(&["repo", "add", &self.repo_name, url]);
        for (wanted, option) in [
            (self.force_update, "--force-update"),
            (self.insecure_skip_tls_verify, "--insecure-skip-tls-verify"),
            (self.pass_credentials, "--pass-credentials"),
        ] {
            if wanted {
                args.push(option.to_owned());
            }
        }
        if let Some(user) = &self.repo_username {
            args.push(format!("--username={user}"));
            args.push("--password-stdin".to_owned());
        }
        (args, self.repo_password.clone())
    }
}
