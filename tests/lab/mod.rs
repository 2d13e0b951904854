//! Real machines for tests: `lab/lab` from Rust. Needs root; a machine where the lab doesn't work fails the tests.
#![allow(
    clippy::disallowed_methods,
    reason = "settings of tests come from the environment"
)]
#![allow(dead_code, reason = "every test file uses a part of it")]

use serde_json::Value;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Password of root, and of the user `opspw`, on all hosts (`LAB_PASSWORD` in lab/lib/image.sh).
pub const PASSWORD: &str = "kopsrun-lab";

/// Hosts of one test, and a directory that is HOME and the working directory of the kopsrun that it runs.
pub struct Lab {
    name: String,
    hosts: Vec<String>,
    /// A lab of its own goes as a whole, fresh hosts of the shared one by name.
    own: bool,
    home: tempfile::TempDir,
}

/// How a program ended, and what it said.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Lab {
    /// `count` fresh machines beside those of other tests, about half a second.
    pub fn hosts(count: usize) -> Self {
        Self::fresh(count, &[])
    }

    /// The same, with disks of this size (`20m`).
    pub fn small_hosts(count: usize, disk: &str) -> Self {
        Self::fresh(count, &[("LAB_DISK", disk)])
    }

    fn fresh(count: usize, environment: &[(&str, &str)]) -> Self {
        let mut lab = Self::empty(shared_name(), false);
        let mut command = lab.tool();
        command.envs(environment.iter().copied());
        let ran = finish(command.args(["fresh", &count.to_string()]));
        assert_eq!(ran.code, 0, "no fresh hosts: {ran}");
        lab.hosts = ran.stdout.split_whitespace().map(str::to_owned).collect();
        lab.write_inventory();
        lab
    }

    /// A lab of its own, for tests that need certain names or cut networks. `name` is unique among the tests.
    pub fn of(name: &str, hosts: &[&str]) -> Self {
        let mut lab = Self::empty(format!("{}-{name}", shared_name()), true);
        lab.hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        lab.run(&["down"]);
        lab.run(&[&["up"], hosts].concat());
        lab.write_inventory();
        lab
    }

    /// Its own lab with node1, node2 and node3 as members of an etcd of `version` (`34`, `35`).
    pub fn with_etcd(name: &str, version: &str) -> Self {
        let members = ["node1", "node2", "node3"];
        let lab = Self::of(name, &members);
        lab.run(&[&["etcd", version], &members[..]].concat());
        lab.write_inventory();
        lab
    }

    fn empty(name: String, own: bool) -> Self {
        Self {
            name,
            hosts: Vec::new(),
            own,
            home: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Also after `lab etcd`, which makes groups. Keys of replaced hosts stay as they were.
    pub fn write_inventory(&self) {
        let known = self.known_hosts();
        let known = known.to_str().expect("a temporary path");
        let mut words = vec!["inventory", "--known-hosts", known];
        words.extend(self.hosts.iter().map(String::as_str));
        let text = self.run(&words);
        fs::write(self.inventory(), text).expect("an inventory");
    }

    pub fn host(&self, index: usize) -> &str {
        &self.hosts[index]
    }

    pub fn names(&self) -> &[String] {
        &self.hosts
    }

    /// HOME and working directory of kopsrun.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn inventory(&self) -> PathBuf {
        self.home().join("inventory.yml")
    }

    /// This test's own file: what it accepts, others don't see.
    pub fn known_hosts(&self) -> PathBuf {
        self.home().join("known_hosts")
    }

    /// Writes a file below HOME, which is also the directory kopsrun starts in.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().expect("below HOME")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    }

    fn tool(&self) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/lab"));
        command.env("LAB", &self.name);
        command
    }

    /// What etcdctl on a host prints. Asked again for two minutes: elections take their time on a busy machine.
    #[track_caller]
    pub fn etcdctl(&self, host: &str, words: &[&str]) -> String {
        let words = [&["etcdctl", host], words].concat();
        let begin = Instant::now();
        loop {
            let ran = self.attempt(&words);
            if ran.code == 0 {
                return ran.stdout;
            }
            let late = begin.elapsed() > Duration::from_secs(120);
            assert!(!late, "lab {words:?}: {ran}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// A verb of the lab that may fail.
    pub fn attempt(&self, words: &[&str]) -> Ran {
        finish(self.tool().args(words))
    }

    /// A verb of the lab; what it printed.
    pub fn run(&self, words: &[&str]) -> String {
        let ran = self.attempt(words);
        assert_eq!(ran.code, 0, "lab {words:?}: {ran}");
        ran.stdout
    }

    /// As root on the host, over SSH; what it printed, without the last line's end.
    pub fn ssh(&self, host: &str, command: &str) -> String {
        self.run(&["ssh", host, command]).trim_end().to_owned()
    }

    /// kopsrun in the lab's network, with `-i` for the test's inventory.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.tool();
        command
            .args(["in", env!("CARGO_BIN_EXE_kopsrun")])
            .args(words)
            .arg("-i")
            .arg(self.inventory())
            .env("HOME", self.home())
            .env_remove("SSH_AUTH_SOCK")
            .current_dir(self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// kopsrun in the lab's network, for verbs that take no inventory.
    pub fn bare(&self, words: &[&str]) -> Ran {
        let mut command = self.tool();
        command
            .args(["in", env!("CARGO_BIN_EXE_kopsrun")])
            .args(words)
            .env("HOME", self.home())
            .env_remove("SSH_AUTH_SOCK")
            .current_dir(self.home());
        finish(&mut command)
    }

    pub fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().expect("kopsrun starts")
    }

    pub fn kopsrun(&self, words: &[&str]) -> Ran {
        finish(&mut self.command(words))
    }

    /// The same; it must succeed.
    pub fn succeed(&self, words: &[&str]) -> Ran {
        let ran = self.kopsrun(words);
        assert_eq!(ran.code, 0, "kopsrun {words:?}: {ran}");
        ran
    }

    /// Where kopsrun keeps what outlives a command.
    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/kopsrun")
    }

    /// Records of runs, the oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let mut runs: Vec<PathBuf> = fs::read_dir(self.state().join("runs"))
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.join("events.jsonl").exists())
            .collect();
        runs.sort();
        runs
    }
}

