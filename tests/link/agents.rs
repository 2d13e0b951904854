//! The agent on a host: started, found again, refused.

use crate::sshd::{Config, Sshd, shell, stdout, task};
use kopsrun::link::{AgentProgram, Agents, LinkError, Pool};
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

#[tokio::test]
async fn many_tasks_share_one_session() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.unwrap();
    let started = Instant::now();
    let all = (0..20).map(|i| link.run(shell(&format!("sleep 0.3; echo {i}")), ()));
    for (i, outcome) in futures::future::join_all(all).await.into_iter().enumerate() {
        assert_eq!(outcome.unwrap().data["stdout"], i.to_string());
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sshd.sessions(), 1);
    let hello = link.hello().await.unwrap();
    assert_eq!((hello.uid, hello.user.as_str()), (0, "root"));
}

#[tokio::test]
async fn the_program_is_sent_once() {
    let sshd = Sshd::usual();
    let folder = sshd.path().join("cache/kopsrun");
    let inode = || {
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        file.metadata().unwrap().ino()
    };
    stdout(&sshd.link().await.unwrap(), "true").await;
    let before = inode();
    stdout(&sshd.link().await.unwrap(), "true").await;
    assert_eq!(inode(), before);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[tokio::test]
async fn a_program_that_was_torn_is_sent_again() {
    let sshd = Sshd::usual();
    stdout(&sshd.link().await.unwrap(), "true").await;
    let folder = sshd.path().join("cache/kopsrun");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
    let whole = std::fs::read(file.path()).unwrap();
    for torn in [&b""[..], &whole[..1000], b"not a program\n"] {
        // The one that runs can't be written to.
        std::fs::remove_file(file.path()).unwrap();
        std::fs::write(file.path(), torn).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(file.path(), mode).unwrap();
        assert_eq!(stdout(&sshd.link().await.unwrap(), "echo x").await, "x");
        assert_eq!(std::fs::read(file.path()).unwrap(), whole);
    }
}

const NOEXEC: &str =
    "for d in $D/cache /var/tmp /dev/shm; do mount -t tmpfs -o noexec tmpfs $d; done";
const RUN_USER: &str =
    "mkdir -p /run/user; mount -t tmpfs -o MODE tmpfs /run/user; mount -t tmpfs -o MODE tmpfs /tmp";

#[tokio::test]
async fn folders_that_cannot_execute_are_passed_over() {
    let mounts = format!("{NOEXEC}; {}", RUN_USER.replace("MODE", "size=100m"));
    let sshd = Sshd::start(&Config {
        mounts: &mounts,
        ..Config::default()
    });
    let link = sshd.link().await.unwrap();
    let program = stdout(&link, "readlink /proc/$PPID/exe").await;
    assert!(
        program.starts_with("/run/user/0/kopsrun/agent-"),
        "{program}"
    );
}

#[tokio::test]
async fn without_a_folder_that_can_execute_all_are_named() {
    let mounts = format!("{NOEXEC}; {}", RUN_USER.replace("MODE", "noexec"));
    let sshd = Sshd::start(&Config {
        mounts: &mounts,
        ..Config::default()
    });
    let error = sshd
        .link()
        .await
        .unwrap()
        .run(shell("true"), ())
        .await
        .unwrap_err();
    let LinkError::NoExec { tried, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(tried.len(), 5, "{tried:?}");
    assert!(
        tried.iter().all(|(_, reason)| reason == "mounted noexec"),
        "{tried:?}"
    );
}

#[tokio::test]
async fn full_disks_are_named_and_leave_nothing() {
    let full = "mkdir -p /run/user; for d in $D/cache /var/tmp /dev/shm /run/user /tmp; do \
                mount -t tmpfs -o size=64k tmpfs $d; done";
    let sshd = Sshd::start(&Config {
        mounts: full,
        ..Config::default()
    });
    let link = sshd.link().await.unwrap();
    let error = link.run(shell("true"), ()).await.unwrap_err();
    let LinkError::NoSpace { tried, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(tried.len(), 5, "{tried:?}");
    let left = link
        .exec(
            "find /var/tmp /dev/shm /run/user /tmp -type f | wc -l",
            None,
        )
        .await
        .unwrap();
    assert_eq!(String::from_utf8(left.stdout).unwrap().trim(), "0");
}

#[tokio::test]
async fn machines_and_shells_that_are_not_ours() {
    let sshd = Sshd::usual();
    let mut settings = sshd.settings();
    settings.agents = Agents::default();
    settings
        .agents
        .add("vax", AgentProgram::Embedded(b"program"));
    let link = sshd.link_with(settings, &[]).await.unwrap();
    let error = link.run(shell("true"), ()).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::UnsupportedArch { known, .. } if known == &["vax"]),
        "{error}"
    );
    let sshd = Sshd::start(&Config {
        lines: "ForceCommand echo Only git here; exit 1",
        ..Config::default()
    });
    let error = sshd
        .link()
        .await
        .unwrap()
        .run(shell("true"), ())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, LinkError::NotShell { output, .. } if output.contains("Only git")),
        "{error}"
    );
    let sshd = Sshd::start(&Config {
        lines: "ForceCommand sleep 30",
        ..Config::default()
    });
    let mut settings = sshd.settings();
    settings.bootstrap_timeout = Duration::from_millis(300);
    let error = sshd
        .link_with(settings, &[])
        .await
        .unwrap()
        .run(shell("true"), ())
        .await
        .unwrap_err();
    assert!(matches!(error, LinkError::Agent { .. }), "{error}");
}

