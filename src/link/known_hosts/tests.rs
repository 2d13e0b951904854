use super::*;
use proptest::prelude::*;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::certificate::Builder;
use std::path::Path;
use std::process::Command;

fn new_key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
}

fn text_of(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(text, Path::new("known"));
    known
}

fn check(text: &str, name: &str, port: u16, key: &PrivateKey) -> Finding {
    known(text).check_key(&HostNames::new(name, port, false), key.public_key())
}

#[test]
fn finds_a_key_under_every_way_to_name_a_host() {
    let (key, other) = (new_key(), new_key());
    let k = text_of(&key);
    for line in [
        format!("node1 {k}"),
        format!("NODE1 {k} a comment"),
        format!("  node1\t{k}"),
        format!("a,node1,b {k}"),
        format!("node* {k}"),
        format!("node?,!node2 {k}"),
        format!("# comment\n\nnode1 ssh-ed25519 broken\n@strange node1 {k}\nnode1 {k}"),
        format!("node1 {}\nnode1 {k}", text_of(&other)),
        format!("{} {k}", line::hashed_name("node1")),
    ] {
        assert_eq!(check(&line, "Node1", 22, &key), Finding::Known, "{line}");
        assert_eq!(check(&line, "other", 22, &key), Finding::Unknown, "{line}");
    }
    assert_eq!(
        check(&format!("node*,!node1 {k}"), "node1", 22, &key),
        Finding::Unknown
    );
}

#[test]
fn ports_other_than_22_are_written_down_and_the_bare_name_still_counts() {
    let (key, other) = (new_key(), new_key());
    let (k, o) = (text_of(&key), text_of(&other));
    assert_eq!(
        check(&format!("[n]:2222 {k}"), "n", 2222, &key),
        Finding::Known
    );
    assert_eq!(
        check(&format!("[n]:2222 {k}"), "n", 22, &key),
        Finding::Unknown
    );
    assert_eq!(check(&format!("n {k}"), "n", 2222, &key), Finding::Known);
    let both = format!("n {o}\n[n]:2222 {k}");
    assert_eq!(check(&both, "n", 2222, &key), Finding::Known);
    assert!(matches!(
        check(&both, "n", 2222, &other),
        Finding::Changed(_)
    ));
}

#[test]
fn a_revoked_key_is_refused_even_where_it_is_also_listed() {
    let key = new_key();
    let k = text_of(&key);
    let finding = check(&format!("node1 {k}\n@revoked * {k}"), "node1", 22, &key);
    assert_eq!(
        finding,
        Finding::Revoked {
            file: "known".into(),
            line: 2
        }
    );
}

#[test]
fn a_changed_key_shows_what_was_expected_and_where() {
    let (key, other) = (new_key(), new_key());
    let Finding::Changed(expected) =
        check(&format!("\nnode1 {}", text_of(&other)), "node1", 22, &key)
    else {
        panic!("a different key was not seen as changed");
    };
    assert_eq!(expected.len(), 1);
    assert_eq!(expected[0].line, 2);
    assert_eq!(
        expected[0].fingerprint,
        other.fingerprint(HashAlg::Sha256).to_string()
    );
}

#[test]
fn a_key_of_another_type_is_a_change_too() {
    let ecdsa = Algorithm::Ecdsa {
        curve: russh::keys::EcdsaCurve::NistP256,
    };
    let known_key = PrivateKey::random(&mut russh::keys::key::safe_rng(), ecdsa.clone()).unwrap();
    let line = format!("node1 {}", text_of(&known_key));
    assert!(matches!(
        check(&line, "node1", 22, &new_key()),
        Finding::Changed(_)
    ));
    let order = known(&line).algorithms(&HostNames::new("node1", 22, false));
    assert_eq!(
        order[0], ecdsa,
        "the host is asked for the key that we know"
    );
    assert_eq!(order.len(), SUPPORTED.len());
}

fn certificate(
    authority: &PrivateKey,
    host: &PrivateKey,
    name: &str,
    from: u64,
    to: u64,
    kind: CertType,
) -> Certificate {
    let mut rng = russh::keys::key::safe_rng();
    let mut builder =
        Builder::new_with_random_nonce(&mut rng, host.public_key(), from, to).unwrap();
    builder.cert_type(kind).unwrap();
    builder.valid_principal(name).unwrap();
    builder.sign(authority).unwrap()
}

