use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

struct Pki {
    authority: Authority,
    issuer: Issuer<'static, KeyPair>,
}

fn pki(name: &str, path: &str, end: i32) -> Pki {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(end, 1, 1);
    let pem = params.self_signed(&key).expect("signed").pem();
    Pki {
        authority: Authority {
            issued: Issued::read(pem.as_bytes()).expect("read"),
            host: "node1".to_owned(),
            path: path.to_owned(),
            key: "key".to_owned(),
        },
        issuer: Issuer::new(params, key),
    }
}

fn leaf(pki: &Pki, key: &KeyPair, [begin, end]: [i32; 2], host: &str) -> Leaf {
    let mut params = CertificateParams::new(vec!["node".to_owned()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.not_before = rcgen::date_time_ymd(begin, 1, 1);
    params.not_after = rcgen::date_time_ymd(end, 1, 1);
    let pem = params.signed_by(key, &pki.issuer).expect("signed").pem();
    Leaf {
        place: Place {
            host: host.to_owned(),
            path: "/etc/ssl/etcd/ssl/leaf.pem".to_owned(),
            rights: Default::default(),
        },
        issued: Issued::read(pem.as_bytes()).expect("read"),
    }
}

fn intent(options: Options) -> Intent {
    Intent {
        options: Options {
            hosts: vec!["node1".to_owned(), "node2".to_owned()],
            ..options
        },
        begin: "2026-11-21T00:00:00Z".parse().expect("a time"),
    }
}

fn now() -> Timestamp {
    "2026-11-21T00:05:00Z".parse().expect("a time")
}

#[test]
fn copies_of_a_certificate_are_one() {
    let etcd = pki("etcd-ca", "/etc/ssl/etcd/ssl/ca.pem", 2100);
    let key = KeyPair::generate().expect("a key");
    let leaves = vec![
        leaf(&etcd, &key, [2024, 2027], "node1"),
        leaf(&etcd, &key, [2025, 2028], "node2"),
        leaf(&etcd, &key, [2025, 2028], "left-out"),
        leaf(
            &etcd,
            &KeyPair::generate().expect("a key"),
            [2025, 2028],
            "left-out",
        ),
    ];
    let authorities = [etcd.authority];
    let found = plan(
        leaves.clone(),
        &authorities,
        &intent(Options::default()),
        now(),
    );
    let found = found.expect("a plan");
    assert_eq!(found.targets.len(), 1);
    let target = &found.targets[0];
    let newest = leaves[1].issued.not_before;
    assert_eq!(target.issued.not_before, newest, "the newest counts");
    assert_eq!(target.places.len(), 2);
    // As long as the newest lasted.
    assert_eq!(target.not_after.strftime("%F").to_string(), "2029-11-20");
    assert!(found.notes[0].starts_with("etcd: 'CN=leaf' (/etc/ssl/etcd/ssl/leaf.pem in 2 files)"));
}

#[test]
fn only_what_was_asked_for_is_renewed() {
    let kubernetes = pki("kubernetes", "/etc/kubernetes/ssl/ca.crt", 2030);
    let key = KeyPair::generate().expect("a key");
    let leaves = vec![leaf(&kubernetes, &key, [2024, 2027], "node1")];
    let authorities = [kubernetes.authority];
    let count = |options: Options| {
        let found = plan(leaves.clone(), &authorities, &intent(options), now());
        found.expect("a plan").targets
    };
    let realm = |only| {
        count(Options {
            only,
            ..Options::default()
        })
        .len()
    };
    assert_eq!(
        (realm(Some(Realm::Etcd)), realm(Some(Realm::Kubernetes))),
        (0, 1)
    );
    let within = |days| {
        count(Options {
            within: Some(days),
            ..Options::default()
        })
    };
    assert_eq!((within(30).len(), within(60).len()), (0, 1));
    // Never beyond the authority.
    let long = count(Options {
        days: Some(36_500),
        ..Options::default()
    });
    assert_eq!(long[0].not_after, authorities[0].issued.not_after);
}

#[test]
fn what_nobody_can_sign_stays() {
    let etcd = pki("etcd-ca", "/etc/ssl/etcd/ssl/ca.pem", 2100);
    let key = KeyPair::generate().expect("a key");
    let leaves = vec![leaf(&etcd, &key, [2024, 2027], "node1")];
    // Another authority of the same name.
    let other = pki("etcd-ca", "/etc/ssl/etcd/ssl/ca.pem", 2100).authority;
    let found = plan(leaves.clone(), &[other], &intent(Options::default()), now());
    let found = found.expect("a plan");
    assert!(found.targets.is_empty());
    assert!(found.notes[0].contains("stays as it is"));
    let ended = pki("old", "/etc/ssl/etcd/ssl/ca.pem", 2020);
    let leaves = vec![leaf(&ended, &key, [2019, 2027], "node1")];
    let refused = plan(
        leaves,
        &[ended.authority],
        &intent(Options::default()),
        now(),
    );
    assert!(
        refused
            .expect_err("refused")
            .message
            .contains("has ended on 2020-01-01")
    );
}