/// When kopsrun is killed: so many milliseconds after this event (of this step; empty: of any) is in its record.
pub type Moment<'a> = (&'a str, &'a str, u64);

impl Lab {
    /// The newest record has this event.
    pub fn recorded(&self, event: &str, step: &str) -> bool {
        let Some(run) = self.runs().pop() else {
            return false;
        };
        let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .any(|e| e["event"] == event && (step.is_empty() || e["step"] == step))
    }

    /// Starts kopsrun and kills it at the moment; false if it came to its end before.
    pub fn kill_at(&self, words: &[&str], (event, step, after): Moment<'_>) -> bool {
        let earlier = self.runs().len();
        let mut child = self.start(words);
        let begin = Instant::now();
        while self.runs().len() == earlier || !self.recorded(event, step) {
            if child.try_wait().expect("a child").is_some() {
                return false;
            }
            let late = begin.elapsed() > Duration::from_secs(300);
            assert!(!late, "no {event} {step}");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(after));
        let ended = child.try_wait().expect("a child").is_some();
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        !ended
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("KOPSRUN_KEEP_LABS").is_some() {
            return;
        }
        let words: Vec<&str> = match (self.own, self.hosts.is_empty()) {
            (true, _) => vec!["down"],
            (false, true) => return,
            (false, false) => {
                let hosts = self.hosts.iter().map(String::as_str);
                std::iter::once("rm").chain(hosts).collect()
            }
        };
        self.attempt(&words);
    }
}

impl Ran {
    /// Both streams, for questions that don't care.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// It ended with this code and said each of these.
    #[track_caller]
    pub fn says(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self}");
        for word in words {
            assert!(self.text().contains(word), "no '{word}' in: {self}");
        }
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit code {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.took, self.stdout, self.stderr
        )
    }
}

/// Permissions of a file on this machine.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

pub fn finish(command: &mut Command) -> Ran {
    let began = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = command.stdin(Stdio::null()).output().expect("it starts");
    Ran {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        took: began.elapsed(),
    }
}

/// One lab for the tests of this checkout, which `make test` removes at the end.
fn shared_name() -> String {
    let here = fs::metadata(env!("CARGO_MANIFEST_DIR")).expect("the checkout");
    format!("test-{}", here.ino())
}
