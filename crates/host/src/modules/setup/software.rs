//! How the host is set up: package and service manager, security, the user, keys.

use super::{Facts, put, read};
use crate::{Context, Failure, users};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn pkg_mgr(cx: &Context, facts: &mut Facts) {
    let found = [
        ("apt-get", "apt"),
        ("dnf5", "dnf5"),
        ("dnf", "dnf"),
        ("yum", "yum"),
        ("zypper", "zypper"),
        ("apk", "apk"),
        ("pacman", "pacman"),
        ("emerge", "portage"),
    ]
    .into_iter()
    .find(|(program, _)| cx.find_program(program).is_some())
    .map_or("unknown", |(_, name)| name);
    put(facts, "pkg_mgr", found);
}

pub(super) fn service_mgr(facts: &mut Facts) {
    let first = read("/proc/1/comm").unwrap_or_default();
    let name = if Path::new("/run/systemd/system").is_dir() || first == "systemd" {
        "systemd"
    } else {
        match first.as_str() {
            "runit-init" | "runit" => "runit",
            "openrc-init" => "openrc",
            "procd" => "procd",
            _ if Path::new("/sbin/openrc").exists() => "openrc",
            "init" => "sysvinit",
            _ => "service",
        }
    };
    put(facts, "service_mgr", name);
}

pub(super) fn selinux(facts: &mut Facts) {
    let status = match read("/sys/fs/selinux/enforce") {
        None => json!({"status": "disabled"}),
        Some(enforce) => {
            let config = read("/etc/selinux/config").unwrap_or_default();
            let setting = |name: &str| {
                config
                    .lines()
                    .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or("unknown")
                    .to_owned()
            };
            let policy =
                read("/sys/fs/selinux/policyvers").and_then(|text| text.parse::<u32>().ok());
            json!({
                "status": "enabled",
                "mode": if enforce == "1" { "enforcing" } else { "permissive" },
                "policyvers": policy,
                "config_mode": setting("SELINUX"),
                "type": setting("SELINUXTYPE"),
            })
        }
    };
    put(facts, "selinux", status);
    put(facts, "selinux_python_present", true);
}

pub(super) fn apparmor(facts: &mut Facts) {
    let enabled = Path::new("/sys/kernel/security/apparmor").exists();
    put(
        facts,
        "apparmor",
        json!({"status": if enabled { "enabled" } else { "disabled" }}),
    );
}

pub(super) fn fips(facts: &mut Facts) {
    put(
        facts,
        "fips",
        read("/proc/sys/crypto/fips_enabled").is_some_and(|text| text == "1"),
    );
}

pub(super) fn cmdline(facts: &mut Facts) {
    let line = read("/proc/cmdline").unwrap_or_default();
    let mut last = Map::new();
    let mut all: Map<String, Value> = Map::new();
    for word in line.split_whitespace() {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Value::from(value)),
            None => (word, Value::Bool(true)),
        };
        last.insert(key.to_owned(), value.clone());
        // A key that comes twice has a list here.
        let both = match all.remove(key) {
            None => value,
            Some(Value::Array(mut values)) => {
                values.push(value);
                values.into()
            }
            Some(first) => vec![first, value].into(),
        };
        all.insert(key.to_owned(), both);
    }
    put(facts, "cmdline", last);
    put(facts, "proc_cmdline", all);
}

pub(super) fn env(cx: &Context, facts: &mut Facts) {
    let mut all: Map<String, Value> = std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into(),
            )
        })
        .collect();
    all.extend(
        cx.environment()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into())),
    );
    put(facts, "env", all);
}

pub(super) fn user(facts: &mut Facts) {
    let (real, effective) = (
        rustix::process::getuid().as_raw(),
        rustix::process::geteuid().as_raw(),
    );
    if let Some(user) = users::user_by_id(effective) {
        put(facts, "user_id", user.name);
        put(facts, "user_gecos", user.gecos);
        put(facts, "user_dir", user.home);
        put(facts, "user_shell", user.shell);
        put(facts, "user_gid", user.gid);
    }
    put(facts, "user_uid", effective);
    put(facts, "real_user_id", real);
    put(facts, "effective_user_id", effective);
    put(facts, "real_group_id", rustix::process::getgid().as_raw());
    put(
        facts,
        "effective_group_id",
        rustix::process::getegid().as_raw(),
    );
}

pub(super) fn ssh_keys(facts: &mut Facts) {
    for kind in ["dsa", "rsa", "ecdsa", "ed25519"] {
        let text = ["/etc/ssh", "/etc/openssh", "/etc"]
            .iter()
            .find_map(|dir| read(format!("{dir}/ssh_host_{kind}_key.pub")));
        let Some(text) = text else { continue };
        let mut words = text.split_whitespace();
        if let (Some(algorithm), Some(key)) = (words.next(), words.next()) {
            put(facts, &format!("ssh_host_key_{kind}_public"), key);
            put(
                facts,
                &format!("ssh_host_key_{kind}_public_keytype"),
                algorithm,
            );
        }
    }
}

/// What Python says of itself, if there is one: the only program that is started for facts.
pub(super) fn python(cx: &Context, facts: &mut Facts) -> Result<(), Failure> {
    const QUESTION: &str = "import json,sys\nv=sys.version_info\nprint(json.dumps({'version':{'major':v[0],'minor':v[1],'micro':v[2],'releaselevel':v[3],'serial':v[4]},'version_info':list(v),'executable':sys.executable,'has_sslcontext':True,'type':sys.implementation.name}))";
    let Some(python) = cx.find_program("python3") else {
        return Ok(());
    };
    let output = cx.process(python).args(["-I", "-S", "-c", QUESTION]).run();
    cx.check_cancelled()?;
    let answer = output.ok().filter(crate::Output::ok);
    let about: Option<Value> =
        answer.and_then(|output| serde_json::from_slice(&output.stdout).ok());
    if let Some(about) = about {
        let number = |name: &str| about["version"][name].to_string();
        let version = [number("major"), number("minor"), number("micro")].join(".");
        put(facts, "python_version", version);
        put(facts, "python", about);
    }
    Ok(())
}
