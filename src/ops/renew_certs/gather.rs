//! Every certificate of every host, read now. Nothing is changed here, and no key leaves its host.

use super::facts::{Authority, Intent, Leaf, Options, Place};
use super::{COMMAND, INTENT};
use crate::backup::PATHS;
use crate::backup::inspect::{self, Content};
use crate::cluster::Hand;
use crate::cluster::reissue::Issued;
use crate::journal::{self, Run, RunEnd, State};
use crate::ops::certificates;
use crate::ops::engine::Failure;
use crate::ops::site::Site;
use base64::Engine as _;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Kubeconfigs that carry certificates. The kubelet's own are left to the kubelet, which renews them itself.
const KUBECONFIGS: &[&str] = &[
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/root/.kube/config",
];
const CLIENT: &str = "client-certificate-data:";
/// For how long a renewal that came to no end may be gone on with.
const STALE: SignedDuration = SignedDuration::from_hours(24);

pub(super) struct Ground {
    pub(super) hands: BTreeMap<String, Hand>,
    pub(super) leaves: Vec<Leaf>,
    pub(super) authorities: Vec<Authority>,
}

pub(super) async fn gather(site: &Site, options: &Options) -> Result<Ground, Failure> {
    let all = site.inventory.hosts();
    let read = join_all(all.iter().map(|host| async move {
        let hand = site.host(host).await?;
        let paths: Vec<&str> = PATHS
            .iter()
            .chain(KUBECONFIGS)
            .copied()
            .chain(options.paths.iter().map(String::as_str))
            .collect();
        let tar = certificates::fetch(&hand, &paths).await?;
        let files = inspect::files(tar.expose())
            .map_err(|e| Failure::new(format!("what {host} sent can't be read: {e}")))?;
        Ok::<_, Failure>((hand, files))
    }))
    .await;
    let mut ground = Ground {
        hands: BTreeMap::new(),
        leaves: Vec::new(),
        authorities: Vec::new(),
    };
    for (host, result) in all.iter().map(ToString::to_string).zip(read) {
        match result {
            Ok((hand, files)) => {
                ground.sort(&host, &files);
                ground.hands.insert(host, hand);
            }
            // The key of an authority may lie there, but who signs is found without it, or not at all.
            Err(_) if !options.hosts.contains(&host) => {}
            Err(why) => {
                return Err(Failure::new(format!(
                    "{host} can't be read, and would keep its old certificates: {}",
                    why.message
                ))
                .hint(format!(
                    "bring it back; or leave it out: --limit 'all:!{host}'"
                )));
            }
        }
    }
    Ok(ground)
}

impl Ground {
    fn sort(&mut self, host: &str, files: &BTreeMap<String, Content>) {
        for (path, content) in files {
            let Some(issued) = certificate(content.bytes.expose()) else {
                continue;
            };
            if !issued.ca {
                let place = Place {
                    host: host.to_owned(),
                    path: path.clone(),
                    rights: [
                        format!("{:04o}", content.mode),
                        content.owner.clone(),
                        content.group.clone(),
                    ],
                };
                self.leaves.push(Leaf { place, issued });
                continue;
            }
            let mut names = inspect::key_names(path).into_iter();
            if let Some(key) = names.find(|name| files.contains_key(name)) {
                self.authorities.push(Authority {
                    issued,
                    host: host.to_owned(),
                    path: path.clone(),
                    key,
                });
            }
        }
    }
}

/// The certificate of a file: the first of PEM text, or the client's that a kubeconfig carries.
pub(super) fn certificate(content: &[u8]) -> Option<Issued> {
    match data(content) {
        Some(data) => Issued::read(
            &base64::engine::general_purpose::STANDARD
                .decode(data)
                .ok()?,
        ),
        None => Issued::read(content),
    }
}

/// The text behind the first `client-certificate-data:`.
fn data(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    let after = &text[text.find(CLIENT)? + CLIENT.len()..];
    let line = after.lines().next()?.trim();
    Some(line.trim_matches(['"', '\'']))
}

/// The file with another certificate in place of its first one; everything else stays.
pub(super) fn replaced(content: &[u8], new: &Issued) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::str::from_utf8(content).ok()?;
    if let Some(old) = data(content) {
        let at = text.find(CLIENT)? + CLIENT.len();
        let at = at + text[at..].find(old)?;
        let new = base64::engine::general_purpose::STANDARD.encode(new.pem());
        return Some([&text[..at], &new, &text[at + old.len()..]].concat().into());
    }
    let begin = text.find(BEGIN)?;
    let end = begin + text[begin..].find(END)? + END.len();
    let after = text[end..].trim_start_matches(['\r', '\n']);
    Some([&text[..begin], &new.pem(), after].concat().into())
}

/// What this run, or the newest one before it that came to no end, set out to do.
pub(super) fn intent(site: &Site, run: &Run, options: &Options) -> Result<Intent, Failure> {
    let now = Timestamp::now();
    let same = |one: &Options, other: &Options| {
        (&one.hosts, &one.paths, one.only, one.within, one.days)
            == (
                &other.hosts,
                &other.paths,
                other.only,
                other.within,
                other.days,
            )
    };
    let runs = journal::list(&site.runs).map_err(|e| Failure::new(e.to_string()))?;
    let mine = |other: &&journal::Summary| {
        other.meta.command == COMMAND
            && other.meta.inventory == run.meta().inventory
            && site.runs.join(&other.meta.id).join(INTENT).exists()
    };
    if let Some(other) = runs.iter().rev().find(mine)
        && (other.meta.id == run.id() || other.state != State::Ended(RunEnd::Done))
        && let Ok(text) = std::fs::read(site.runs.join(&other.meta.id).join(INTENT))
        && let Ok(intent) = serde_json::from_slice::<Intent>(&text)
        && same(&intent.options, options)
        && now.duration_since(intent.begin) < STALE
    {
        return Ok(intent);
    }
    let begin = now - super::facts::SKEW;
    Ok(Intent {
        options: options.clone(),
        begin: Timestamp::from_second(begin.as_second()).unwrap_or(begin),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_certificate_of_a_file_is_replaced() {
        let sign = |name: &str| {
            let key = rcgen::KeyPair::generate().expect("a key");
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("names");
            params.self_signed(&key).expect("signed").pem()
        };
        let (old, chain, new) = (sign("old"), sign("chain"), sign("new"));
        let issued = Issued::read(new.as_bytes()).expect("read");
        let normal = |text: &str| text.replace('\r', "");
        let file =
            format!("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n{old}{chain}");
        let after = replaced(file.as_bytes(), &issued).expect("replaced");
        let wanted = file.replace(&old, &new);
        assert_eq!(normal(&String::from_utf8_lossy(&after)), normal(&wanted));

        let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
        let config = format!(
            "users:\n- name: admin\n  user:\n    client-certificate-data: {}\n    client-key-data: QUFB\n",
            encode(&old)
        );
        assert_eq!(certificate(config.as_bytes()), Issued::read(old.as_bytes()));
        let after = replaced(config.as_bytes(), &issued).expect("replaced");
        assert_eq!(certificate(&after), Some(issued));
        assert!(String::from_utf8_lossy(&after).ends_with("\n    client-key-data: QUFB\n"));
    }
}