#[test]
fn certificates_must_be_of_a_trusted_authority_for_this_host_and_now() {
    let (authority, host, stranger) = (new_key(), new_key(), new_key());
    let trusted = known(&format!("@cert-authority *.lab {}", text_of(&authority)));
    let names = HostNames::new("n1.lab", 2222, false);
    assert!(trusted.wants_certificate(&names));
    assert!(!trusted.wants_certificate(&HostNames::new("n1.elsewhere", 22, false)));
    let check = |ca: &PrivateKey, name: &str, kind, now| {
        trusted.check_certificate(&names, &certificate(ca, &host, name, 100, 200, kind), now)
    };
    assert_eq!(
        check(&authority, "n1.lab", CertType::Host, 150),
        Finding::Known
    );
    assert_eq!(
        check(&authority, "*.lab", CertType::Host, 150),
        Finding::Known
    );
    let fault = |finding| match finding {
        Finding::BadCertificate(fault) => fault,
        other => panic!("accepted: {other:?}"),
    };
    assert!(fault(check(&authority, "n1.lab", CertType::Host, 99)).contains("yet"));
    assert!(fault(check(&authority, "n1.lab", CertType::Host, 200)).contains("expired"));
    assert!(fault(check(&authority, "n2.lab", CertType::Host, 150)).contains("n2.lab"));
    assert!(fault(check(&authority, "n1.lab", CertType::User, 150)).contains("user"));
    assert_eq!(
        check(&stranger, "n1.lab", CertType::Host, 150),
        Finding::Unknown
    );
    let revoked = known(&format!(
        "@cert-authority * {0}\n@revoked * {0}",
        text_of(&authority)
    ));
    let good = certificate(&authority, &host, "n1.lab", 100, 200, CertType::Host);
    assert!(matches!(
        revoked.check_certificate(&names, &good, 150),
        Finding::Revoked { line: 2, .. }
    ));
}

#[test]
fn appends_once_and_replaces_only_one_host() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ssh").join("known_hosts");
    let (old, new, other) = (new_key(), new_key(), new_key());
    append(&file, "node1", old.public_key(), false).unwrap();
    append(&file, "node1", old.public_key(), false).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("node1 {}\n", text_of(&old)));
    let hashed = line::hashed_name("node1");
    let o = text_of(&other);
    std::fs::write(
        &file,
        format!(
            "# mine\nnode1,10.0.0.1 {old}\n{hashed} {old}\n@revoked node1 {o}\nnode2 {o}\n* {o}",
            old = text_of(&old)
        ),
    )
    .unwrap();
    replace(
        std::slice::from_ref(&file),
        "node1",
        new.public_key(),
        false,
    )
    .unwrap();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!(
            "# mine\n10.0.0.1 {}\n@revoked node1 {o}\nnode2 {o}\n* {o}\nnode1 {}\n",
            text_of(&old),
            text_of(&new)
        )
    );
    append(&file, "node3", new.public_key(), true).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("node3"));
    assert_eq!(check(&text, "node3", 22, &new), Finding::Known);
    assert_eq!(
        std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn several_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    std::thread::scope(|scope| {
        for i in 0..12 {
            let file = &file;
            scope.spawn(move || {
                append(
                    file,
                    &format!("node{i}"),
                    new_key().public_key(),
                    i % 2 == 0,
                )
                .unwrap();
            });
        }
    });
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 12);
}

/// Does `ssh-keygen -F` find the name in this text?
fn ssh_keygen_finds(text: &str, name: &str) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let output = Command::new("ssh-keygen")
        .arg("-F")
        .arg(name)
        .arg("-f")
        .arg(file.path())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).contains("found: line")
}

#[test]
fn agrees_with_ssh_keygen() {
    let key = new_key();
    let k = text_of(&key);
    let names = ["node1", "[node1]:2222", "a.b.example.org", "10.0.0.1"];
    let fields = [
        "node1",
        "NODE1",
        "node1,node2",
        "node?",
        "*.example.org",
        "*",
        "*,!node1",
        "!node1",
        "[node1]:2222",
        "[*]:2222",
        "10.0.0.*",
        "nod",
        "node11",
        "*:2222",
    ];
    let hashed: Vec<_> = names.iter().map(|name| line::hashed_name(name)).collect();
    for field in fields
        .iter()
        .copied()
        .chain(hashed.iter().map(String::as_str))
    {
        for separator in [" ", "\t", "  \t "] {
            let text = format!("\n# c\n {field}{separator}{k} comment here\n");
            for name in names {
                let ours = known(&text).marked(None, name).next().is_some();
                assert_eq!(ours, ssh_keygen_finds(&text, name), "{name} in {text:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_can_be_read_and_changed(text in "[ -~\t\n]{0,200}", name in "[a-z0-9.]{1,8}") {
        let key = new_key();
        drop(known(&text).check_key(&HostNames::new(&name, 22, false), key.public_key()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k");
        std::fs::write(&file, &text).unwrap();
        replace(std::slice::from_ref(&file), &name, key.public_key(), false).unwrap();
        let after = std::fs::read_to_string(&file).unwrap();
        prop_assert_eq!(known(&after).check_key(&HostNames::new(&name, 22, false), key.public_key()), Finding::Known);
    }

    #[test]
    fn broken_hashes_are_passed_over(salt in "[A-Za-z0-9+/=|]{0,40}") {
        let text = format!("|1|{salt} {}", text_of(&new_key()));
        prop_assert_eq!(check(&text, "node1", 22, &new_key()), Finding::Unknown);
    }
}
