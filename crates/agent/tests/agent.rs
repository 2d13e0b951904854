//! The static agent as a program, and what it does to become another user.
//!
//! The users exist only in a mount namespace of their own, whose /etc/passwd, /etc/shadow, /etc/group and /etc/sudoers
//! are files of the test. This needs root and the programs unshare, mount, su and sudo.

use host::wire::{Control, Decoder, Frame, Hello, MAGIC, RefusalKind};
use host::{Become, Outcome, Task};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

const PASSWORD: &str = "right one";
/// `openssl passwd -6 -salt kopsrun 'right one'`
const HASH: &str = "$6$kopsrun$MTV9D/iMIYad/Bd9X3gpmWJAA4kRYfsvEZjggRVX87v8zcZOsYfRVZ598G1PL5I0XB1ITEA1r9yIpGotrqHji1";

const USERS: &[(&str, u32)] = &[
    ("alice", 20001),
    ("bella", 20002),
    ("carl", 20003),
    ("dora", 20004),
    ("erin", 20010),
];

const SUDOERS: &str = "\
root ALL=(ALL:ALL) ALL
alice ALL=(ALL) ALL
bella ALL=(ALL) NOPASSWD: ALL
dora ALL=(ALL) NOPASSWD: ALL
Defaults:dora requiretty
Defaults:bella use_pty
";

/// The static program, built if it isn't.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .expect("the workspace");
        let status = Command::new(env!("CARGO"))
            .current_dir(&root)
            .args(["run", "--quiet", "--package", "xtask", "--", "agent"])
            .status()
            .expect("cargo starts");
        assert!(status.success(), "cargo xtask agent failed");
        root.join("target/agent/kopsrun-agent-x86_64")
    })
}

/// A controller that talks to one agent.
struct Controller {
    process: Child,
    to: Option<ChildStdin>,
    from: ChildStdout,
    decoder: Decoder,
    hello: Hello,
    next: u64,
}

impl Controller {
    fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut to = process.stdin.take().expect("piped");
        let from = process.stdout.take().expect("piped");
        to.write_all(MAGIC).expect("written");
        let hello = Hello {
            version: String::new(),
            pid: 0,
            uid: 0,
            user: String::new(),
            machine: String::new(),
        };
        let mut this = Self {
            process,
            to: Some(to),
            from,
            decoder: Decoder::new(),
            hello,
            next: 0,
        };
        match this.receive() {
            Frame::Control(Control::Hello(hello)) => this.hello = hello,
            other => panic!("{other:?}"),
        }
        this
    }

    fn receive(&mut self) -> Frame {
        let mut chunk = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("sound frames") {
                return frame;
            }
            let count = self.from.read(&mut chunk).expect("readable");
            assert!(count > 0, "the agent ended: {}", self.decoder.noise());
            self.decoder.push(&chunk[..count]);
        }
    }

    fn send(&mut self, task: Task) {
        self.next += 1;
        let frame = Frame::Control(Control::Run {
            id: self.next,
            task: Box::new(task),
        });
        let bytes = frame.encode().expect("short");
        self.to
            .as_mut()
            .expect("open")
            .write_all(&bytes)
            .expect("written");
    }

    fn run(
        &mut self,
        module: &str,
        args: Value,
        who: Option<Become>,
    ) -> Result<Outcome, RefusalKind> {
        self.send(task(module, args, who));
        match self.receive() {
            Frame::Control(Control::Done { outcome, .. }) => Ok(outcome),
            Frame::Control(Control::Refused { refusal, .. }) => {
                assert!(!refusal.message.contains(PASSWORD), "it tells the password");
                assert!(!refusal.message.is_empty());
                Err(refusal.kind)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Who one is after becoming `user`.
    fn whoami(
        &mut self,
        user: &str,
        method: &str,
        password: Option<&str>,
    ) -> Result<String, RefusalKind> {
        let outcome = self.run(
            "command",
            json!({"cmd": "id -un"}),
            Some(become_user(user, method, password)),
        )?;
        assert!(!outcome.failed, "{outcome:?}");
        Ok(outcome.data["stdout"].as_str().expect("text").to_owned())
    }

    fn hang_up(mut self) {
        drop(self.to.take());
        let start = Instant::now();
        assert!(self.process.wait().expect("it ends").success());
        assert!(start.elapsed() < Duration::from_secs(4), "it ended late");
    }
}

fn task(module: &str, args: Value, who: Option<Become>) -> Task {
    let Value::Object(args) = args else {
        panic!("a dictionary")
    };
    Task {
        module: module.to_owned(),
        args,
        escalate: who,
        ..Task::default()
    }
}

fn become_user(user: &str, method: &str, password: Option<&str>) -> Become {
    Become {
        user: user.to_owned(),
        method: method.to_owned(),
        password: password.map(ToOwned::to_owned),
        exe: None,
        flags: None,
    }
}

/// Files that stand for those of /etc, and the homes of the users with the agent in them, closed to others.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let uid = fs::read_to_string("/proc/self/status").expect("readable");
        assert!(
            uid.contains("Uid:\t0"),
            "these tests need root: run them with sudo"
        );
        assert!(
            ["/usr/bin/sudo", "/usr/sbin/sudo"]
                .iter()
                .any(|path| Path::new(path).exists()),
            "these tests need sudo: apt-get install sudo"
        );
        let dir = tempfile::Builder::new()
            .prefix("kopsrun-world-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        let world = Self { dir };
        fs::set_permissions(world.dir.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let mut passwd = fs::read_to_string("/etc/passwd").expect("readable");
        let mut shadow = fs::read_to_string("/etc/shadow").expect("readable");
        let mut group = fs::read_to_string("/etc/group").expect("readable");
        for (name, uid) in USERS {
            let home = world.place_agent(name, *uid);
            passwd += &format!("{name}:x:{uid}:{uid}::{}:/bin/sh\n", home.display());
            shadow += &format!("{name}:{HASH}:20000:0:99999:7:::\n");
            group += &format!("{name}:x:{uid}:\n");
        }
        world.place_agent("root", 0);
        world.write("passwd", &passwd, 0o644);
        world.write("group", &group, 0o644);
        world.write("shadow", &shadow, 0o600);
        world.write("sudoers", SUDOERS, 0o440);
        world
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
    }

    fn place_agent(&self, user: &str, uid: u32) -> PathBuf {
        let home = self.dir.path().join(format!("home-{user}"));
        let agent = home.join("agent");
        fs::create_dir(&home).expect("made");
        fs::copy(program(), &agent).expect("copied");
        for path in [&agent, &home] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("set");
            chown(path, Some(uid), Some(uid)).expect("owned");
        }
        home
    }

    /// Starts the agent as `user`. `before` is run in the namespace first.
    fn login(&self, user: &str, before: &str) -> Controller {
        let dir = self.dir.path().display();
        let script = format!(
            "set -e; for f in passwd shadow group sudoers; do mount --bind {dir}/$f /etc/$f; done; {before}\n\
             exec su -s /bin/sh {user} -c 'cd {dir}/home-{user}; exec ./agent'"
        );
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "/bin/sh",
            "-c",
            &script,
        ]);
        let controller = Controller::start(&mut command);
        assert_eq!(controller.hello.user, user);
        controller
    }
}

