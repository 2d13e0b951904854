//! `helm_info`: a release as it is.

use super::{CONNECTION, Connection, Helm, strings};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct HelmInfo {
    release_name: String,
    release_namespace: String,
    release_state: Option<Vec<String>>,
    get_all_values: bool,
    #[serde(flatten)]
    connection: Connection,
}

impl Module for HelmInfo {
    const SPEC: Spec = Spec::new(
        "helm_info",
        "Tells what a release of helm is. Returns status, when there is one. Tested with a stand-in for helm.",
        &join::<4, 7, 11>(
            [
                Arg::new("release_name", Kind::Str, "The release.")
                    .aliases(&["name"])
                    .required(),
                Arg::new("release_namespace", Kind::Str, "Its namespace.")
                    .aliases(&["namespace"])
                    .required(),
                Arg::new(
                    "release_state",
                    Kind::List,
                    "Only in these states: all, deployed, failed, pending, superseded, uninstalled, uninstalling.",
                ),
                Arg::new(
                    "get_all_values",
                    Kind::Bool,
                    "Also values that the chart has of itself.",
                )
                .default("no"),
            ],
            CONNECTION,
        ),
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let helm = Helm::new(cx, &self.connection)?;
        let states = self.release_state.unwrap_or_default();
        let found = helm.status(
            &self.release_name,
            &self.release_namespace,
            &states,
            self.get_all_values,
        )?;
        let Some(mut status) = found else {
            return Ok(Outcome::ok());
        };
        for part in ["hooks", "manifest", "notes"] {
            let args = strings(&[
                "get",
                part,
                "--namespace",
                &self.release_namespace,
                &self.release_name,
            ]);
            status[part] = helm.succeed(&args, None)?.stdout_text().into();
        }
        Ok(Outcome::ok().with("status", status))
    }
}
