//! The parts of the step file: checked before anything is changed, run one at a time on one host.

use super::work::Work;
use crate::content::value::Value;
use crate::journal::{Event, Run, Sink, Status};
use crate::ops::engine::Failure;
use crate::ops::stepfile;
use crate::play::{self, PlayError};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The name of the step file.
const STEP_FILE: &str = "replace-node.yml";

impl Work {
    /// Run one part of the step file on one host.
    pub(super) async fn shape(
        &self,
        host: &str,
        part: &str,
        more: &[(&str, String)],
    ) -> Result<(), Failure> {
        let request = self.request(host, part, more).await?;
        let watch = Arc::new(Watch {
            run: Arc::clone(&self.run),
            failed: Mutex::default(),
        });
        let sink: Arc<dyn Sink> = Arc::clone(&watch) as Arc<dyn Sink>;
        let summary = play::run(&request, Arc::clone(&self.site.connect), sink)
            .await
            .map_err(|error| faults(&error))?;
        match summary.exit_code {
            0 => Ok(()),
            _ => Err(watch.failure(host, part)),
        }
    }

    /// Find what is wrong with the step file while nothing has been changed yet.
    pub(super) async fn check_step_file(&self) -> Result<(), Failure> {
        for part in ["fence", "prepare", "start"] {
            let request = self.request(&self.home.host, part, &[]).await?;
            play::list(&request).map_err(|error| faults(&error))?;
        }
        Ok(())
    }

    async fn request(
        &self,
        host: &str,
        part: &str,
        more: &[(&str, String)],
    ) -> Result<play::Request, Failure> {
        let file = stepfile::locate(self.site.steps.as_deref(), self.run.dir(), STEP_FILE)
            .map_err(|e| Failure::new(format!("the step file can't be laid out: {e}")))?;
        let mut request = self.site.request.clone();
        request.source = play::Source::Playbooks(vec![file.playbook]);
        request.roles_path.insert(0, file.roles);
        request.limit = Some(host.to_owned());
        request.tags = vec![part.to_owned()];
        // What the operator said with -e stays, where it isn't what kopsrun knows better.
        request.extra_vars.extend(self.vars(more).await?);
        // A part is short and ends whole; undoing runs parts too, after the operator has stopped the run.
        request.cancel = CancellationToken::new();
        Ok(request)
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

fn faults(error: &PlayError) -> Failure {
    let mut failure = Failure::new(error.to_string());
    for fault in error.faults() {
        if let Some(place) = &fault.place {
            failure.hints.push(format!("{place}: {}", fault.message));
        }
        failure.hints.extend(fault.hints.iter().cloned());
    }
    failure
}

/// Passes events on and remembers the failures among them.
struct Watch {
    run: Arc<Run>,
    failed: Mutex<BTreeSet<(String, String)>>,
}

impl Watch {
    fn failure(&self, host: &str, part: &str) -> Failure {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let each: Vec<String> = failed
            .iter()
            .map(|(task, why)| format!("'{task}': {why}"))
            .collect();
        Failure::new(match each.as_slice() {
            [] => format!("{host}: the part '{part}' of the step file failed"),
            each => format!("{host}: {}", each.join("; ")),
        })
    }

    fn notice(&self, event: &Event) {
        if let Event::HostResult {
            task,
            status: Status::Failed | Status::Unreachable,
            message,
            ..
        } = event
        {
            let why = message.clone().unwrap_or_default();
            self.failed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert((task.clone(), why));
        }
    }
}

impl Sink for Watch {
    fn emit(&self, event: Event) {
        self.notice(&event);
        // The end of a play isn't the end of the run; its recap would only puzzle.
        if !matches!(event, Event::Stats { .. }) {
            self.run.emit(event);
        }
    }

    fn emit_synced(&self, event: Event) -> io::Result<()> {
        self.notice(&event);
        self.run.emit_synced(event)
    }
}