/// Copies of the agent that anyone may execute, of this user.
fn copies(uid: u32) -> usize {
    fs::read_dir("/var/tmp")
        .expect("readable")
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!(".kopsrun-{uid}-"))
        })
        .count()
}

fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

fn wait_until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it didn't happen"
        );
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_program_answers_and_ends_with_its_input() {
    let mut agent = Controller::start(&mut Command::new(program()));
    let outcome = agent.run("ping", json!({}), None).expect("it runs");
    assert_eq!(outcome.data["ping"], "pong");
    // The question that crashes static programs which ask glibc.
    let outcome = agent
        .run(
            "user",
            json!({"name": "nobody-of-this-name", "state": "absent"}),
            None,
        )
        .expect("it runs");
    assert!(!outcome.failed && !outcome.changed);
    let outcome = agent
        .run(
            "wait_for",
            json!({"host": "localhost", "port": 1, "timeout": 0}),
            None,
        )
        .expect("it runs");
    assert!(outcome.failed);
    let outcome = agent.run("setup", json!({}), None).expect("it runs");
    assert_eq!(outcome.data["ansible_facts"]["ansible_system"], "Linux");
    agent.hang_up();
}

#[test]
fn wrong_use_is_told() {
    let output = Command::new(program())
        .arg("--listen")
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage:"));
    let output = Command::new(program())
        .arg("--version")
        .output()
        .expect("it starts");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("kopsrun-agent "));
}

#[test]
fn root_becomes_others_by_su_and_sudo() {
    let world = World::new();
    let mut agent = world.login("root", "");
    for method in ["su", "sudo"] {
        assert_eq!(
            agent.whoami("nobody", method, None),
            Ok("nobody".to_owned()),
            "{method}"
        );
        assert_eq!(
            agent.whoami("erin", method, None),
            Ok("erin".to_owned()),
            "{method}"
        );
        assert_eq!(
            agent.whoami("root", method, None),
            Ok("root".to_owned()),
            "{method}"
        );
    }
    assert_eq!(
        agent.whoami("no-such-user", "su", None),
        Err(RefusalKind::UnknownUser)
    );
    let pid = agent.hello.pid;
    agent.hang_up();
    let leftover = fs::read_dir("/var/tmp")
        .expect("readable")
        .flatten()
        .any(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!(".kopsrun-0-{pid}-"))
        });
    assert!(!leftover, "the copy of the agent stays");
}

