//! The real ansible-core, as tests compare with it: a virtualenv below `target/` that the first test makes.
#![allow(dead_code, reason = "every test file uses a part of it")]

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The release that the tests compare with.
pub const ANSIBLE: &str = "2.18.19";

/// What is installed; a change of it makes a new virtualenv.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The same with the collections that come with Ansible, and the libraries that their filters need.
const COLLECTIONS: &str = include_str!("collections.txt");

/// The virtualenv's directory, made by whoever needs it first: about half a minute and the network, once.
///
/// # Panics
/// When `python3 -m venv` or pip fails; the message holds what they said.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| made(REQUIREMENTS))
}

/// Python with ansible-core and the collections; about two minutes, once.
///
/// # Panics
/// As [`home`].
pub fn python_with_collections() -> PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| made(COLLECTIONS)).join("bin/python")
}

/// A program of the virtualenv with the collections.
pub fn program_with_collections(name: &str) -> PathBuf {
    python_with_collections().with_file_name(name)
}

fn made(requirements: &str) -> PathBuf {
    let hash = Sha256::digest(requirements.as_bytes());
    let short: String = hash
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = root.join(format!("ansible-{ANSIBLE}-{short}"));
    let ready = home.join("ready");
    // Several tests may start at once: one makes it, the others wait.
    let guard = File::create(root.join("ansible.lock")).expect("target/tmp can be written");
    guard.lock().expect("a lock of the file system");
    if !ready.exists() {
        make(&home, requirements);
        fs::write(ready, requirements).expect("target/tmp can be written");
    }
    home
}

/// A program of the virtualenv, `python` for one.
pub fn program(name: &str) -> PathBuf {
    home().join("bin").join(name)
}

fn make(home: &Path, requirements: &str) {
    drop(fs::remove_dir_all(home));
    said(Command::new("python3").args(["-m", "venv"]).arg(home));
    let list = home.join("requirements.txt");
    fs::write(&list, requirements).expect("target/tmp can be written");
    said(
        Command::new(home.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(list),
    );
}

fn said(command: &mut Command) {
    let output = command.output().expect("python3 is installed");
    assert!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
