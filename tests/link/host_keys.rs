//! Host keys: known, unknown, changed, revoked, certified, replaced.

use crate::sshd::{Config, Sshd, keygen, run, stdout};
use kopsrun::link::{
    HostKeyPolicy, HostKeyQuestion, LinkError, Pool, Prompt, Verdict, replace_known_host,
    scan_host_key,
};
use kopsrun::secret::Secret;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn fingerprint(sshd: &Sshd, kind: &str) -> String {
    let file = sshd.path().join(format!("host_{kind}.pub"));
    run("ssh-keygen", &["-lf", file.to_str().unwrap()])
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_shown() {
    let sshd = Sshd::usual();
    sshd.set_known_hosts("");
    let error = sshd.link().await.unwrap_err();
    let LinkError::UnknownHostKey {
        name,
        fingerprint: shown,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*name, sshd.name());
    assert_eq!(*shown, fingerprint(&sshd, "ed25519"));
    assert!(
        error
            .advice()
            .join(" ")
            .contains("--accept-new-host-key node1")
    );
    assert_eq!(std::fs::read_to_string(sshd.known_hosts()).unwrap(), "");
}

struct Answer(bool, Mutex<Vec<String>>);

impl Prompt for Answer {
    fn passphrase(&self, _key: &Path, _wrong_before: bool) -> Option<Secret<String>> {
        None
    }

    fn accept_host_key(&self, question: &HostKeyQuestion) -> bool {
        self.1.lock().unwrap().push(question.fingerprint.clone());
        self.0
    }
}

#[tokio::test]
async fn a_person_may_accept_an_unknown_key() {
    for answer in [true, false] {
        let sshd = Sshd::usual();
        sshd.set_known_hosts("");
        let prompt = Arc::new(Answer(answer, Mutex::default()));
        let mut settings = sshd.settings();
        settings.prompt = prompt.clone();
        assert_eq!(sshd.link_with(settings, &[]).await.is_ok(), answer);
        assert_eq!(*prompt.1.lock().unwrap(), [fingerprint(&sshd, "ed25519")]);
        assert_eq!(
            sshd.link().await.is_ok(),
            answer,
            "the answer is written down"
        );
    }
}

#[tokio::test]
async fn policies_of_strict_host_key_checking() {
    let sshd = Sshd::usual();
    for (policy, accepted, written) in [
        ("yes", false, false),
        ("ask", false, false),
        ("accept-new", true, true),
        ("no", true, true),
    ] {
        sshd.set_known_hosts("");
        let args = format!("-o StrictHostKeyChecking={policy}");
        let link = sshd
            .link_with(sshd.settings(), &[("ansible_ssh_common_args", &args)])
            .await;
        assert_eq!(link.is_ok(), accepted, "{policy}");
        let text = std::fs::read_to_string(sshd.known_hosts()).unwrap();
        assert_eq!(
            text.contains(&sshd.host_key("ed25519")),
            written,
            "{policy}"
        );
    }
    let args = "-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null";
    assert!(
        sshd.link_with(sshd.settings(), &[("ansible_ssh_common_args", args)])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_changed_key_is_refused_with_both_fingerprints_under_every_policy_but_off() {
    let (sshd, other) = (Sshd::usual(), Sshd::usual());
    sshd.set_known_hosts(&format!(
        "# mine\n{} {}\n",
        sshd.name(),
        other.host_key("ed25519")
    ));
    for policy in [
        None,
        Some(HostKeyPolicy::Strict),
        Some(HostKeyPolicy::AcceptNew),
    ] {
        let mut settings = sshd.settings();
        settings.host_key_policy = policy;
        let error = sshd.link_with(settings, &[]).await.unwrap_err();
        let LinkError::HostKeyChanged {
            expected,
            fingerprint: got,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(expected[0].fingerprint, fingerprint(&other, "ed25519"));
        assert_eq!(expected[0].line, 2);
        assert_eq!(*got, fingerprint(&sshd, "ed25519"));
        assert!(
            error.to_string().contains(&expected[0].fingerprint) && error.to_string().contains(got)
        );
    }
    // Replaced only for the host that was named.
    let mut settings = sshd.settings();
    settings.accept_new.insert("another".to_owned());
    assert!(sshd.link_with(settings.clone(), &[]).await.is_err());
    settings.accept_new.insert("node1".to_owned());
    assert!(sshd.link_with(settings, &[]).await.is_ok());
    let text = std::fs::read_to_string(sshd.known_hosts()).unwrap();
    assert_eq!(
        text,
        format!("# mine\n{} {}\n", sshd.name(), sshd.host_key("ed25519"))
    );
    assert!(sshd.link().await.is_ok());
}

#[tokio::test]
async fn revoked_keys_are_refused_whatever_else_holds() {
    let sshd = Sshd::usual();
    let key = sshd.host_key("ed25519");
    sshd.set_known_hosts(&format!("{} {key}\n@revoked * {key}\n", sshd.name()));
    let mut settings = sshd.settings();
    settings.accept_new.insert("node1".to_owned());
    settings.host_key_policy = Some(HostKeyPolicy::Off);
    let error = sshd.link_with(settings, &[]).await.unwrap_err();
    assert!(
        matches!(error, LinkError::HostKeyRevoked { line: 2, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn hashed_names_patterns_aliases_and_several_files() {
    let sshd = Sshd::usual();
    run(
        "ssh-keygen",
        &["-H", "-f", sshd.known_hosts().to_str().unwrap()],
    );
    assert!(
        std::fs::read_to_string(sshd.known_hosts())
            .unwrap()
            .starts_with("|1|")
    );
    assert!(sshd.link().await.is_ok());
    let key = sshd.host_key("ed25519");
    sshd.set_known_hosts(&format!("[127.0.0.?]:*,!other\t{key}\n"));
    assert!(sshd.link().await.is_ok());
    sshd.set_known_hosts("");
    let second = sshd.path().join("second");
    std::fs::write(&second, format!("my-alias {key}\n")).unwrap();
    let args = format!(
        "-o HostKeyAlias=my-alias -o 'UserKnownHostsFile={} {}'",
        sshd.known_hosts().display(),
        second.display()
    );
    assert!(
        sshd.link_with(sshd.settings(), &[("ansible_ssh_common_args", &args)])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_host_is_asked_for_the_key_that_is_known() {
    let sshd = Sshd::start(&Config {
        host_keys: &["ed25519", "ecdsa", "rsa"],
        ..Config::default()
    });
    for kind in ["rsa", "ecdsa", "ed25519"] {
        sshd.set_known_hosts(&format!("{} {}\n", sshd.name(), sshd.host_key(kind)));
        assert!(sshd.link().await.is_ok(), "known by {kind}");
    }
    let only_rsa = Sshd::start(&Config {
        host_keys: &["rsa"],
        ..Config::default()
    });
    only_rsa.set_known_hosts(&format!(
        "{} {}\n",
        only_rsa.name(),
        sshd.host_key("ed25519")
    ));
    let error = only_rsa.link().await.unwrap_err();
    assert!(matches!(error, LinkError::HostKeyChanged { .. }), "{error}");
    let args = "-o HostKeyAlgorithms=ssh-ed25519";
    let error = only_rsa
        .link_with(only_rsa.settings(), &[("ansible_ssh_common_args", args)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, LinkError::NoCommonAlgorithm { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn host_certificates() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let authority = keygen(&folder.path().join("ca"), &["-t", "ed25519"]);
    let host = keygen(&folder.path().join("host"), &["-t", "ed25519"]);
    let ca = std::fs::read_to_string(authority.with_extension("pub")).unwrap();
    for (principal, validity, accepted) in [
        ("127.0.0.1", "-1h:+1h", true),
        ("other", "-1h:+1h", false),
        ("127.0.0.1", "-2h:-1h", false),
    ] {
        let sign = [
            "-q",
            "-s",
            authority.to_str().unwrap(),
            "-I",
            "id",
            "-h",
            "-n",
            principal,
            "-V",
            validity,
        ];
        let public = host.with_extension("pub");
        run(
            "ssh-keygen",
            &[&sign[..], &[public.to_str().unwrap()]].concat(),
        );
        let lines = format!("HostKey {0}\nHostCertificate {0}-cert.pub", host.display());
        let sshd = Sshd::start(&Config {
            lines: &lines,
            ..Config::default()
        });
        sshd.set_known_hosts(&format!("@cert-authority [127.0.0.1]:* {ca}"));
        match sshd.link().await {
            Ok(_) => assert!(accepted, "{principal} {validity}"),
            Err(error) => {
                assert!(
                    matches!(error, LinkError::HostCertificate { .. }),
                    "{error}"
                );
                assert!(!accepted, "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_can_be_seen_without_being_trusted_and_then_replaced() {
    let (sshd, other) = (Sshd::usual(), Sshd::usual());
    sshd.set_known_hosts(&format!("{} {}\n", sshd.name(), other.host_key("ed25519")));
    let settings = sshd.settings();
    let target = sshd.target(&[], &settings).unwrap();
    let pool = Pool::new(settings);
    let key = scan_host_key(&target, &pool).await.unwrap();
    assert_eq!(key.fingerprint, fingerprint(&sshd, "ed25519"));
    assert!(matches!(key.verdict, Verdict::Changed(_)));
    assert!(
        pool.link(&target).await.is_err(),
        "seeing it has changed nothing"
    );
    replace_known_host(&target, &key).unwrap();
    let link = pool.link(&target).await.unwrap();
    assert_eq!(stdout(&link, "echo in").await, "in");
    assert_eq!(
        scan_host_key(&target, &pool).await.unwrap().verdict,
        Verdict::Known
    );
}
