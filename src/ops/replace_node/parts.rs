//! The parts of the step file: checked before anything is changed, run one at a time on one host.

use super::work::Work;
use crate::content::value::Value;
use crate::ops::engine::Failure;
use crate::ops::parts::Parts;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

/// The name of the step file.
const STEP_FILE: &str = "replace-node.yml";

impl Work {
    fn parts(&self) -> Parts<'_> {
        Parts {
            site: &self.site,
            run: &self.run,
            file: STEP_FILE,
        }
    }

    /// Run one part of the step file on one host.
    pub(super) async fn shape(
        &self,
        host: &str,
        part: &str,
        more: &[(&str, String)],
    ) -> Result<(), Failure> {
        let vars = self.vars(more).await?;
        self.parts().run(host, part, vars).await
    }

    /// Find what is wrong with the step file while nothing has been changed yet.
    pub(super) async fn check_step_file(&self) -> Result<(), Failure> {
        for part in ["fence", "prepare", "start"] {
            let vars = self.vars(&[]).await?;
            self.parts().check(&self.home.host, part, vars)?;
        }
        Ok(())
    }

    /// What the parts are told. Text from hosts: data, never templated.
    async fn vars(&self, more: &[(&str, String)]) -> Result<IndexMap<String, Value>, Failure> {
        let lines: Vec<String> = self
            .environment()
            .await?
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let data_dir = self.donor.data_dir();
        let known: [(&str, Json); 7] = [
            ("etcd_environment", json!(lines)),
            ("etcd_environment_file", json!(self.donor.settings.file)),
            ("etcd_data_dir", json!(data_dir)),
            ("etcd_aside", json!(format!("{data_dir}.replaced-{stamp}"))),
            ("etcd_program", json!(self.donor.program)),
            ("etcd_user", json!(self.donor.user)),
            ("etcd_unit", json!(self.donor.unit)),
        ];
        let more = more.iter().map(|(name, value)| (*name, json!(value)));
        Ok(known
            .into_iter()
            .chain(more)
            .map(|(name, value)| (name.to_owned(), Value::from_json(&value)))
            .collect())
    }
}
