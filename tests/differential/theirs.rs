//! Ansible's outcomes: from the driver, or kept from an earlier run of the same case.

use crate::case::Case;
use crate::oracle;
use crate::outcome::Outcome;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DRIVER: &str = include_str!("driver.py");
const RECORD: &str = include_str!("record.py");

#[derive(Deserialize)]
struct Kept {
    runs: Vec<Outcome>,
}

/// What Ansible makes of the cases, by name; `width` of them at the same time.
///
/// # Panics
/// When the driver itself fails.
pub fn outcomes(cases: &[Case], below: &Path, width: usize) -> HashMap<String, Vec<Outcome>> {
    let kept = kept(below);
    fs::create_dir_all(&kept).expect("target/tmp can be written");
    let file = |case: &Case| kept.join(format!("{}.json", case.key()));
    let dir = |case: &Case| below.join("ansible").join(case.name.replace('/', "-"));
    let jobs: Vec<serde_json::Value> = cases
        .iter()
        .filter(|case| !file(case).exists())
        .map(|case| {
            case.lay_out(&dir(case));
            let env: HashMap<_, _> = case.env.iter().cloned().collect();
            json!({
                "dir": dir(case),
                "runs": case.runs,
                "env": env,
                "fresh": case.has_settings(),
                "out": file(case),
            })
        })
        .collect();
    if !jobs.is_empty() {
        drive(&jobs, below, width);
    }
    let outcome = |case: &Case| {
        let text = fs::read_to_string(file(case)).expect("the driver wrote it");
        let text = crate::outcome::placeless(&text, &dir(case).to_string_lossy());
        let kept: Kept = serde_json::from_str(&text).expect("the driver's own form");
        (case.name.clone(), kept.runs)
    };
    cases.iter().map(outcome).collect()
}

/// Ansible's outcomes of these cases are no longer known.
pub fn forget(cases: &[Case], below: &Path) {
    for case in cases {
        fs::remove_file(kept(below).join(format!("{}.json", case.key())))
            .expect("it was kept there");
    }
}

/// Where outcomes are kept that this driver recorded with this Ansible.
fn kept(below: &Path) -> PathBuf {
    let own = Sha256::digest(format!("{DRIVER}{RECORD}{}", oracle::ANSIBLE));
    let own: String = own
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    below.join(format!("kept-{own}"))
}

fn drive(jobs: &[serde_json::Value], below: &Path, width: usize) {
    let plugins = below.join("plugins");
    let home = below.join("home");
    for dir in [&plugins, &home] {
        fs::create_dir_all(dir).expect("target/tmp can be written");
    }
    fs::write(plugins.join("record.py"), RECORD).expect("target/tmp can be written");
    let driver: PathBuf = below.join("driver.py");
    fs::write(&driver, DRIVER).expect("target/tmp can be written");
    let mut child = Command::new(oracle::program("python"))
        .arg(&driver)
        .arg(width.to_string())
        .current_dir(below)
        .env_clear()
        .envs([
            ("LC_ALL", "C.UTF-8"),
            ("USER", "root"),
            ("ANSIBLE_NOCOLOR", "1"),
        ])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("ANSIBLE_CALLBACK_PLUGINS", &plugins)
        .env("ANSIBLE_CALLBACKS_ENABLED", "record")
        .stdin(Stdio::piped())
        .spawn()
        .expect("the virtualenv's python");
    let mut stdin = child.stdin.take().expect("it is piped");
    let text = serde_json::to_vec(&jobs).expect("plain data");
    stdin.write_all(&text).expect("the driver reads");
    drop(stdin);
    let status = child.wait().expect("the driver ends");
    assert!(status.success(), "the driver failed: {status}");
}
