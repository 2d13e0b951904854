use super::*;
use crate::backup::manifest::FileEntry;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings {
        file: "/etc/etcd.env".to_owned(),
        values: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn info(sans: &[&str]) -> CertificateInfo {
    CertificateInfo {
        subject: "CN=etcd-member-node3".to_owned(),
        issuer: "CN=etcd-ca".to_owned(),
        sans: sans.iter().map(|&san| san.to_owned()).collect(),
        not_after: "2036-01-01T00:00:00Z".parse().expect("a time"),
        ca: false,
        spki_sha256: "aa".to_owned(),
    }
}

#[test]
fn a_member_is_asked_for_every_address_that_others_use() {
    let settings = settings(&[
        ("CERT_FILE", "/ssl/server.crt"),
        ("PEER_CERT_FILE", "/ssl/peer.crt"),
        ("TRUSTED_CA_FILE", "/ssl/ca.crt"),
        ("PEER_TRUSTED_CA_FILE", "/ssl/ca.crt"),
        ("ADVERTISE_CLIENT_URLS", "https://10.0.0.3:2379"),
        ("INITIAL_ADVERTISE_PEER_URLS", "https://[fd00::3]:2380"),
    ]);
    let addresses = BTreeSet::from(["192.168.0.3".to_owned()]);
    let all = wanted("node3", true, &addresses, Some(&settings));
    let names = |path: &str| {
        let one = all.iter().find(|w| w.path == path).expect("asked for");
        one.names.iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        names("/ssl/server.crt"),
        ["10.0.0.3", "127.0.0.1", "192.168.0.3"]
    );
    assert_eq!(names("/ssl/peer.crt"), ["192.168.0.3", "fd00::3"]);
    // Kubespray's layout is assumed for a member whose settings are gone: one file for clients and peers.
    let bare = wanted("node3", true, &addresses, None);
    assert_eq!(bare.len(), 2);
    assert_eq!(bare[1].path, "/etc/ssl/etcd/ssl/member-node3.pem");
    // A worker has none.
    assert!(
        wanted("w1", false, &addresses, None)
            .iter()
            .all(|w| w.path.ends_with("apiserver.crt"))
    );
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let now: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
    let wanted = Wanted {
        path: "/x.pem".to_owned(),
        names: BTreeSet::from(["10.0.0.3".to_owned(), "10.0.0.4".to_owned()]),
        authority: Some("CN=etcd-ca".to_owned()),
    };
    let fine = judge(&wanted, Some(&info(&["IP:10.0.0.3", "IP:10.0.0.4"])), now);
    assert!(fine.wrong.is_empty());
    let lacking = judge(&wanted, Some(&info(&["IP:10.0.0.3"])), now);
    assert_eq!(
        lacking.wrong,
        ["it isn't made out to 10.0.0.4, but to IP:10.0.0.3"]
    );
    let late = judge(
        &wanted,
        Some(&info(&["IP:10.0.0.3", "IP:10.0.0.4"])),
        "2035-12-31T12:00:00Z".parse().expect("a time"),
    );
    assert_eq!(late.wrong, ["it ends on 2036-01-01"]);
    assert_eq!(judge(&wanted, None, now).wrong, ["it isn't there"]);
}

#[test]
fn differences_are_told_in_words() {
    let entry = |path: &str, sha256: &str, certificate| FileEntry {
        path: format!("/etc/ssl/etcd/ssl/{path}"),
        kind: EntryKind::File,
        size: 1,
        sha256: sha256.to_owned(),
        mode: "0640".to_owned(),
        owner: "etcd".to_owned(),
        group: "root".to_owned(),
        target: None,
        certificate,
    };
    let archive = NodeArchive {
        node: "node3".to_owned(),
        archive: String::new(),
        sha256: String::new(),
        size: 0,
        files: vec![
            entry("a.pem", "1", Some(info(&["IP:10.0.0.3"]))),
            entry("gone.pem", "2", None),
            entry("same.pem", "3", None),
            entry("key.pem", "4", None),
        ],
    };
    let file = |sha256: &str, rights: &str, certificate| Now {
        sha256: sha256.to_owned(),
        rights: rights.to_owned(),
        certificate,
    };
    let renewed = CertificateInfo {
        not_after: "2046-01-01T00:00:00Z".parse().expect("a time"),
        ..info(&["IP:10.0.0.3"])
    };
    let now = [
        ("a.pem", file("9", "0640 etcd root", Some(renewed))),
        ("new.pem", file("5", "0640 etcd root", None)),
        ("same.pem", file("3", "0644 etcd root", None)),
        ("key.pem", file("8", "0640 etcd root", None)),
    ];
    let now = now
        .into_iter()
        .map(|(path, now)| (format!("/etc/ssl/etcd/ssl/{path}"), now))
        .collect();
    let (count, found) = compare("node3", &archive, &now);
    let told: Vec<String> = found.iter().map(|d| d.what.join("; ")).collect();
    assert_eq!(count, 5);
    assert_eq!(
        told,
        [
            "end: 2036-01-01, now 2046-01-01",
            "it is gone",
            "another content",
            "it is new",
            "mode and owner: 0640 etcd root, now 0644 etcd root",
        ]
    );
}
