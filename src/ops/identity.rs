//! Which cluster it is: its fingerprint now, and when it was seen last.

use super::engine::Failure;
use super::site::Site;
use crate::backup::certificate::CertificateInfo;
use crate::backup::fingerprint::AUTHORITIES;
use crate::backup::snapshot::Source;
use crate::backup::{Fingerprint, Known, Match, Seen, Set};
use crate::cluster::{Etcd, kubernetes};
use crate::journal::{Event, Level, Sink};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The fingerprint of the live cluster. Authorities are read on the first host that has them.
pub(super) async fn live(etcd: &Etcd, cluster_id: u64) -> Fingerprint {
    let mut print = Fingerprint {
        etcd_cluster_id: format!("{cluster_id:x}"),
        kube_system_uid: etcd
            .get(kubernetes::KUBE_SYSTEM)
            .await
            .ok()
            .flatten()
            .and_then(|value| kubernetes::uid(&value)),
        ..Fingerprint::default()
    };
    for path in AUTHORITIES {
        for gate in etcd.gates() {
            if let Ok(Some(content)) = gate.door.read(path).await
                && let Some(info) = CertificateInfo::read(content.expose())
            {
                print
                    .authorities
                    .insert((*path).to_owned(), info.spki_sha256);
                break;
            }
        }
    }
    print
}

/// Write down what the cluster is like now, for the day on which it can't be asked. A failure is told, and stops nothing.
pub(super) async fn note_seen(site: &Site, etcd: &Etcd, source: &Source, sink: &dyn Sink) {
    let now = Seen {
        at: Timestamp::now(),
        fingerprint: live(etcd, source.cluster_id).await,
        earlier: BTreeSet::new(),
        revision: source.revision,
        raft_index: source.raft_index,
    };
    let written = Known::read(&site.backups).and_then(|mut known| {
        known.note(&site.cluster, now);
        known.write(&site.backups)
    });
    if let Err(error) = written {
        sink.emit(Event::Note {
            level: Level::Warning,
            text: format!("what was seen of the cluster can't be kept: {error}"),
            host: None,
        });
    }
}

/// What is known of the cluster that the inventory means: live where it answers, else as it was seen last.
pub(super) async fn meant(site: &Site) -> Result<Option<Seen>, Failure> {
    let known = Known::read(&site.backups)?.0.remove(&site.cluster);
    let Ok((etcd, _)) = super::status::open(site).await else {
        return Ok(known);
    };
    let Ok(view) = etcd.view().await else {
        return Ok(known);
    };
    if view.stale && known.is_some() {
        return Ok(known);
    }
    let status = || view.members.iter().filter_map(|s| s.status.as_ref());
    let mut now = Known::default();
    if let Some(seen) = known {
        now.0.insert(site.cluster.clone(), seen);
    }
    now.note(
        &site.cluster,
        Seen {
            at: Timestamp::now(),
            fingerprint: live(&etcd, view.cluster_id).await,
            earlier: BTreeSet::new(),
            revision: status().map(|s| s.revision).max().unwrap_or_default(),
            raft_index: status().map(|s| s.raft_index).max().unwrap_or_default(),
        },
    );
    Ok(now.0.remove(&site.cluster))
}

/// Whether a set is of the cluster that is meant. An error says why not, or that it can't be told.
pub(super) fn belongs(set: &Set, meant: &Seen) -> Result<(), String> {
    let print = match (&set.manifest.cluster, &set.manifest.snapshot) {
        (Some(print), _) => print.clone(),
        (None, Some(snapshot)) => Fingerprint {
            etcd_cluster_id: snapshot.cluster_id.clone(),
            ..Fingerprint::default()
        },
        (None, None) => return Err("it doesn't say of which cluster it is".to_owned()),
    };
    match print.compare(&meant.fingerprint, &meant.earlier) {
        Match::Same => Ok(()),
        Match::Other(why) => Err(why),
    }
}
