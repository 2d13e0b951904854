//! The settings of the new member: those of a healthy one, with its own names and addresses.

use super::facts::Place;
use crate::cluster::Member;
use crate::cluster::identity::Settings;
use indexmap::IndexMap;

/// `ETCD_…` settings for `home`, made from those of the member at `donor`.
///
/// Timings, quota and the like have to be the same on all members, so they are taken over; names, URLs and paths of
/// certificates become those of the new member.
pub fn environment(
    donor: &Settings,
    donor_host: &str,
    home: &Place,
    initial_cluster: &str,
) -> IndexMap<String, String> {
    let old = donor.peer_urls().first().and_then(|u| address(u));
    let new = address(&home.peer_url);
    let mut made: IndexMap<String, String> = donor
        .values
        .iter()
        .map(|(name, value)| {
            let value = match name.as_str() {
                "NAME" => home.member.clone(),
                "INITIAL_CLUSTER" => initial_cluster.to_owned(),
                "INITIAL_CLUSTER_STATE" => "existing".to_owned(),
                name if name.ends_with("_URLS") => match (&old, &new) {
                    (Some(old), Some(new)) => urls(value, old, new),
                    _ => value.clone(),
                },
                name if name.ends_with("_FILE") => certificate(value, donor_host, &home.host),
                _ => value.clone(),
            };
            (format!("ETCD_{name}"), value)
        })
        .collect();
    // Set even where the donor relied on defaults.
    made.insert("ETCD_NAME".into(), home.member.clone());
    made.insert("ETCD_INITIAL_CLUSTER".into(), initial_cluster.to_owned());
    made.insert("ETCD_INITIAL_CLUSTER_STATE".into(), "existing".into());
    made.insert(
        "ETCD_INITIAL_ADVERTISE_PEER_URLS".into(),
        home.peer_url.clone(),
    );
    made.insert("ETCD_ADVERTISE_CLIENT_URLS".into(), home.client_url.clone());
    made
}

/// `name=url` of every member that stays, and of the new one.
pub fn initial_cluster<'a>(staying: impl Iterator<Item = &'a Member>, home: &Place) -> String {
    let mut pairs: Vec<String> = staying
        .filter(|m| m.started() && !m.peer_urls.contains(&home.peer_url))
        .flat_map(|m| m.peer_urls.iter().map(|u| format!("{}={u}", m.name)))
        .chain([format!("{}={}", home.member, home.peer_url)])
        .collect();
    pairs.sort();
    pairs.join(",")
}

/// The host part of a URL, without brackets.
pub fn address(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(uri.host()?.trim_matches(['[', ']']).to_owned())
}

/// Every URL whose host is exactly `old` gets `new`; others (127.0.0.1) stay.
fn urls(list: &str, old: &str, new: &str) -> String {
    let bracket = |a: &str| {
        if a.contains(':') {
            format!("[{a}]")
        } else {
            a.to_owned()
        }
    };
    list.split(',')
        .map(|url| match address(url) {
            Some(host) if host == old => url.replacen(&bracket(old), &bracket(new), 1),
            _ => url.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

/// `/etc/ssl/etcd/ssl/member-node1-key.pem` → `…/member-node3-key.pem`; names that don't hold the host stay.
fn certificate(path: &str, old: &str, new: &str) -> String {
    let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    for end in ["-key.pem", ".pem", ".crt", ".key"] {
        if let Some(kind) = file.strip_suffix(end).and_then(|f| f.strip_suffix(old))
            && kind.ends_with('-')
        {
            return format!("{dir}/{kind}{new}{end}");
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn home() -> Place {
        Place {
            host: "node3".into(),
            member: "etcd3".into(),
            peer_url: "https://10.0.0.3:2380".into(),
            client_url: "https://10.0.0.3:2379".into(),
        }
    }

    #[test]
    fn a_member_gets_the_settings_of_the_others_and_its_own_names() {
        let donor = Settings {
            file: "/etc/etcd.env".into(),
            values: BTreeMap::from(
                [
                    ("NAME", "etcd1"),
                    ("HEARTBEAT_INTERVAL", "250"),
                    (
                        "LISTEN_CLIENT_URLS",
                        "https://10.0.0.1:2379,https://127.0.0.1:2379",
                    ),
                    ("INITIAL_ADVERTISE_PEER_URLS", "https://10.0.0.1:2380"),
                    ("INITIAL_CLUSTER_STATE", "new"),
                    ("CERT_FILE", "/etc/ssl/etcd/ssl/member-node1.pem"),
                    ("PEER_KEY_FILE", "/etc/ssl/etcd/ssl/member-node1-key.pem"),
                    ("TRUSTED_CA_FILE", "/etc/ssl/etcd/ssl/ca.pem"),
                ]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
            ),
        };
        let made = environment(
            &donor,
            "node1",
            &home(),
            "etcd1=https://10.0.0.1:2380,etcd3=https://10.0.0.3:2380",
        );
        assert_eq!(made["ETCD_NAME"], "etcd3");
        assert_eq!(made["ETCD_HEARTBEAT_INTERVAL"], "250");
        assert_eq!(
            made["ETCD_LISTEN_CLIENT_URLS"],
            "https://10.0.0.3:2379,https://127.0.0.1:2379"
        );
        assert_eq!(
            made["ETCD_INITIAL_ADVERTISE_PEER_URLS"],
            "https://10.0.0.3:2380"
        );
        assert_eq!(made["ETCD_INITIAL_CLUSTER_STATE"], "existing");
        assert_eq!(made["ETCD_CERT_FILE"], "/etc/ssl/etcd/ssl/member-node3.pem");
        assert_eq!(
            made["ETCD_PEER_KEY_FILE"],
            "/etc/ssl/etcd/ssl/member-node3-key.pem"
        );
        assert_eq!(made["ETCD_TRUSTED_CA_FILE"], "/etc/ssl/etcd/ssl/ca.pem");
    }

    #[test]
    fn addresses_that_begin_alike_are_not_mixed_up() {
        assert_eq!(
            urls(
                "https://10.0.0.11:2379,https://10.0.0.1:2379",
                "10.0.0.1",
                "10.0.0.9"
            ),
            "https://10.0.0.11:2379,https://10.0.0.9:2379"
        );
        assert_eq!(
            urls("https://[fd00::1]:2379", "fd00::1", "fd00::2"),
            "https://[fd00::2]:2379"
        );
        assert_eq!(
            certificate("/x/member-node11.pem", "node1", "node3"),
            "/x/member-node11.pem"
        );
    }

    #[test]
    fn the_initial_cluster_names_who_stays_and_the_new_one() {
        let member = |name: &str, n: u8| Member {
            id: n.into(),
            name: name.into(),
            peer_urls: vec![format!("https://10.0.0.{n}:2380")],
            client_urls: Vec::new(),
            learner: false,
        };
        let staying = [member("etcd2", 2), member("etcd1", 1), member("", 3)];
        assert_eq!(
            initial_cluster(staying.iter(), &home()),
            "etcd1=https://10.0.0.1:2380,etcd2=https://10.0.0.2:2380,etcd3=https://10.0.0.3:2380"
        );
    }
}
