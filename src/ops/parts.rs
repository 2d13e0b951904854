//! Parts of a step file: one tag of a playbook on one host, inside of a run.

use super::engine::Failure;
use super::site::Site;
use super::stepfile;
use crate::content::value::Value;
use crate::journal::{Event, Run, Sink, Status};
use crate::play::{self, PlayError};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// A step file and the run that it is for.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) site: &'a Site,
    pub(super) run: &'a Arc<Run>,
    /// Its name among the playbooks.
    pub(super) file: &'static str,
}

impl Parts<'_> {
    /// Run one part on one host.
    pub(super) async fn run(
        self,
        host: &str,
        part: &str,
        vars: IndexMap<String, Value>,
    ) -> Result<(), Failure> {
        let request = self.request(host, part, vars)?;
        let watch = Arc::new(Watch {
            run: Arc::clone(self.run),
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
    pub(super) fn check(
        self,
        host: &str,
        part: &str,
        vars: IndexMap<String, Value>,
    ) -> Result<(), Failure> {
        let request = self.request(host, part, vars)?;
        play::list(&request).map_err(|error| faults(&error))?;
        Ok(())
    }

    fn request(
        self,
        host: &str,
        part: &str,
        vars: IndexMap<String, Value>,
    ) -> Result<play::Request, Failure> {
        let file = stepfile::locate(self.site.steps.as_deref(), self.run.dir(), self.file)
            .map_err(|e| Failure::new(format!("the step file can't be laid out: {e}")))?;
        let mut request = self.site.request.clone();
        request.source = play::Source::Playbooks(vec![file.playbook]);
        request.roles_path.insert(0, file.roles);
        request.limit = Some(host.to_owned());
        request.tags = vec![part.to_owned()];
        // What the operator said with -e stays, where it isn't what kopsrun knows better.
        request.extra_vars.extend(vars);
        // A part is short and ends whole; undoing runs parts too, after the operator has stopped the run.
        request.cancel = CancellationToken::new();
        Ok(request)
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
