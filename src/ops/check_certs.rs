//! `certs check NODE`: whether the certificates of a node serve a member at its addresses, before it is replaced.
//! `certs diff`: what has changed since a backup.

use super::certificates::fetch;
use super::engine::Failure;
use super::replace_node::GROUP;
use super::site::Site;
use crate::backup::certificate::{CertificateInfo, hex};
use crate::backup::inspect::{BEFORE, files};
use crate::backup::manifest::{EntryKind, NodeArchive};
use crate::backup::{self, Archived, PATHS, Set};
use crate::cluster::door::Door;
use crate::cluster::identity::{self, Settings};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A member that is replaced should live longer than this with its certificates.
const LEAST: SignedDuration = SignedDuration::from_hours(24);
/// Variables of the inventory that name addresses of a node.
const ADDRESSES: &[&str] = &[
    "etcd_access_address",
    "etcd_address",
    "access_ip",
    "ip",
    "ansible_host",
];
/// Names by which pods call the API server.
const API_NAMES: &[&str] = &["kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// What a certificate has to be made out to, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    path: String,
    names: BTreeSet<String>,
    /// Subject of the authority that has to have signed it.
    authority: Option<String>,
}

/// The verdict on one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub path: String,
    pub sans: Vec<String>,
    /// What is wrong with it; empty: nothing.
    pub wrong: Vec<String>,
}

/// What was found for a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub node: String,
    /// `the node itself`, or the name of a set.
    pub from: String,
    pub certificates: Vec<Verdict>,
}

impl Checked {
    pub fn bad(&self) -> bool {
        self.certificates.iter().any(|c| !c.wrong.is_empty())
    }
}

/// Compare the certificates of a node with its addresses in the inventory and in its settings: those on its disk, or
/// those of a set where it can't be entered or a set is named.
pub async fn check(site: &Site, node: &str, set: Option<&str>) -> Result<Checked, Failure> {
    let hand = match set {
        Some(_) => None,
        None => site.host(node).await.ok(),
    };
    let (door, from): (Box<dyn Door>, String) = match hand {
        Some(hand) => (Box::new(hand), "the node itself".to_owned()),
        None => {
            let set = backup::newest(&site.backups, node, set)?;
            let (tar, _) = set.verified(node, &site.backup_keys)?;
            let archived = Archived {
                node: node.to_owned(),
                tar,
            };
            (Box::new(archived), set.manifest.set.clone())
        }
    };
    let failed = |error: std::io::Error| Failure::new(format!("{node}: {error}"));
    let settings = identity::settings(door.as_ref()).await.map_err(failed)?;
    let addresses: BTreeSet<String> = ADDRESSES
        .iter()
        .filter_map(|name| (site.variable)(node, name))
        .filter(|text| text.parse::<IpAddr>().is_ok())
        .collect();
    let group = site.inventory.group_hosts(GROUP).unwrap_or_default();
    let member = group.iter().any(|host| host.as_ref() == node);
    let mut wanted = wanted(node, member, &addresses, settings.as_ref());
    for one in &mut wanted {
        if let Some(path) = &one.authority {
            let content = door.read(path).await.map_err(failed)?;
            one.authority = content
                .and_then(|c| CertificateInfo::read(c.expose()))
                .map(|info| info.subject);
        }
    }
    let mut certificates = Vec::new();
    for one in wanted {
        let content = door.read(&one.path).await.map_err(failed)?;
        let info = content.and_then(|c| CertificateInfo::read(c.expose()));
        // What no member of etcd is told to use may be missing.
        if info.is_some() || one.authority.is_some() {
            certificates.push(judge(&one, info.as_ref(), Timestamp::now()));
        }
    }
    if certificates.is_empty() {
        return Err(Failure::new(format!(
            "there is nothing to check: {from} has no certificate of {node} where kubespray and kubeadm keep them"
        )));
    }
    Ok(Checked {
        node: node.to_owned(),
        from,
        certificates,
    })
}

