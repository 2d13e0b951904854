//! Real sshd processes on loopback, each with its own port, keys and folder.

use kopsrun::link::{AgentProgram, Agents, Link, LinkError, LocalAgent, Pool, Settings, Target};
use serde_json::json;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub const PASSWORD: &str = "correct horse";

/// One sshd and what a client needs for it.
pub struct Sshd {
    child: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

/// How it differs from the usual.
#[derive(Default)]
pub struct Config<'a> {
    /// Lines of sshd_config that come first.
    pub lines: &'a str,
    /// Types of host keys; default ed25519.
    pub host_keys: &'a [&'a str],
    /// Shell commands in the server's own mount namespace; `$D` is its folder.
    pub mounts: &'a str,
    pub port: Option<u16>,
}

pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn keygen(file: &Path, args: &[&str]) -> PathBuf {
    let mut all = vec!["-q", "-f", file.to_str().unwrap()];
    all.extend(args);
    if !args.contains(&"-N") {
        all.extend(["-N", ""]);
    }
    run("ssh-keygen", &all);
    file.to_owned()
}

impl Sshd {
    pub fn start(config: &Config<'_>) -> Self {
        // Not under /tmp: tests mount over it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let dir = folder.path();
        fs::create_dir_all("/run/sshd").unwrap();
        fs::create_dir_all(dir.join("home/.ssh")).unwrap();
        fs::create_dir(dir.join("cache")).unwrap();
        keygen(&dir.join("home/.ssh/id_ed25519"), &["-t", "ed25519"]);
        fs::copy(
            dir.join("home/.ssh/id_ed25519.pub"),
            dir.join("authorized_keys"),
        )
        .unwrap();
        let mut text = format!("{}\n", config.lines);
        for kind in if config.host_keys.is_empty() {
            &["ed25519"]
        } else {
            config.host_keys
        } {
            let key = keygen(&dir.join(format!("host_{kind}")), &["-t", kind]);
            text.push_str(&format!("HostKey {}\n", key.display()));
        }
        let port = config.port.unwrap_or_else(free_port);
        let d = dir.display();
        text.push_str(&format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nUseDNS no\n\
             AuthorizedKeysFile {d}/authorized_keys\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nMaxStartups 100\nLogLevel VERBOSE\n\
             SetEnv XDG_CACHE_HOME={d}/cache\n"
        ));
        fs::write(dir.join("sshd_config"), text).unwrap();
        let script = format!(
            "D={d}; mount --make-rprivate /; {}\nexec /usr/sbin/sshd -D -e -f $D/sshd_config",
            config.mounts
        );
        let log = fs::File::create(dir.join("log")).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "sh", "-e", "-c", &script])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self {
            child,
            port,
            folder,
        };
        sshd.wait();
        sshd.know(&format!("[127.0.0.1]:{port}"));
        sshd
    }

    pub fn usual() -> Self {
        Self::start(&Config::default())
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "no sshd: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.path().join("home/.ssh/known_hosts")
    }

    /// The public host key of a type, as in a file of known hosts.
    pub fn host_key(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.path().join(format!("host_{kind}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// Writes the host's ed25519 key down under a name, and nothing else.
    fn know(&self, name: &str) {
        if self.path().join("host_ed25519.pub").exists() {
            self.set_known_hosts(&format!("{name} {}\n", self.host_key("ed25519")));
        }
    }

    pub fn set_known_hosts(&self, text: &str) {
        fs::write(self.known_hosts(), text).unwrap();
    }

    pub fn set_config(&self, text: &str) {
        fs::write(self.path().join("home/.ssh/config"), text).unwrap();
    }

    pub fn authorize(&self, public: &Path) {
        fs::copy(public, self.path().join("authorized_keys")).unwrap();
    }

    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.path().join("home"), "root");
        settings.system_ssh_config = self.path().join("none");
        settings.connect_timeout = Duration::from_secs(5);
        settings.agents = agents();
        settings.local_agent = Some(LocalAgent {
            program: agent_file(),
            args: Vec::new(),
        });
        settings
    }

    /// Ends the processes of all sessions, and not the server, as a crash would.
    pub fn kill_sessions(&self) {
        let children = run("pgrep", &["-P", &self.child.id().to_string()]);
        for child in children.lines() {
            run("kill", &["-9", child]);
        }
    }

    pub fn sessions(&self) -> usize {
        let output = Command::new("pgrep")
            .args(["-P", &self.child.id().to_string()])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).lines().count()
    }

    pub fn target(&self, vars: &[(&str, &str)], settings: &Settings) -> Result<Target, LinkError> {
        let port = self.port.to_string();
        let get = |name: &str| {
            let given = vars
                .iter()
                .find(|(k, _)| *k == name)
                .map(|(_, v)| (*v).to_owned());
            given.or(match name {
                "ansible_host" => Some("127.0.0.1".to_owned()),
                "ansible_port" => Some(port.clone()),
                _ => None,
            })
        };
        Target::resolve("node1", &get, settings)
    }

    pub async fn link_with(
        &self,
        settings: Settings,
        vars: &[(&str, &str)],
    ) -> Result<Link, LinkError> {
        let target = self.target(vars, &settings)?;
        Pool::new(settings).link(&target).await
    }

    pub async fn link(&self) -> Result<Link, LinkError> {
        self.link_with(self.settings(), &[]).await
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprint_log(&self.log());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[allow(clippy::print_stderr)]
fn eprint_log(log: &str) {
    eprintln!("sshd said:\n{log}");
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The agent of this build.
pub fn agent_file() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            run(env!("CARGO"), &["build", "-q", "-p", "kopsrun-agent"]);
            let folder = Path::new(env!("CARGO_BIN_EXE_kopsrun")).parent().unwrap();
            folder.join("kopsrun-agent")
        })
        .clone()
}

pub fn agents() -> Agents {
    let mut agents = Agents::default();
    agents.add(run("uname", &["-m"]), AgentProgram::File(agent_file()));
    agents
}

pub fn task(module: &str, args: &serde_json::Value) -> host::Task {
    host::Task {
        module: module.to_owned(),
        args: args.as_object().unwrap().clone(),
        ..host::Task::default()
    }
}

pub fn shell(line: &str) -> host::Task {
    task("shell", &json!({ "_raw_params": line }))
}

/// The standard output of a command that the agent runs.
pub async fn stdout(link: &Link, line: &str) -> String {
    let outcome = link.run(shell(line), ()).await.unwrap();
    assert!(!outcome.failed, "{outcome:?}");
    outcome.data["stdout"].as_str().unwrap().to_owned()
}
