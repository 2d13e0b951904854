//! `backup certs` and `restore certs`: which hosts, what is compared, what is asked.

use super::engine::Failure;
use super::site::{LinkFailure, Site};
use crate::backup::certificate::CertificateInfo;
use crate::backup::{self, BackupError, Halfway, RestoreOptions, Set};
use crate::cluster::HandError;
use crate::cluster::door::Door;
use crate::journal::{Holder, Lock, LockError, Silent, Sink};
use futures::future::join_all;
use std::collections::BTreeMap;

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Refused { message, hints } => Self { message, hints },
            BackupError::Hand(error) => error.into(),
            BackupError::NoSet { ref sets, .. } => {
                let hint = match sets.is_empty() {
                    true => "take one while nodes are well: kopsrun backup certs".to_owned(),
                    false => format!("there are {}", sets.join(", ")),
                };
                Self::new(error.to_string()).hint(hint)
            }
            BackupError::Damaged { .. } => Self::new(error.to_string())
                .hint("take another set: kopsrun backup list shows them, --set NAME names one"),
            other => Self::new(other.to_string()),
        }
    }
}

/// Archive the certificates of `hosts`; hosts that fail are named in the set, which then is partial.
pub async fn take(
    site: &Site,
    hosts: &[String],
    paths: &[String],
    sink: &dyn Sink,
) -> Result<Set, Failure> {
    let connected = join_all(hosts.iter().map(|host| site.host(host))).await;
    let nodes = hosts
        .iter()
        .cloned()
        .zip(connected.into_iter().map(|result| {
            result.map_err(|why| {
                let Failure { message, hints } = why.into();
                HandError { message, hints }
            })
        }))
        .collect();
    Ok(backup::take(&site.backups, paths, nodes, sink).await?)
}

/// What `restore certs` is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    pub node: String,
    /// Name of a set; none: the newest that has the node.
    pub set: Option<String>,
    pub options: RestoreOptions,
    /// Don't ask before the first change.
    pub yes: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Restored {
    pub set: String,
    /// Paths that changed, or would change under `check`.
    pub changed: Vec<String>,
    /// The person said no.
    pub declined: bool,
}

/// Why nothing, or not everything, was put back.
#[derive(Debug, Clone)]
pub enum RestoreFailure {
    /// Nothing was changed: it would do harm, or there is nothing to restore from.
    Refused(Failure),
    /// Nothing was changed: the node can't be entered.
    Unreachable(Failure),
    /// Nothing was changed: another run works on the cluster.
    Locked(Failure),
    /// It failed while files were written.
    Failed(Failure),
}

impl RestoreFailure {
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Refused(failure)
            | Self::Unreachable(failure)
            | Self::Locked(failure)
            | Self::Failed(failure) => failure,
        }
    }
}

/// Put the certificates of a node back: compared first, shown, asked, written.
pub async fn restore(
    site: &Site,
    what: &Restore,
    holder: &Holder,
    sink: &dyn Sink,
) -> Result<Restored, RestoreFailure> {
    let _lock = match what.options.check {
        true => None,
        false => Some(
            Lock::take(&site.locks, &site.cluster, holder)
                .map_err(|error| RestoreFailure::Locked(locked(&error)))?,
        ),
    };
    let refused = |failure: Failure| RestoreFailure::Refused(failure);
    let set = backup::newest(&site.backups, &what.node, what.set.as_deref())
        .map_err(|error| refused(error.into()))?;
    let name = set.manifest.set.clone();
    // What is damaged is told before anything is connected.
    set.verified(&what.node, &site.backup_keys)
        .map_err(|error| refused(error.into()))?;
    let mut options = what.options.clone();
    options.keys = site.backup_keys.clone();
    // A complete set holds settings too; they come back with the whole cluster, not with its certificates.
    if options.only.is_empty() && set.manifest.cluster.is_some() {
        options.only = backup::PATHS.iter().map(|&path| path.to_owned()).collect();
    }
    let live = match what.options.force_ca {
        true => BTreeMap::new(),
        false => live_authorities(site, &set, &what.node)
            .await
            .map_err(refused)?,
    };
    let hand = site.host(&what.node).await.map_err(|error| match error {
        LinkFailure::Config(failure) => RestoreFailure::Refused(failure),
        LinkFailure::Link(error) => RestoreFailure::Unreachable(error.into()),
    })?;
    let look = RestoreOptions {
        check: true,
        ..options.clone()
    };
    let shown: &dyn Sink = if what.options.check { sink } else { &Silent };
    let changed = backup::restore(&set, &hand, &live, &look, shown)
        .await
        .map_err(|halfway| refused(halfway.error.into()))?;
    let restored = |declined| Restored {
        set: name.clone(),
        changed: changed.clone(),
        declined,
    };
    if what.options.check || changed.is_empty() {
        return Ok(restored(false));
    }
    if !what.yes {
        let question = format!(
            "Write these {} files of {name} to {}?",
            changed.len(),
            what.node
        );
        if !site.ask(question, changed.clone()).await {
            return Ok(restored(true));
        }
    }
    backup::restore(&set, &hand, &live, &options, sink)
        .await
        .map_err(|halfway| stopped(halfway, changed.len()))?;
    Ok(restored(false))
}

fn locked(error: &LockError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        LockError::Held { .. } => failure.hint("wait for it to end, or stop it"),
        LockError::Io { .. } => failure,
    }
}

/// A restore that failed while it wrote `all` files.
fn stopped(halfway: Halfway, all: usize) -> RestoreFailure {
    let mut failure: Failure = halfway.error.into();
    failure.message = format!(
        "{} of {all} files were written, then: {}",
        halfway.written.len(),
        failure.message
    );
    RestoreFailure::Failed(failure.hint(
        "no file is half-written: each is as it was or as in the backup; when the cause is gone, the same command goes on",
    ))
}

/// Public keys of the authorities in the archive, as other nodes have them now.
async fn live_authorities(
    site: &Site,
    set: &Set,
    node: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let archive = set
        .manifest
        .node(node)
        .ok_or_else(|| Failure::new(format!("{node} is not in the backup {}", set.manifest.set)))?;
    let wanted: Vec<&str> = archive.authorities().into_keys().collect();
    let mut live = BTreeMap::new();
    let others = set
        .manifest
        .nodes
        .iter()
        .map(|n| &n.node)
        .filter(|n| *n != node);
    for other in others {
        if wanted.iter().all(|path| live.contains_key(*path)) {
            break;
        }
        let Ok(hand) = site.host(other).await else {
            continue;
        };
        for path in &wanted {
            if let Ok(Some(content)) = hand.read(path).await
                && let Some(info) = CertificateInfo::read(content.expose())
            {
                live.entry((*path).to_owned()).or_insert(info.spki_sha256);
            }
        }
    }
    if !wanted.is_empty() && live.is_empty() {
        return Err(Failure::new(format!(
            "the certificate authority in the backup of {node} can't be compared: no other node could be read"
        ))
        .hint("bring another node up first; or, if you know that the authority is the right one: --force-ca"));
    }
    Ok(live)
}