#[test]
fn sudo_without_password() {
    let world = World::new();
    let mut agent = world.login("bella", "");
    assert_eq!(agent.whoami("root", "sudo", None), Ok("root".to_owned()));
    // A password that nobody asks for must not end up between the frames.
    assert_eq!(
        agent.whoami("root", "sudo", Some(PASSWORD)),
        Ok("root".to_owned())
    );
    assert_eq!(agent.whoami("erin", "sudo", None), Ok("erin".to_owned()));
    let outcome = agent
        .run(
            "shell",
            json!({"cmd": "echo $HOME $USER"}),
            Some(become_user("erin", "sudo", None)),
        )
        .expect("it runs");
    assert!(
        outcome.data["stdout"]
            .as_str()
            .expect("text")
            .ends_with("home-erin erin")
    );
    let outcome = agent
        .run(
            "command",
            json!({"cmd": "ls"}),
            Some(become_user("erin", "sudo", None)),
        )
        .expect("it runs");
    assert_eq!(
        outcome.data["stdout"], "agent",
        "it runs in the home of the user"
    );
    assert_eq!(copies(20002), 1);
    agent.hang_up();
    assert_eq!(copies(20002), 0);
}

#[test]
fn sudo_with_password() {
    let world = World::new();
    let mut agent = world.login("alice", "");
    assert_eq!(
        agent.whoami("root", "sudo", None),
        Err(RefusalKind::SudoPasswordNeeded)
    );
    assert_eq!(
        agent.whoami("root", "sudo", Some("wrong")),
        Err(RefusalKind::SudoPasswordWrong)
    );
    assert_eq!(
        agent.whoami("root", "sudo", Some(PASSWORD)),
        Ok("root".to_owned())
    );
    assert_eq!(
        agent.whoami("erin", "sudo", Some(PASSWORD)),
        Ok("erin".to_owned())
    );
    // The password is in no command line.
    let outcome = agent
        .run(
            "shell",
            json!({"cmd": "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"}),
            None,
        )
        .expect("it runs");
    assert!(
        !outcome.data["stdout"]
            .as_str()
            .expect("text")
            .contains(PASSWORD)
    );
    agent.hang_up();
}

#[test]
fn su_with_password() {
    let world = World::new();
    let mut agent = world.login("alice", "");
    assert_eq!(
        agent.whoami("erin", "su", None),
        Err(RefusalKind::SuPasswordNeeded)
    );
    assert_eq!(
        agent.whoami("erin", "su", Some("wrong")),
        Err(RefusalKind::SuPasswordWrong)
    );
    assert_eq!(
        agent.whoami("erin", "su", Some(PASSWORD)),
        Ok("erin".to_owned())
    );
    agent.hang_up();
}

#[test]
fn sudo_refuses_for_reasons_that_are_told_apart() {
    let world = World::new();
    let mut agent = world.login("carl", "");
    assert_eq!(
        agent.whoami("root", "sudo", Some(PASSWORD)),
        Err(RefusalKind::SudoNotAllowed)
    );
    agent.hang_up();
    let mut agent = world.login("dora", "");
    assert_eq!(
        agent.whoami("root", "sudo", None),
        Err(RefusalKind::SudoNeedsTerminal)
    );
    agent.hang_up();
    let hide = "mount --bind /dev/null $(command -v sudo)";
    let mut agent = world.login("bella", hide);
    assert_eq!(agent.whoami("root", "sudo", None), Err(RefusalKind::NoSudo));
    agent.hang_up();
}

#[test]
fn tasks_of_several_users_run_at_the_same_time() {
    let world = World::new();
    let mut agent = world.login("bella", "");
    let root = || Some(become_user("root", "sudo", None));
    agent.send(task("command", json!({"cmd": "sleep 1"}), root()));
    agent.send(task("command", json!({"cmd": "id -un"}), root()));
    agent.send(task("command", json!({"cmd": "id -un"}), None));
    let mut order = Vec::new();
    for _ in 0..3 {
        let Frame::Control(Control::Done { id, outcome }) = agent.receive() else {
            panic!("done")
        };
        assert!(!outcome.failed);
        order.push(id);
    }
    assert_eq!(order[2], 1);
    agent.hang_up();
}

#[test]
fn a_killed_agent_takes_its_children_and_their_tasks_with_it() {
    let world = World::new();
    let mut agent = world.login("bella", "");
    let file = world.dir.path().join("pid");
    let line = format!(
        "echo $$ > {f}.new; mv {f}.new {f}; while :; do sleep 1; done",
        f = file.display()
    );
    agent.send(task(
        "shell",
        json!({"cmd": line}),
        Some(become_user("root", "sudo", None)),
    ));
    wait_until(|| file.exists());
    let pid = fs::read_to_string(&file).expect("there").trim().to_owned();
    assert!(!is_gone(&pid));
    let killed = Command::new("kill")
        .args(["-9", &agent.hello.pid.to_string()])
        .status()
        .expect("it starts");
    assert!(killed.success());
    wait_until(|| is_gone(&pid));
    agent.process.wait().expect("it ends");
}