#[tokio::test]
async fn a_noisy_login_shell_is_borne() {
    let noisy = "ForceCommand echo Welcome to this host; eval \"$SSH_ORIGINAL_COMMAND\"";
    let sshd = Sshd::start(&Config {
        lines: noisy,
        ..Config::default()
    });
    assert_eq!(
        stdout(&sshd.link().await.unwrap(), "echo fine").await,
        "fine"
    );
}

#[tokio::test]
async fn local_connections_run_tasks_commands_and_tunnels() {
    let sshd = Sshd::usual();
    let settings = sshd.settings();
    let target = sshd
        .target(&[("ansible_connection", "local")], &settings)
        .unwrap();
    let link = Pool::new(settings).link(&target).await.unwrap();
    assert_eq!(stdout(&link, "echo here").await, "here");
    assert_eq!(link.exec("exit 4", None).await.unwrap().rc, 4);
    assert!(link.tunnel("127.0.0.1", sshd.port).await.is_ok());
    let outcome = link.run(task("ping", &json!({})), ()).await.unwrap();
    assert_eq!(outcome.data["ping"], "pong");
    link.close().await;
}

#[tokio::test]
async fn the_ssh_program_does_everything_too() {
    let sshd = Sshd::usual();
    let args = format!(
        "-F none -o UserKnownHostsFile={} -o RequestTTY=no -o BindAddress=127.0.0.1",
        sshd.known_hosts().display()
    );
    let key = sshd
        .path()
        .join("home/.ssh/id_ed25519")
        .display()
        .to_string();
    let vars = [
        ("ansible_ssh_common_args", args.as_str()),
        ("ansible_ssh_private_key_file", &key),
        ("ansible_user", "root"),
    ];
    let link = sshd.link_with(sshd.settings(), &vars).await.unwrap();
    assert_eq!(
        stdout(&link, "echo $SSH_CONNECTION | cut -d' ' -f4").await,
        sshd.port.to_string()
    );
    assert_eq!(link.exec("exit 5", None).await.unwrap().rc, 5);
    let mut tunnel = link.tunnel("127.0.0.1", sshd.port).await.unwrap();
    let mut banner = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut tunnel, &mut banner)
        .await
        .unwrap();
    assert_eq!(&banner, b"SSH-");
    std::fs::write(sshd.path().join("authorized_keys"), "").unwrap();
    let link = sshd.link_with(sshd.settings(), &vars).await.unwrap();
    let error = link.run(shell("true"), ()).await.unwrap_err();
    assert!(matches!(error, LinkError::AuthFailed { .. }), "{error}");
}
