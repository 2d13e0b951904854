//! The strategies `free` and `host_pinned`: hosts don't wait for each other.

use super::attempt::Attempt;
use super::batch::{Batch, started};
use super::run::Stop;
use super::store::lock;
use crate::content::place::Fault;
use crate::content::playbook::{Strategy, Task};
use crate::journal::Event;
use std::sync::Arc;
use tokio::sync::Semaphore;

impl Batch {
    /// Every host goes through the play on its own; with `host_pinned`, no more hosts at a time than there are forks.
    pub(super) async fn freely(self: &Arc<Self>) -> Result<(), Stop> {
        let seats = match self.play.strategy {
            Strategy::HostPinned => self.run.width,
            Strategy::Free | Strategy::Linear => Semaphore::MAX_PERMITS,
        };
        let seats = Arc::new(Semaphore::new(seats));
        if self.max_fail.is_some() {
            self.run.warn("max_fail_percentage has no meaning where hosts don't wait for each other (strategy: free)");
        }
        let mut running = tokio::task::JoinSet::new();
        for host in self.roster.active(&self.hosts) {
            let (batch, seats) = (Arc::clone(self), Arc::clone(&seats));
            running.spawn(async move {
                let _seat = seats.acquire_owned().await.ok();
                batch.sections(&[host]).await
            });
        }
        let mut ended = Ok(());
        while let Some(one) = running.join_next().await {
            match one {
                Ok(Ok(())) => {}
                // The others end by themselves: `meta` has said so.
                Ok(Err(stop @ (Stop::Play | Stop::Batch))) => ended = Err(stop),
                Ok(Err(stop)) => {
                    running.shutdown().await;
                    return Err(stop);
                }
                Err(error) => {
                    running.shutdown().await;
                    return Err(Stop::Fault(
                        Fault::new(format!("a host's part of the play broke down: {error}")).hint(
                            "This is a defect of kopsrun: please report it with the run's journal.",
                        ),
                    ));
                }
            }
        }
        ended
    }

    /// What a task can't mean where hosts don't wait for each other.
    pub(super) fn check_free(
        &self,
        task: &Task,
        bypass: bool,
        once: bool,
        fatal: bool,
    ) -> Result<(), Stop> {
        if bypass {
            return Err(Stop::Fault(
                Fault::new(format!(
                    "`{}` happens once for all hosts, which the strategies free and host_pinned can't do",
                    task.module
                ))
                .at(&task.place)
                .hint("Put it into a play of its own."),
            ));
        }
        if once {
            self.run.warn("run_once has no meaning where hosts don't wait for each other (strategy: free): the task runs on every host");
        }
        if fatal {
            self.run.warn("any_errors_fatal has no meaning where hosts don't wait for each other (strategy: free)");
        }
        Ok(())
    }
}

impl Attempt {
    /// Tells a result, below the banner of its task: where hosts don't wait for each other, this is where it stands.
    pub(super) fn emit(&self, result: Event) {
        let sink = &self.batch.run.sink;
        let Some(last) = &self.batch.free else {
            return sink.emit(result);
        };
        let mut last = lock(last);
        if *last != Some(self.task.id) {
            *last = Some(self.task.id);
            let request = &self.batch.run.request;
            sink.emit(started(
                &self.task,
                &self.name,
                1,
                request.check,
                request.tell.arguments,
            ));
        }
        sink.emit(result);
    }
}
