//! The steps as the engine sees them: one a node, and a last look at all of them.

use super::work::Work;
use crate::journal::PlannedStep;
use crate::ops::engine::{Check, Failure, Step};
use futures::future::BoxFuture;
use std::sync::Arc;

const VERIFY: &str = "verify";

pub(super) struct Doing {
    id: String,
    /// None: the last step.
    host: Option<String>,
    work: Arc<Work>,
}

impl Doing {
    pub(super) fn node(host: &str, work: &Arc<Work>) -> Box<dyn Step> {
        Box::new(Self {
            id: id(host),
            host: Some(host.to_owned()),
            work: Arc::clone(work),
        })
    }

    pub(super) fn verify(work: &Arc<Work>) -> Box<dyn Step> {
        Box::new(Self {
            id: VERIFY.to_owned(),
            host: None,
            work: Arc::clone(work),
        })
    }
}

fn id(host: &str) -> String {
    format!("renew-{host}")
}

fn title(host: Option<&str>) -> String {
    host.map_or_else(
        || "Verify all certificates and the cluster".to_owned(),
        |host| format!("Put new certificates on {host}"),
    )
}

fn sentence(host: Option<&str>) -> String {
    host.map_or_else(
        || "every file and every port holds the new one, every member serves".to_owned(),
        |host| {
            format!("on {host}: old files kept beside, new ones in place, shown at its ports; go on only when all are well")
        },
    )
}

pub(super) fn planned_node(host: &str) -> PlannedStep {
    planned(id(host), Some(host))
}

pub(super) fn planned_verify() -> PlannedStep {
    planned(VERIFY.to_owned(), None)
}

fn planned(id: String, host: Option<&str>) -> PlannedStep {
    PlannedStep {
        id,
        title: title(host),
        sentence: sentence(host),
        done: false,
        point_of_no_return: false,
        tolerance: None,
    }
}

impl Step for Doing {
    fn id(&self) -> &str {
        &self.id
    }

    fn title(&self) -> String {
        title(self.host.as_deref())
    }

    fn sentence(&self) -> String {
        sentence(self.host.as_deref())
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>> {
        Box::pin(async move {
            match &self.host {
                Some(host) => self.work.check_node(host).await,
                None => self.work.check_verified().await,
            }
        })
    }

    fn run(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            match &self.host {
                Some(host) => self.work.renew(host).await,
                None => self.work.verify().await,
            }
        })
    }

    fn undo(&self) -> Option<BoxFuture<'_, Result<String, Failure>>> {
        let host = self.host.as_deref()?;
        Some(Box::pin(self.work.undo(host)))
    }
}
