//! One playbook of all cases, through each of the two programs.

use crate::case::Case;
use crate::disk::{self, State};
use crate::oracle;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What became of a case.
#[derive(Serialize, Deserialize)]
pub struct Outcome {
    /// Of the three phases.
    pub results: Vec<Value>,
    /// After the last one.
    pub disk: State,
}

/// The outcomes of ansible-core. They are kept below target/tmp until a case of the topic changes.
pub fn ansible(cases: &[Case]) -> Vec<Outcome> {
    let text: String = cases.iter().map(Case::text).collect();
    let hash = Sha256::digest(
        text + oracle::ANSIBLE + include_str!("programs.rs") + include_str!("archives.rs"),
    );
    let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules");
    fs::create_dir_all(&kept).expect("target/tmp can be written");
    let kept = kept.join(&name[..16]);
    if let Some(known) = fs::read(&kept)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
    {
        return known;
    }
    // ansible-core alone starts faster.
    let program = if cases.iter().any(Case::needs_collections) {
        oracle::program_with_collections("ansible-playbook")
    } else {
        oracle::program("ansible-playbook")
    };
    let mut command = Command::new(program);
    command.env("ANSIBLE_PIPELINING", "1");
    let outcomes = run(cases, &mut command);
    let text = serde_json::to_vec(&outcomes).expect("plain values");
    fs::write(kept, text).expect("target/tmp can be written");
    outcomes
}

/// The same of kopsrun.
pub fn kopsrun(cases: &[Case]) -> Vec<Outcome> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopsrun"));
    command.arg("play");
    run(cases, &mut command)
}

fn run(cases: &[Case], command: &mut Command) -> Vec<Outcome> {
    let temporary = tempfile::tempdir().expect("a directory");
    let root = temporary.path();
    let _free = Free(cases, root);
    let is_system = cases.iter().any(Case::is_of_the_system);
    let results = if is_system {
        results(cases, root, &mut apart(command, root))
    } else {
        results(cases, root, command)
    };
    let outcome = |(at, case): (usize, &Case)| {
        let dir = root.join(at.to_string());
        let place = dir.to_string_lossy();
        Outcome {
            results: results[at * 3..at * 3 + 3]
                .iter()
                .map(|result| crate::plain(result, &place))
                .collect(),
            disk: disk::state(&dir, case.times),
        }
    };
    let mut outcomes: Vec<Outcome> = cases.iter().enumerate().map(outcome).collect();
    if let (true, Some(last)) = (is_system, outcomes.last_mut()) {
        last.disk
            .extend(disk::changed(&root.join("etc"), &root.join("before")));
    }
    outcomes
}

/// Files that can't be changed are freed at the end, also when a test fails.
struct Free<'a>(&'a [Case], &'a Path);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        for (at, case) in self.0.iter().enumerate() {
            case.free(&self.1.join(at.to_string()));
        }
    }
}

/// Makes the copy and starts the command. Users and groups are few, and always the same ones.
const APART: &str = r#"set -e
cp -a /etc/. "$0"
cd "$0"
printf 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' >passwd
printf 'root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n' >shadow
printf 'root:x:0:\ndaemon:x:1:\nadm:x:4:\nshadow:x:42:\nusers:x:100:\nnogroup:x:65534:\n' >group
printf 'root:*::\ndaemon:*::\nadm:*::\nshadow:*::\nusers:*::\nnogroup:*::\n' >gshadow
rm -f passwd- shadow- group- gshadow- subuid- subgid-
: >subuid
: >subgid
cp -a . ../before
cd ..
mount --bind "$0" /etc
mount -t tmpfs none /home
hostname before
ip link set lo up
exec "$@""#;

/// The same command where /etc is a copy below `root`, /home is empty, the name of the host is another's
/// and no port is taken.
fn apart(command: &Command, root: &Path) -> Command {
    let etc = root.join("etc");
    fs::create_dir_all(&etc).expect("made");
    let mut apart = Command::new("unshare");
    apart.args([
        "--mount",
        "--uts",
        "--net",
        "--propagation",
        "private",
        "sh",
        "-c",
        APART,
    ]);
    apart
        .arg(etc)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    apart
}

fn results(cases: &[Case], root: &Path, command: &mut Command) -> Vec<Value> {
    let mut tasks = Vec::new();
    let mut names = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let dir = root.join(at.to_string());
        case.lay_out(&dir);
        for phase in 0..3 {
            let name = format!("r{}", names.len());
            tasks.push(case.task(phase, &name, &dir));
            names.push(name);
        }
    }
    // Results go out as one file of a list, so that no word of them is templated again.
    let results = root.join("results.json");
    let content = format!("{{{{ [{}] | to_json }}}}", names.join(", "));
    tasks.push(json!({"name": "results", "copy": {"content": content, "dest": results}}));
    let python = oracle::program("python");
    let play = json!([{
        "hosts": "localhost", "connection": "local", "gather_facts": false,
        "vars": {"ansible_python_interpreter": python}, "tasks": tasks,
    }]);
    let playbook = root.join("site.yml");
    fs::write(&playbook, play.to_string()).expect("written");
    fs::write(root.join("hosts"), "localhost\n").expect("written");
    let state = root.join("state");
    fs::create_dir_all(&state).expect("made");
    let output = command
        .args(["-i", "hosts"])
        .arg(&playbook)
        .current_dir(root)
        .env_remove("ANSIBLE_CONFIG")
        .env("HOME", &state)
        .env("XDG_STATE_HOME", &state)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let text = fs::read_to_string(&results).unwrap_or_else(|error| {
        panic!(
            "{error}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    // Numbers that JSON's readers can't take: both are compared as texts.
    let long = fancy_regex::Regex::new(r"(?<=: )\d{20,}(?=[,}])").expect("sound");
    let text = long.replace_all(&text, "\"$0\"");
    // Python's way to keep bytes that are no text.
    let bytes = fancy_regex::Regex::new(r"(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}");
    let text = bytes.expect("sound").replace_all(&text, r"\ufffd");
    let results: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(results.len(), cases.len() * 3);
    results
}
