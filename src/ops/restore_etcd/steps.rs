//! The steps as the engine sees them: names, sentences, and which function does what.

use super::work::Work;
use crate::ops::engine::{Check, Failure, Step};
use futures::future::BoxFuture;
use std::sync::Arc;

/// In their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Stop,
    Prepare,
    Aside,
    Restore,
    Start,
    Revision,
    Verify,
    ControlPlane,
    Backup,
}

pub(super) const ALL: [Action; 9] = [
    Action::Stop,
    Action::Prepare,
    Action::Aside,
    Action::Restore,
    Action::Start,
    Action::Revision,
    Action::Verify,
    Action::ControlPlane,
    Action::Backup,
];

pub(super) fn id(action: Action) -> &'static str {
    match action {
        Action::Stop => "stop",
        Action::Prepare => "prepare",
        Action::Aside => "aside",
        Action::Restore => "restore",
        Action::Start => "start",
        Action::Revision => "revision",
        Action::Verify => "verify",
        Action::ControlPlane => "control-plane",
        Action::Backup => "backup",
    }
}

pub(super) fn title(action: Action) -> &'static str {
    match action {
        Action::Stop => "Stop etcd and the control plane on all hosts, and prove it",
        Action::Prepare => "Prepare machines that lack something",
        Action::Aside => "Move the data that are there aside",
        Action::Restore => "Restore the snapshot on every member",
        Action::Start => "Start all members together",
        Action::Revision => "Make sure that nobody is shown the past as the present",
        Action::Verify => "Verify the cluster",
        Action::ControlPlane => "Let the control plane start",
        Action::Backup => "Take a new backup and prove it",
    }
}

pub(super) fn sentence(action: Action) -> &'static str {
    match action {
        Action::Stop => {
            "manifests of API server, controller manager and scheduler are taken from the kubelet, etcd is stopped and disabled; \
             then no process may run and no port may answer"
        }
        Action::Prepare => {
            "programs, users, certificates, settings and the service, from another host and from the set"
        }
        Action::Aside => {
            "member becomes member.before-RUN in the data directory; nothing is deleted"
        }
        Action::Restore => {
            "the same snapshot, a new cluster token, new ids; unpacked beside its place, then put there at once"
        }
        Action::Start => "until every member answers a linearizable read under its new id",
        Action::Revision => {
            "the revision lies beyond all that may have been lost, and everything before it is compacted"
        }
        Action::Verify => {
            "the same hash of all keys on every member, and no fewer keys than in the set"
        }
        Action::ControlPlane => "the kubelets get the manifests back",
        Action::Backup => "the first set under the cluster's new id; older ones remain its own",
    }
}

pub(super) struct Doing {
    pub(super) action: Action,
    pub(super) work: Arc<Work>,
}

impl Step for Doing {
    fn id(&self) -> &'static str {
        id(self.action)
    }

    fn title(&self) -> String {
        title(self.action).to_owned()
    }

    fn sentence(&self) -> String {
        sentence(self.action).to_owned()
    }

    fn point_of_no_return(&self) -> bool {
        self.action == Action::Start
    }

    fn check(&self) -> BoxFuture<'_, Result<Check, Failure>> {
        let work = &self.work;
        Box::pin(async move {
            match self.action {
                Action::Stop => work.check_stopped().await,
                Action::Prepare => work.check_prepared().await,
                Action::Aside => work.check_aside().await,
                Action::Restore => work.check_restored().await,
                Action::Start => work.check_started().await,
                Action::Revision => work.check_revision().await,
                Action::Verify => work.check_verified().await,
                Action::ControlPlane => work.check_control_plane().await,
                Action::Backup => work.check_backup().await,
            }
        })
    }

    fn run(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let work = &self.work;
        Box::pin(async move {
            match self.action {
                Action::Stop => work.stop_all().await,
                Action::Prepare => work.prepare().await,
                Action::Aside => work.move_aside().await,
                Action::Restore => work.restore().await,
                Action::Start => work.start().await,
                Action::Revision => work.raise_revision().await,
                Action::Verify => work.verify().await,
                Action::ControlPlane => work.start_control_plane().await,
                Action::Backup => work.take_backup().await,
            }
        })
    }

    fn undo(&self) -> Option<BoxFuture<'_, Result<String, Failure>>> {
        let work = &self.work;
        match self.action {
            Action::Stop => Some(Box::pin(work.undo_stop())),
            Action::Aside => Some(Box::pin(work.undo_aside())),
            _ => None,
        }
    }
}
