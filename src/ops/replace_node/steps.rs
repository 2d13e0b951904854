//! The steps as the engine sees them: names, sentences, and which function does what.

use super::facts::Branch;
use super::plan::{Action, Planned};
use super::work::Work;
use super::{act, shape};
use crate::journal::Tolerance;
use crate::ops::engine::{Check, Failure, Step};
use futures::future::BoxFuture;
use std::sync::Arc;

/// The names that sentences need; known before anything is connected.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) node: String,
    pub(super) home: String,
    pub(super) address: String,
    pub(super) old: String,
    pub(super) branch: Branch,
}

pub(super) fn id(action: Action) -> &'static str {
    match action {
        Action::ConfirmHostKey => "confirm-host-key",
        Action::Fence => "fence",
        Action::Prepare => "prepare",
        Action::Certify => "certificates",
        Action::MoveLeader => "move-leader",
        Action::Remove => "remove-member",
        Action::AddLearner => "add-learner",
        Action::Start => "start",
        Action::CatchUp => "catch-up",
        Action::Promote => "promote",
        Action::Retire => "retire",
        Action::Verify => "verify",
    }
}

pub(super) fn title(action: Action, names: &Names) -> String {
    let Names { node, home, .. } = names;
    match action {
        Action::ConfirmHostKey => format!("Confirm the host key of {home}"),
        Action::Fence => format!("Make sure that no earlier etcd can come back on {home}"),
        Action::Prepare => format!("Prepare the machine of {home}"),
        Action::Certify => format!("Put the certificates of {home} in place"),
        Action::MoveLeader => format!("Move leadership away from {node}"),
        Action::Remove => format!("Remove the old member of {node}"),
        Action::AddLearner => format!("Add {home} as a learner"),
        Action::Start => format!("Start etcd on {home}"),
        Action::CatchUp => format!("Wait until {home} has caught up"),
        Action::Promote => format!("Promote {home} to a voter"),
        Action::Retire => format!("Stop the removed etcd on {node}"),
        Action::Verify => "Verify the cluster".to_owned(),
    }
}

pub(super) fn sentence(action: Action, names: &Names) -> String {
    let Names {
        node,
        home,
        address,
        old,
        branch,
    } = names;
    match action {
        Action::ConfirmHostKey => {
            format!("show the new host key of {home} and write it down once it is confirmed")
        }
        Action::Fence => format!("on {home}: stop any earlier etcd, move its data aside"),
        Action::Prepare => {
            format!("on {home}: etcd, settings and service as on the other members, not started")
        }
        Action::Certify => {
            format!("on {home}: the member's own certificates, checked against the live authority")
        }
        Action::MoveLeader => {
            format!("hand leadership from {node} to the most advanced other member")
        }
        Action::Remove if *branch == Branch::RemoveFirst => {
            format!("remove the dead member of {node} by its id {old}")
        }
        Action::Remove => format!("remove the old member of {node} by its id {old}"),
        Action::AddLearner => format!("add a learner at {address}"),
        Action::Start => format!("start etcd on {home} with the state 'existing'"),
        Action::CatchUp => format!("wait until {home} is level with the leader"),
        Action::Promote => format!("make {home} a voter"),
        Action::Retire => format!("on {node}: stop etcd, move its data aside"),
        Action::Verify => {
            "all voters healthy, no learner, equal hashes at one revision, data still there"
                .to_owned()
        }
    }
}

/// One step of the plan with hands.
pub(super) struct Doing {
    pub(super) planned: Planned,
    pub(super) names: Names,
    pub(super) work: Arc<Work>,
}

impl Step for Doing {
    fn id(&self) -> &'static str {
        id(self.planned.action)
    }

    fn title(&self) -> String {
        title(self.planned.action, &self.names)
    }

    fn sentence(&self) -> String {
        sentence(self.planned.action, &self.names)
    }

    fn tolerance(&self) -> Option<Tolerance> {
        Some(self.planned.after)
    }

    fn point_of_no_return(&self) -> bool {
        last_way_back(self.planned.action)
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>> {
        let work = self.work.as_ref();
        match self.planned.action {
            Action::ConfirmHostKey => Box::pin(async { Ok(Check::Done("confirmed".to_owned())) }),
            Action::Fence => Box::pin(shape::check_fence(work)),
            Action::Prepare => Box::pin(shape::check_prepared(work)),
            Action::Certify => Box::pin(shape::check_certificates(work)),
            Action::MoveLeader => Box::pin(act::check_leader(work)),
            Action::Remove => Box::pin(act::check_removed(work)),
            Action::AddLearner => Box::pin(act::check_added(work)),
            Action::Start => Box::pin(shape::check_started(work)),
            Action::CatchUp => Box::pin(act::check_level(work)),
            Action::Promote => Box::pin(act::check_promoted(work)),
            Action::Retire => Box::pin(shape::check_retired(work)),
            Action::Verify => Box::pin(act::check_verified(work)),
        }
    }

    fn run(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let work = self.work.as_ref();
        match self.planned.action {
            Action::ConfirmHostKey => Box::pin(async { Ok(()) }),
            Action::Fence => Box::pin(shape::fence(work)),
            Action::Prepare => Box::pin(shape::prepare(work)),
            Action::Certify => Box::pin(shape::certify(work)),
            Action::MoveLeader => Box::pin(act::move_leader(work)),
            Action::Remove => Box::pin(act::remove(work)),
            Action::AddLearner => Box::pin(act::add_learner(work)),
            Action::Start => Box::pin(shape::start(work)),
            Action::CatchUp => Box::pin(act::catch_up(work)),
            Action::Promote => Box::pin(act::promote(work)),
            Action::Retire => Box::pin(shape::retire(work)),
            Action::Verify => Box::pin(act::verify(work)),
        }
    }

    fn undo(&self) -> Option<BoxFuture<'_, Result<String, Failure>>> {
        let work = self.work.as_ref();
        match self.planned.action {
            Action::AddLearner => Some(Box::pin(act::undo_add(work))),
            Action::Start => Some(Box::pin(shape::undo_start(work))),
            // The rest leaves nothing that takes part in the cluster: files of a service that isn't started.
            _ => None,
        }
    }
}

/// A removed id never comes back, and a voter is only taken away again by a removal that has to be judged anew.
pub(super) fn last_way_back(action: Action) -> bool {
    matches!(action, Action::Remove | Action::Promote)
}
