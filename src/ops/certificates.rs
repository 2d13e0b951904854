//! `certs list`: every certificate of every node, on disks and behind ports, judged by how long it lasts.

use super::engine::Failure;
use super::site::Site;
use crate::backup::PATHS;
use crate::backup::certificate::CertificateInfo;
use crate::backup::inspect::{Found, KeyState, certificates};
use crate::cluster::{Hand, HandError, identity, tls};
use crate::secret::Secret;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

/// Where certificates are beside the usual directories: inside of kubeconfigs, and the kubelet's own.
const MORE: &[&str] = &[
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/var/lib/kubelet/pki",
    "/root/.kube/config",
];
/// Ports of Kubernetes that speak TLS: API server, kubelet, controller manager, scheduler.
const PORTS: &[u16] = &[6443, 10250, 10257, 10259];

/// How soon an end is worth a word.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub warning: SignedDuration,
    pub critical: SignedDuration,
}

/// From best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Fine,
    Warning,
    Critical,
    Expired,
}

/// One certificate on one node.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub node: String,
    #[serde(flatten)]
    pub found: Found,
    pub state: State,
    /// Whole days that are left; negative: since it ended.
    pub days: i64,
    /// What is wrong beside its end.
    pub problems: Vec<String>,
}

/// All lines, the worst first; and the nodes that couldn't be read.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listing {
    pub certificates: Vec<Line>,
    pub unread: Vec<(String, String)>,
}

impl Listing {
    /// Something has to be done: an end that is near, a key that doesn't fit or that others can read, a node that can't be
    /// read.
    pub fn bad(&self) -> bool {
        let bad = |line: &Line| line.state >= State::Critical || !line.problems.is_empty();
        !self.unread.is_empty() || self.certificates.iter().any(bad)
    }
}

/// Read the certificates of these hosts. Private keys are compared in memory and forgotten.
pub async fn list(site: &Site, hosts: &[String], more: &[String], limits: Limits) -> Listing {
    let read = join_all(hosts.iter().map(|host| one(site, host, more))).await;
    let now = Timestamp::now();
    let mut listing = Listing::default();
    for (node, result) in hosts.iter().zip(read) {
        match result {
            Ok(found) => listing.certificates.extend(
                found
                    .into_iter()
                    .map(|found| line(node, found, now, limits)),
            ),
            Err(why) => listing.unread.push((node.clone(), why.message)),
        }
    }
    listing.certificates.sort_by(|a, b| {
        (a.found.certificate.not_after, &a.node).cmp(&(b.found.certificate.not_after, &b.node))
    });
    listing
}

/// The files at and below these paths of a host, as a tar in memory.
pub(super) async fn fetch(hand: &Hand, paths: &[&str]) -> Result<Secret<Vec<u8>>, Failure> {
    let mut tar = Vec::new();
    let task = hand.task("_archive", json!({ "paths": paths }));
    let outcome = hand
        .link
        .fetch(task, &mut tar)
        .await
        .map_err(HandError::from)?;
    let tar = Secret::new(tar);
    match outcome.failed {
        true => Err(hand.refused("_archive", &outcome).into()),
        false => Ok(tar),
    }
}

async fn one(site: &Site, host: &str, more: &[String]) -> Result<Vec<Found>, Failure> {
    let hand = site.host(host).await?;
    let paths: Vec<&str> = PATHS
        .iter()
        .chain(MORE)
        .copied()
        .chain(more.iter().map(String::as_str))
        .collect();
    let tar = fetch(&hand, &paths).await?;
    let mut found = certificates(tar.expose())
        .map_err(|error| Failure::new(format!("what {host} sent can't be read: {error}")))?;
    found.extend(live(&hand, &found).await);
    Ok(found)
}

/// What ports show, and whether it is one of the certificates on the disk.
async fn live(hand: &Hand, on_disk: &[Found]) -> Vec<Found> {
    let settings = identity::settings(hand).await.ok().flatten();
    let urls = settings.map_or_else(Vec::new, |s| [s.client_urls(), s.peer_urls()].concat());
    let mut places: Vec<(String, u16)> = urls
        .iter()
        .filter_map(|url| {
            url.strip_prefix("https://")?
                .trim_end_matches('/')
                .rsplit_once(':')
        })
        .filter_map(|(address, port)| {
            Some((
                address.trim_matches(['[', ']']).to_owned(),
                port.parse().ok()?,
            ))
        })
        .collect();
    places.extend(PORTS.iter().map(|port| ("127.0.0.1".to_owned(), *port)));
    let shown = join_all(
        places
            .iter()
            .map(|(address, port)| tls::shown(hand, address, *port)),
    )
    .await;
    places
        .iter()
        .zip(shown)
        .filter_map(|((address, port), der)| {
            let certificate = CertificateInfo::der(&der?)?;
            let same = |found: &Found| found.certificate == certificate;
            Some(Found {
                place: format!("tls://{address}:{port}"),
                key: match on_disk.iter().any(same) {
                    true => KeyState::Match,
                    false => KeyState::None,
                },
                certificate,
                key_mode: None,
            })
        })
        .collect()
}

fn line(node: &str, found: Found, now: Timestamp, limits: Limits) -> Line {
    let left = found.certificate.not_after.duration_since(now);
    let state = match left {
        left if left <= SignedDuration::ZERO => State::Expired,
        left if left <= limits.critical => State::Critical,
        left if left <= limits.warning => State::Warning,
        _ => State::Fine,
    };
    let mut problems = Vec::new();
    if found.key == KeyState::Mismatch {
        problems.push("the key beside it is another certificate's".to_owned());
    }
    let open = |mode: &String| u32::from_str_radix(mode, 8).is_ok_and(|m| m & 0o007 != 0);
    if let Some(mode) = found.key_mode.as_ref().filter(|mode| open(mode)) {
        problems.push(format!("everybody can read its key (mode {mode})"));
    }
    if found.place.starts_with("tls://") && found.key == KeyState::None {
        problems.push(
            "it isn't on the disk any more: the process has to be restarted to take the new one"
                .to_owned(),
        );
    }
    Line {
        node: node.to_owned(),
        state,
        days: left.as_secs().div_euclid(86_400),
        problems,
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_judged_by_its_distance() {
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
        let limits = Limits {
            warning: SignedDuration::from_hours(30 * 24),
            critical: SignedDuration::from_hours(7 * 24),
        };
        for (end, state, days) in [
            ("2026-11-20T23:59:59Z", State::Expired, -1),
            ("2026-11-21T00:00:00Z", State::Expired, 0),
            ("2026-11-28T00:00:00Z", State::Critical, 7),
            ("2026-11-28T00:00:01Z", State::Warning, 7),
            ("2026-12-21T00:00:01Z", State::Fine, 30),
        ] {
            let found = Found {
                place: "/x.crt".to_owned(),
                certificate: CertificateInfo {
                    subject: String::new(),
                    issuer: String::new(),
                    sans: Vec::new(),
                    not_after: end.parse().expect("a time"),
                    ca: false,
                    spki_sha256: String::new(),
                },
                key: KeyState::Match,
                key_mode: Some("0640".to_owned()),
            };
            let line = line("node1", found, now, limits);
            assert_eq!((line.state, line.days), (state, days), "{end}");
            assert!(line.problems.is_empty());
        }
    }
}
