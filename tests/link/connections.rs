//! Ways to a host, and every way in which they fail.

use crate::sshd::{Config, Sshd, free_port, shell, stdout};
use kopsrun::link::{LinkError, Pool, Settings, Target};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn target_on(port: u16, settings: &Settings) -> Target {
    let get = |name: &str| match name {
        "ansible_host" => Some("127.0.0.1".to_owned()),
        "ansible_port" => Some(port.to_string()),
        _ => None,
    };
    Target::resolve("node1", &get, settings).unwrap()
}

fn settings() -> Settings {
    let mut settings = Settings::new("/nonexistent", "root");
    settings.connect_timeout = Duration::from_millis(500);
    settings
}

#[tokio::test]
async fn refused_frozen_and_not_ssh_are_different() {
    let settings = settings();
    let pool = Pool::new(settings.clone());
    let error = pool
        .link(&target_on(free_port(), &settings))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, LinkError::Refused { .. }), "{error}");
    // The kernel accepts, and nobody ever answers.
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let error = pool
        .link(&target_on(frozen.local_addr().unwrap().port(), &settings))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, LinkError::Frozen { .. }), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert!(error.advice().join(" ").contains("hung"));
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in web.incoming() {
            drop(std::io::Write::write_all(
                &mut socket.unwrap(),
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
            ));
        }
    });
    let error = pool.link(&target_on(port, &settings)).await.err().unwrap();
    assert!(
        matches!(error, LinkError::NotSsh { .. }) && error.to_string().contains("HTTP"),
        "{error}"
    );
}