/// Where a node's certificates lie, and what they have to be made out to. Pure.
fn wanted(
    node: &str,
    member: bool,
    addresses: &BTreeSet<String>,
    settings: Option<&Settings>,
) -> Vec<Wanted> {
    let mut all = Vec::new();
    let own = |urls: Vec<String>| -> BTreeSet<String> {
        let hosts = urls.iter().filter_map(|url| {
            let rest = url.split_once("://")?.1.trim_end_matches('/');
            let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
            Some(host.trim_matches(['[', ']']).to_owned())
        });
        // kopsrun, etcdctl and the API server beside it come by these.
        hosts.chain(addresses.iter().cloned()).collect()
    };
    let get = |name: &str| settings.and_then(|s| s.get(name)).map(str::to_owned);
    let kubespray = |name: &str| format!("/etc/ssl/etcd/ssl/{name}");
    let pairs = [
        (
            "CERT_FILE",
            "TRUSTED_CA_FILE",
            settings.map_or_else(Vec::new, Settings::client_urls),
        ),
        (
            "PEER_CERT_FILE",
            "PEER_TRUSTED_CA_FILE",
            settings.map_or_else(Vec::new, Settings::peer_urls),
        ),
    ];
    for (file, authority, urls) in pairs {
        // Without settings, a node of the group is set up as kubespray does it.
        let path = get(file).or_else(|| member.then(|| kubespray(&format!("member-{node}.pem"))));
        if let Some(path) = path {
            let mut names = own(urls);
            if file == "CERT_FILE" {
                names.insert("127.0.0.1".to_owned());
            }
            all.push(Wanted {
                path,
                names,
                authority: get(authority).or_else(|| member.then(|| kubespray("ca.pem"))),
            });
        }
    }
    for dir in ["/etc/kubernetes/ssl", "/etc/kubernetes/pki"] {
        let names = API_NAMES.iter().map(|&name| name.to_owned());
        all.push(Wanted {
            path: format!("{dir}/apiserver.crt"),
            names: names.chain(addresses.iter().cloned()).collect(),
            authority: None,
        });
    }
    // One file for both, as kubespray has it, is asked for all.
    let mut merged: BTreeMap<String, Wanted> = BTreeMap::new();
    for one in all {
        match merged.get_mut(&one.path) {
            Some(there) => there.names.extend(one.names),
            None => drop(merged.insert(one.path.clone(), one)),
        }
    }
    // `pki` is a link to `ssl` on nodes of kubespray.
    if merged.len() > 1 && merged.contains_key("/etc/kubernetes/ssl/apiserver.crt") {
        let both = |path: &str| path == "/etc/kubernetes/pki/apiserver.crt";
        merged.retain(|path, _| !both(path) || !member);
    }
    merged.into_values().collect()
}

fn judge(wanted: &Wanted, info: Option<&CertificateInfo>, now: Timestamp) -> Verdict {
    let Some(info) = info else {
        return Verdict {
            path: wanted.path.clone(),
            sans: Vec::new(),
            wrong: vec!["it isn't there".to_owned()],
        };
    };
    let mut wrong = Vec::new();
    let lacking: Vec<&str> = wanted
        .names
        .iter()
        .filter(|name| !info.covers(name))
        .map(String::as_str)
        .collect();
    if !lacking.is_empty() {
        wrong.push(format!(
            "it isn't made out to {}, but to {}",
            lacking.join(", "),
            info.sans.join(", ")
        ));
    }
    if let Some(authority) = wanted.authority.as_ref().filter(|a| **a != info.issuer) {
        wrong.push(format!(
            "it was signed by '{}', the authority beside it is '{authority}'",
            info.issuer
        ));
    }
    if info.not_after < now + LEAST {
        wrong.push(format!("it ends on {}", info.not_after.strftime("%F")));
    }
    Verdict {
        path: wanted.path.clone(),
        sans: info.sans.clone(),
        wrong,
    }
}

/// One file that isn't as in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub node: String,
    pub path: String,
    /// What has changed, a sentence each.
    pub what: Vec<String>,
}

/// What a comparison gives.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    pub set: String,
    pub differences: Vec<Difference>,
    /// Hosts that couldn't be read, and why.
    pub unread: Vec<(String, String)>,
    /// Files that were compared.
    pub files: usize,
}

