//! `backup create`: everything that a cluster is made of again, in one set.

use super::engine::Failure;
use super::site::Site;
use super::{identity, snapshot};
use crate::backup::{self, Complete, Origin, Seal, Set};
use crate::cluster::{HandError, kubernetes};
use crate::journal::Sink;
use futures::future::join_all;

/// What a complete set holds of each node, beside the certificates: settings of etcd and its service, manifests of static
/// pods, kubeconfigs, and what encrypts secrets inside of etcd.
pub const SETTINGS: &[&str] = &[
    "/etc/etcd.env",
    "/etc/etcd/etcd.env",
    "/etc/default/etcd",
    "/etc/systemd/system/etcd.service",
    "/etc/kubernetes/manifests",
    "/etc/kubernetes/kubeadm-config.yaml",
    "/etc/kubernetes/kubeadm-client.conf",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/enc",
    "/etc/kubernetes/encryption-config.yaml",
    "/etc/kubernetes/encryption-provider-config.yaml",
    "/etc/kubernetes/secrets_encryption.yaml",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/pki",
];

/// What `backup create` is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Create {
    pub hosts: Vec<String>,
    /// More files and directories than the usual ones.
    pub more: Vec<String>,
    pub seal: Seal,
}

/// Take a complete set. Nodes that fail are named in it, which then is partial.
pub async fn create(site: &Site, what: &Create, sink: &dyn Sink) -> Result<Set, Failure> {
    let (etcd, source) = snapshot::choose(site, sink).await?;
    let namespace = etcd.get(kubernetes::KUBE_SYSTEM).await.ok().flatten();
    let uid = namespace.and_then(|value| kubernetes::uid(&value));
    let origin = Origin::Member {
        etcd: &etcd,
        source: &source,
    };
    let set = of(site, what, origin, uid, sink).await?;
    identity::note_seen(site, &etcd, &source, sink).await;
    Ok(set)
}

/// A set with this snapshot, and everything else of the hosts.
pub(super) async fn of(
    site: &Site,
    what: &Create,
    origin: Origin<'_>,
    kube_system_uid: Option<String>,
    sink: &dyn Sink,
) -> Result<Set, Failure> {
    let connected = join_all(what.hosts.iter().map(|host| site.host(host))).await;
    let nodes = what
        .hosts
        .iter()
        .cloned()
        .zip(connected.into_iter().map(|result| {
            result.map_err(|why| {
                let Failure { message, hints } = why.into();
                HandError { message, hints }
            })
        }))
        .collect();
    let usual = backup::PATHS.iter().chain(SETTINGS);
    let paths: Vec<String> = usual
        .map(|&path| path.to_owned())
        .chain(what.more.iter().cloned())
        .collect();
    let complete = Complete {
        origin,
        paths: &paths,
        nodes,
        kube_system_uid,
        seal: &what.seal,
    };
    Ok(backup::take_complete(&site.backups, complete, sink).await?)
}