#[tokio::test]
async fn names_and_networks_that_lead_nowhere() {
    let settings = settings();
    let pool = Pool::new(settings.clone());
    let nowhere = |host: &'static str| {
        let get = move |name: &str| (name == "ansible_host").then(|| host.to_owned());
        Target::resolve("node1", &get, &settings).unwrap()
    };
    let error = pool
        .link(&nowhere("no.such.name.invalid"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_host_that_answers_nothing_times_out() {
    // A listener whose queue is full drops what comes, as a firewall does.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let filling = (0..4).map(|_| {
        tokio::time::timeout(
            Duration::from_millis(200),
            tokio::net::TcpStream::connect(address),
        )
    });
    let _full = futures::future::join_all(filling).await;
    let settings = settings();
    let started = Instant::now();
    let error = Pool::new(settings.clone())
        .link(&target_on(address.port(), &settings))
        .await
        .unwrap_err();
    assert!(matches!(error, LinkError::Timeout { .. }), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn waiting_for_a_dead_host_is_done_once() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = settings();
    let target = target_on(frozen.local_addr().unwrap().port(), &settings);
    let link = Pool::new(settings).lazy_link(&target);
    let started = Instant::now();
    let all = futures::future::join_all((0..20).map(|_| link.run(shell("true"), ()))).await;
    assert!(
        all.iter()
            .all(|r| matches!(r, Err(LinkError::Frozen { .. }))),
        "{all:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn bastions_in_several_hops_are_shared() {
    let (first, second, last) = (Sshd::usual(), Sshd::usual(), Sshd::usual());
    let home = first.path().join("home");
    let mut known = String::new();
    for sshd in [&first, &second, &last] {
        sshd.authorize(&home.join(".ssh/id_ed25519.pub"));
        known.push_str(&format!("{} {}\n", sshd.name(), sshd.host_key("ed25519")));
    }
    first.set_known_hosts(&known);
    first.set_config(&format!(
        "Host one\n HostName 127.0.0.1\n Port {}\nHost two\n HostName 127.0.0.1\n Port {}\n ProxyJump one\n",
        first.port, second.port
    ));
    let settings = first.settings();
    let pool = Pool::new(settings.clone());
    let vars = [("ansible_ssh_common_args", "-o ProxyJump=two")];
    let targets: Vec<_> = (0..5)
        .map(|i| {
            let mut target = last.target(&vars, &settings).unwrap();
            target.name = format!("node{i}");
            target
        })
        .collect();
    let links = futures::future::join_all(targets.iter().map(|target| pool.link(target))).await;
    for link in &links {
        let seen = stdout(link.as_ref().unwrap(), "echo $SSH_CONNECTION").await;
        assert!(seen.ends_with(&last.port.to_string()), "{seen}");
    }
    assert_eq!(
        (first.sessions(), second.sessions(), last.sessions()),
        (1, 1, 5),
        "one connection to each bastion"
    );
    first.set_known_hosts(&known.replace(&second.host_key("ed25519"), &last.host_key("ed25519")));
    let error = Pool::new(settings).link(&targets[0]).await.err().unwrap();
    assert!(
        matches!(&error, LinkError::Jump { via, .. } if via.contains("two")),
        "{error}"
    );
    drop(links);
    pool.link(&targets[0]).await.unwrap().close().await;
}

#[tokio::test]
async fn what_a_bastion_cannot_reach_is_said() {
    let bastion = Sshd::usual();
    bastion.set_config(&format!(
        "Host b\n HostName 127.0.0.1\n Port {}\n",
        bastion.port
    ));
    let port = free_port().to_string();
    let vars = [
        ("ansible_ssh_common_args", "-J b"),
        ("ansible_port", port.as_str()),
    ];
    let error = bastion
        .link_with(bastion.settings(), &vars)
        .await
        .unwrap_err();
    assert!(
        matches!(error, LinkError::Unreachable { .. }) && error.to_string().contains("bastion"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_drops_logins_is_tried_again() {
    let sshd = Sshd::start(&Config {
        lines: "MaxStartups 3:100:3",
        ..Config::default()
    });
    let sitting: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", sshd.port)).unwrap())
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    let (link, ()) = tokio::join!(sshd.link(), async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        drop(sitting);
    });
    link.unwrap_or_else(|error| panic!("{error}"));
    assert!(
        started.elapsed() > Duration::from_millis(600),
        "it was never dropped"
    );
}

#[tokio::test]
async fn a_lost_connection_fails_what_is_under_way_and_is_made_again() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.unwrap();
    assert_eq!(stdout(&link, "echo before").await, "before");
    let (outcome, ()) = tokio::join!(link.run(shell("sleep 20"), ()), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sshd.kill_sessions();
    });
    let error = outcome.unwrap_err();
    assert!(
        error.is_lost() && error.to_string().contains("running shell"),
        "{error}"
    );
    assert_eq!(stdout(&link, "echo after").await, "after");
    link.close().await;
    assert_eq!(stdout(&link, "echo again").await, "again");
}

#[tokio::test]
async fn a_host_that_hangs_is_noticed_by_keepalives() {
    let sshd = Sshd::usual();
    let args = "-o ServerAliveInterval=1 -o ServerAliveCountMax=2";
    let link = sshd
        .link_with(sshd.settings(), &[("ansible_ssh_common_args", args)])
        .await
        .unwrap();
    let running = link.run(shell("kill -STOP $(ps -o ppid= -p $PPID); sleep 60"), ());
    let outcome = tokio::time::timeout(Duration::from_secs(15), running).await;
    assert!(
        outcome
            .expect("it was never noticed")
            .unwrap_err()
            .is_lost()
    );
    sshd.kill_sessions();
}

#[tokio::test]
async fn raw_commands() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.unwrap();
    let output = link
        .exec("cat; echo err >&2; exit 3", Some(b"in"))
        .await
        .unwrap();
    assert_eq!(
        (output.rc, &output.stdout[..], &output.stderr[..]),
        (3, &b"in"[..], &b"err\n"[..])
    );
    assert_eq!(link.exec("kill -9 $$", None).await.unwrap().rc, 137);
    let big: Vec<u8> = (0..50_000_000u32)
        .map(|i| (i.wrapping_mul(31) >> 5) as u8)
        .collect();
    let output = link.exec("cat", Some(&big)).await.unwrap();
    assert!(
        output.stdout == big,
        "{} of {} bytes came back",
        output.stdout.len(),
        big.len()
    );
    // A command that doesn't read its input doesn't hang.
    assert_eq!(link.exec("exit 0", Some(&big)).await.unwrap().rc, 0);
}

/// A server that sends everything back, and one that floods.
async fn servers() -> (u16, u16) {
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flood = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = (
        echo.local_addr().unwrap().port(),
        flood.local_addr().unwrap().port(),
    );
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = flood.accept().await {
            tokio::spawn(async move { while socket.write_all(&[7; 65536]).await.is_ok() {} });
        }
    });
    ports
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_carry_data_and_one_that_nobody_reads_stops_nothing() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.unwrap();
    let (echo, flood) = servers().await;
    let unread = link.tunnel("127.0.0.1", flood).await.unwrap();
    let tunnel = link.tunnel("127.0.0.1", echo).await.unwrap();
    let (mut read, mut write) = tokio::io::split(tunnel);
    let sent: Vec<u8> = (0..3_000_000u32)
        .map(|i| (i.wrapping_mul(13) >> 4) as u8)
        .collect();
    let mut got = vec![0; sent.len()];
    let (wrote, received) = tokio::join!(write.write_all(&sent), read.read_exact(&mut got));
    wrote.unwrap();
    received.unwrap();
    assert!(got == sent);
    // Long enough for more than may wait: then the tunnel is given up, and not the link.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stdout(&link, "echo alive").await, "alive");
    drop(unread);
    let error = link.tunnel("127.0.0.1", free_port()).await.err().unwrap();
    assert!(matches!(error, LinkError::Tunnel { .. }), "{error}");
}

#[tokio::test]
async fn a_dropped_tunnel_ends_on_the_other_side() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.unwrap();
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let (tunnel, accepted) = tokio::join!(link.tunnel("127.0.0.1", port), server.accept());
    let (mut socket, _) = accepted.unwrap();
    drop(tunnel.unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut [0; 8])).await;
    assert_eq!(ended.expect("the connection stays open").unwrap(), 0);
    assert_eq!(stdout(&link, "echo alive").await, "alive");
}

#[tokio::test]
async fn a_closed_link_ends_its_agent() {
    let sshd = Sshd::usual();
    let link = sshd.link().await.unwrap();
    let agent = stdout(&link, "echo $PPID").await;
    link.close().await;
    let end = Instant::now() + Duration::from_secs(5);
    while std::path::Path::new("/proc").join(&agent).exists() {
        assert!(Instant::now() < end, "the agent {agent} lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