/// Compare the certificates and keys of these hosts with a set (none: the newest that has the first of them). Only hashes
/// and what certificates say are compared, so an encrypted set needs no key.
pub async fn diff(site: &Site, hosts: &[String], set: Option<&str>) -> Result<Compared, Failure> {
    let first = hosts
        .first()
        .ok_or_else(|| Failure::new("no host is chosen"))?;
    let set = backup::newest(&site.backups, first, set)?;
    let mut compared = Compared {
        set: set.manifest.set.clone(),
        differences: Vec::new(),
        unread: Vec::new(),
        files: 0,
    };
    let all = join_all(hosts.iter().map(|host| one(site, host, &set))).await;
    for (host, result) in hosts.iter().zip(all) {
        match result {
            Ok((count, found)) => {
                compared.files += count;
                compared.differences.extend(found);
            }
            Err(why) => compared.unread.push((host.clone(), why.message)),
        }
    }
    Ok(compared)
}

async fn one(site: &Site, host: &str, set: &Set) -> Result<(usize, Vec<Difference>), Failure> {
    let archive = set
        .manifest
        .node(host)
        .ok_or_else(|| Failure::new(format!("{host} is not in the backup {}", set.manifest.set)))?;
    let hand = site.host(host).await?;
    let tar = fetch(&hand, PATHS).await?;
    let read = files(tar.expose())
        .map_err(|e| Failure::new(format!("what {host} sent can't be read: {e}")))?;
    let now: BTreeMap<String, Now> = read
        .iter()
        .map(|(path, content)| {
            let bytes = content.bytes.expose();
            let now = Now {
                sha256: hex(&Sha256::digest(bytes)),
                rights: format!("{:04o} {} {}", content.mode, content.owner, content.group),
                certificate: CertificateInfo::read(bytes),
            };
            (path.clone(), now)
        })
        .collect();
    Ok(compare(host, archive, &now))
}

struct Now {
    sha256: String,
    rights: String,
    certificate: Option<CertificateInfo>,
}

/// Pure.
fn compare(
    node: &str,
    archive: &NodeArchive,
    now: &BTreeMap<String, Now>,
) -> (usize, Vec<Difference>) {
    let below = |path: &str| PATHS.iter().any(|dir| path.starts_with(&format!("{dir}/")));
    let then: BTreeMap<&str, _> = archive
        .files
        .iter()
        .filter(|f| f.kind == EntryKind::File && below(&f.path) && !f.path.contains(BEFORE))
        .map(|f| (f.path.as_str(), f))
        .collect();
    let paths: BTreeSet<&str> = then
        .keys()
        .copied()
        .chain(now.keys().map(String::as_str))
        .collect();
    let mut found = Vec::new();
    for path in &paths {
        let mut what = Vec::new();
        match (then.get(path), now.get(*path)) {
            (Some(_), None) => what.push("it is gone".to_owned()),
            (None, Some(_)) => what.push("it is new".to_owned()),
            (Some(then), Some(now)) => {
                let rights = format!("{} {} {}", then.mode, then.owner, then.group);
                if rights != now.rights {
                    what.push(format!("mode and owner: {rights}, now {}", now.rights));
                }
                if then.sha256 != now.sha256 {
                    what.extend(certificates(
                        then.certificate.as_ref(),
                        now.certificate.as_ref(),
                    ));
                }
            }
            (None, None) => {}
        }
        if !what.is_empty() {
            found.push(Difference {
                node: node.to_owned(),
                path: (*path).to_owned(),
                what,
            });
        }
    }
    (paths.len(), found)
}

fn certificates(then: Option<&CertificateInfo>, now: Option<&CertificateInfo>) -> Vec<String> {
    let (Some(then), Some(now)) = (then, now) else {
        return vec!["another content".to_owned()];
    };
    let day = |at: Timestamp| at.strftime("%F").to_string();
    let fields = [
        ("subject", then.subject.clone(), now.subject.clone()),
        ("issuer", then.issuer.clone(), now.issuer.clone()),
        ("names", then.sans.join(" "), now.sans.join(" ")),
        ("end", day(then.not_after), day(now.not_after)),
    ];
    let mut what: Vec<String> = fields
        .into_iter()
        .filter(|(_, then, now)| then != now)
        .map(|(field, then, now)| format!("{field}: {then}, now {now}"))
        .collect();
    if then.spki_sha256 != now.spki_sha256 {
        what.push("it is for another key".to_owned());
    }
    if what.is_empty() {
        what.push("another certificate that says the same".to_owned());
    }
    what
}

#[cfg(test)]
#[path = "check_certs_tests.rs"]
mod tests;
