//! Every way to log in, and what is said when none works.

use crate::sshd::{Config, PASSWORD, Sshd, keygen, run};
use kopsrun::link::{HostKeyQuestion, LinkError, Prompt, Settings};
use kopsrun::secret::Secret;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

struct Passphrase(&'static str);

impl Prompt for Passphrase {
    fn passphrase(&self, _key: &Path, _wrong_before: bool) -> Option<Secret<String>> {
        Some(Secret::new(self.0.to_owned()))
    }

    fn accept_host_key(&self, _question: &HostKeyQuestion) -> bool {
        false
    }
}

async fn whoami(
    sshd: &Sshd,
    settings: Settings,
    vars: &[(&str, &str)],
) -> Result<String, LinkError> {
    let link = sshd.link_with(settings, vars).await?;
    let output = link.exec("id -un", None).await?;
    Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[tokio::test]
async fn keys_of_every_type() {
    let sshd = Sshd::usual();
    for args in [
        &["-t", "ed25519"][..],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
        &["-t", "ed25519", "-N", "secret words"],
        &[
            "-t",
            "rsa",
            "-b",
            "2048",
            "-m",
            "PKCS8",
            "-N",
            "secret words",
        ],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let key = keygen(&folder.path().join("key"), args);
        sshd.authorize(&key.with_extension("pub"));
        let mut settings = sshd.settings();
        settings.prompt = Arc::new(Passphrase("secret words"));
        let key = key.display().to_string();
        let user = whoami(&sshd, settings, &[("ansible_ssh_private_key_file", &key)]).await;
        assert_eq!(user.unwrap_or_else(|e| panic!("{args:?}: {e}")), "root");
    }
    // RSA never signs with SHA-1.
    assert!(!sshd.log().contains("ssh-rsa "), "{}", sshd.log());
}

#[tokio::test]
async fn key_files_that_cannot_be_used_are_named() {
    let sshd = Sshd::usual();
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(
        &folder.path().join("key"),
        &["-t", "ed25519", "-N", "secret words"],
    );
    for (path, part) in [
        (folder.path().join("missing"), "No such file"),
        (key.with_extension("pub"), "lets others read"),
        (key.clone(), "encrypted"),
    ] {
        let path = path.display().to_string();
        let error = whoami(
            &sshd,
            sshd.settings(),
            &[("ansible_ssh_private_key_file", &path)],
        )
        .await
        .unwrap_err();
        assert!(matches!(error, LinkError::Key { .. }), "{error}");
        assert!(
            error.to_string().contains(&path) && error.to_string().contains(part),
            "{error}"
        );
        assert!(!error.advice().is_empty());
    }
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn keys_of_ssh_agent() {
    let sshd = Sshd::usual();
    let socket = sshd.path().join("agent");
    let _agent = Agent(
        Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .spawn()
            .unwrap(),
    );
    while !socket.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let add = |key: &Path| {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &socket)
            .status()
            .unwrap();
        assert!(status.success());
    };
    let wrong = keygen(&sshd.path().join("wrong"), &["-t", "ed25519"]);
    add(&wrong);
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let key = keygen(&sshd.path().join(kind), &["-t", kind]);
        add(&key);
        sshd.authorize(&key.with_extension("pub"));
        std::fs::remove_file(&key).unwrap();
        let mut settings = sshd.settings();
        settings.ssh_auth_sock = Some(socket.clone());
        assert_eq!(
            whoami(&sshd, settings.clone(), &[]).await.unwrap(),
            "root",
            "{kind}"
        );
        // IdentitiesOnly: of the agent's keys only those that are named, by their public half.
        let only = format!("-o IdentitiesOnly=yes -i {}.pub", key.display());
        assert_eq!(
            whoami(
                &sshd,
                settings.clone(),
                &[("ansible_ssh_common_args", &only)]
            )
            .await
            .unwrap(),
            "root"
        );
        let other = format!("-o IdentitiesOnly=yes -i {}", wrong.display());
        let error = whoami(&sshd, settings, &[("ansible_ssh_common_args", &other)])
            .await
            .unwrap_err();
        assert!(matches!(error, LinkError::AuthFailed { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_error_tells_what_was_tried() {
    let sshd = Sshd::usual();
    std::fs::write(sshd.path().join("authorized_keys"), "").unwrap();
    let error = sshd.link().await.unwrap_err();
    let LinkError::AuthFailed {
        user,
        tried,
        offered,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(user, "root");
    assert!(tried[0].contains("id_ed25519"), "{tried:?}");
    assert_eq!(offered, &["publickey"]);
    let text = error.advice().join("\n");
    assert!(
        text.contains("authorized_keys") && text.contains("ansible_ssh_private_key_file"),
        "{text}"
    );
}

/// The account files of a server whose root has a password.
fn with_password(lines: &str) -> Sshd {
    let hash = run("openssl", &["passwd", "-6", PASSWORD]);
    let mounts = format!(
        "sed 's|^root:[^:]*:|root:{}:|' /etc/shadow > $D/shadow; chmod 600 $D/shadow; mount --bind $D/shadow /etc/shadow",
        hash
    );
    Sshd::start(&Config {
        lines,
        mounts: &mounts,
        ..Config::default()
    })
}

#[tokio::test]
async fn passwords() {
    for (lines, method) in [
        (
            "PasswordAuthentication yes\nPubkeyAuthentication no",
            "password",
        ),
        (
            "UsePAM yes\nKbdInteractiveAuthentication yes\nPubkeyAuthentication no",
            "keyboard-interactive",
        ),
        (
            "UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive",
            "both",
        ),
    ] {
        let sshd = with_password(lines);
        let right = whoami(&sshd, sshd.settings(), &[("ansible_password", PASSWORD)]).await;
        assert_eq!(right.unwrap_or_else(|e| panic!("{method}: {e}")), "root");
        let error = whoami(&sshd, sshd.settings(), &[("ansible_password", "hunter2")])
            .await
            .unwrap_err();
        let LinkError::AuthFailed { tried, .. } = &error else {
            panic!("{error}")
        };
        assert!(
            method == "both" || tried.contains(&method.to_owned()),
            "{tried:?}"
        );
        assert!(
            !error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2")
        );
    }
}

#[tokio::test]
async fn the_ssh_program_gets_passwords_without_argv() {
    let sshd = with_password("PasswordAuthentication yes\nPubkeyAuthentication no");
    let proxy = "-o ProxyCommand='bash -c \"exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3\"' -o UserKnownHostsFile=";
    let args = format!("{proxy}{}", sshd.known_hosts().display());
    let vars = [
        ("ansible_ssh_common_args", args.as_str()),
        ("ansible_password", PASSWORD),
        ("ansible_user", "root"),
    ];
    assert_eq!(whoami(&sshd, sshd.settings(), &vars).await.unwrap(), "root");
    let wrong = [vars[0], ("ansible_password", "hunter2"), vars[2]];
    let error = whoami(&sshd, sshd.settings(), &wrong).await.unwrap_err();
    assert!(matches!(error, LinkError::AuthFailed { .. }), "{error}");
}
