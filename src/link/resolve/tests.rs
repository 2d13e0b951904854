use super::*;
use crate::link::settings::HostKeyPolicy;

struct World {
    home: tempfile::TempDir,
    settings: Settings,
}

fn world(config: &str) -> World {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    std::fs::write(home.path().join(".ssh/config"), config).unwrap();
    let mut settings = Settings::new(home.path(), "me");
    settings.system_ssh_config = home.path().join("etc/ssh_config");
    World { home, settings }
}

impl World {
    fn resolve(&self, vars: &[(&str, &str)]) -> Result<Connection, LinkError> {
        let get = |name: &str| {
            vars.iter()
                .find(|(k, _)| *k == name)
                .map(|(_, v)| (*v).to_owned())
        };
        Target::resolve("node1", &get, &self.settings).map(|target| target.connection)
    }

    fn hops(&self, vars: &[(&str, &str)]) -> Vec<Hop> {
        match self.resolve(vars).unwrap() {
            Connection::Ssh(hops) => hops,
            other => panic!("not our own SSH: {other:?}"),
        }
    }

    fn program(&self, vars: &[(&str, &str)]) -> Program {
        match self.resolve(vars).unwrap() {
            Connection::Program(program) => program,
            other => panic!("not the ssh program: {other:?}"),
        }
    }
}

fn shown(hops: &[Hop]) -> String {
    let each: Vec<_> = hops
        .iter()
        .map(|h| format!("{}@{}:{}", h.user, h.address, h.port))
        .collect();
    each.join(" ")
}

#[test]
fn variables_come_before_ssh_config() {
    let w = world(
        "Host node1\n HostName 10.0.0.1\n User cfg\n Port 2022\n IdentityFile ~/.ssh/cfg_%r\n",
    );
    assert_eq!(shown(&w.hops(&[])), "cfg@10.0.0.1:2022");
    let hop = &w.hops(&[
        ("ansible_user", "ops"),
        ("ansible_port", "23"),
        ("ansible_ssh_private_key_file", "~/k"),
    ])[0];
    assert_eq!((hop.user.as_str(), hop.port), ("ops", 23));
    let keys: Vec<_> = hop
        .auth
        .keys
        .iter()
        .map(|k| (k.path.clone(), k.required))
        .collect();
    assert_eq!(
        keys,
        [
            (w.home.path().join("k"), true),
            (w.home.path().join(".ssh/cfg_ops"), false)
        ]
    );
    assert_eq!(
        shown(&w.hops(&[("ansible_host", "1.2.3.4")])),
        "me@1.2.3.4:22",
        "ssh_config sees ansible_host"
    );
    assert!(matches!(
        w.resolve(&[("ansible_connection", "local")]),
        Ok(Connection::Local)
    ));
    assert!(matches!(
        w.resolve(&[("ansible_connection", "docker")]),
        Err(LinkError::Config { .. })
    ));
}

#[test]
fn raw_arguments_are_honoured() {
    let w = world("Host bastion\n User jump\n HostName b.lab\n");
    let args = "-o ProxyJump=bastion:2222 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/k -o ServerAliveInterval=5";
    let hops = w.hops(&[
        ("ansible_ssh_common_args", args),
        ("ansible_ssh_extra_args", "-l ops -C"),
    ]);
    assert_eq!(shown(&hops), "jump@b.lab:2222 ops@node1:22");
    assert_eq!(hops[1].host_key.policy, HostKeyPolicy::AcceptNew);
    assert_eq!(hops[1].host_key.user_files, [PathBuf::from("/k")]);
    assert_eq!(hops[1].alive_interval, Duration::from_secs(5));
    assert_eq!(
        hops[0].host_key.policy,
        HostKeyPolicy::Ask,
        "arguments are for the host, not for its bastion"
    );
}

#[test]
fn bastions_have_bastions() {
    let w = world(
        "Host a\n ProxyJump o\nHost b\n ProxyJump wrong\nHost node1\n ProxyJump u@a:1,ssh://[::1]:2,b\n",
    );
    assert_eq!(
        shown(&w.hops(&[])),
        "me@o:22 u@a:1 me@::1:2 me@b:22 me@node1:22"
    );
    let looped = world("Host *\n ProxyJump b\n").resolve(&[]);
    assert!(looped.unwrap_err().advice()[0].contains("ProxyJump none"));
    assert_eq!(
        shown(&world("Host node1\n ProxyJump none\nHost *\n ProxyJump b\n").hops(&[])),
        "me@node1:22"
    );
}

#[test]
fn what_we_cannot_honour_goes_to_the_ssh_program() {
    let w = world("Host bastion\n ProxyCommand nc %h %p\n");
    let vars = [
        (
            "ansible_ssh_common_args",
            "-o ProxyCommand='ssh -W %h:%p b'",
        ),
        ("ansible_user", "ops"),
        ("ansible_password", "pw"),
    ];
    let program = w.program(&vars);
    assert!(
        program.because.contains("proxycommand"),
        "{}",
        program.because
    );
    assert_eq!(program.args[..3], ["-T", "-o", "user=ops"]);
    assert!(
        program
            .args
            .contains(&"ProxyCommand=ssh -W %h:%p b".to_owned())
    );
    assert!(
        !program.args.iter().any(|a| a.contains("pw")),
        "a password is in argv"
    );
    assert!(!program.args.contains(&"BatchMode=yes".to_owned()));
    assert_eq!(program.args[program.args.len() - 2..], ["--", "node1"]);
    assert!(
        w.program(&[("ansible_ssh_common_args", "-J bastion")])
            .because
            .contains("nc %h")
    );
    assert!(
        w.program(&[("ansible_ssh_common_args", "-o IdentityFile=%C")])
            .because
            .contains("%C")
    );
    assert!(
        w.program(&[("ansible_ssh_extra_args", "-L 1:a:2")])
            .because
            .contains("-L")
    );
}

#[test]
fn times_and_faults() {
    assert_eq!(
        world("ConnectTimeout 1m30s").hops(&[])[0].connect_timeout,
        Duration::from_secs(90)
    );
    assert_eq!(
        world("ConnectTimeout 5").hops(&[])[0].connect_timeout,
        Duration::from_secs(5)
    );
    for config in [
        "Port x",
        "ConnectTimeout soon",
        "StrictHostKeyChecking maybe",
        "ProxyJump u@:1",
        "User",
    ] {
        assert!(
            matches!(world(config).resolve(&[]), Err(LinkError::Config { .. })),
            "{config}"
        );
    }
    let one = world("").resolve(&[("ansible_ssh_common_args", "-o 'x")]);
    assert!(
        one.unwrap_err()
            .to_string()
            .contains("ansible_ssh_common_args")
    );
}

#[test]
fn only_the_named_host_gets_its_key_replaced() {
    let mut w = world("");
    w.settings.accept_new.insert("node1".to_owned());
    let hops = w.hops(&[("ansible_ssh_common_args", "-J b")]);
    assert!(hops[1].host_key.replace);
    assert!(!hops[0].host_key.replace);
}
