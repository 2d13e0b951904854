//! What the machine runs: kernel, names, distribution.

use super::{Facts, put, read};
use crate::Context;
use serde_json::{Map, Value};
use std::collections::HashMap;

pub(super) fn collect(cx: &Context, facts: &mut Facts) {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let (machine, node) = (text(uname.machine()), text(uname.nodename()));
    put(facts, "system", text(uname.sysname()));
    put(facts, "kernel", text(uname.release()));
    put(facts, "kernel_version", text(uname.version()));
    put(facts, "machine", machine.clone());
    // Ansible names all 32-bit Intel machines alike.
    let is_x86 = matches!(machine.as_str(), "i386" | "i486" | "i586" | "i686");
    put(
        facts,
        "architecture",
        if is_x86 {
            "i386".to_owned()
        } else {
            machine.clone()
        },
    );
    put(
        facts,
        "userspace_bits",
        if machine.contains("64") || machine == "s390x" {
            "64"
        } else {
            "32"
        },
    );
    put(facts, "userspace_architecture", machine);
    let fqdn = fqdn(&node, &read("/etc/hosts").unwrap_or_default())
        .or_else(|| asked(cx, &node))
        .unwrap_or_else(|| node.clone());
    put(
        facts,
        "hostname",
        node.split('.').next().unwrap_or_default(),
    );
    put(
        facts,
        "domain",
        fqdn.split_once('.').map_or("", |(_, domain)| domain),
    );
    put(facts, "fqdn", fqdn);
    put(facts, "nodename", node);
    if let Some(id) = read("/etc/machine-id").or_else(|| read("/var/lib/dbus/machine-id")) {
        put(facts, "machine_id", id);
    }
    if let Some(id) = read("/proc/sys/kernel/random/boot_id") {
        put(facts, "boot_id", id);
    }
}

/// The full name of this host as Python's `getfqdn` finds it: the first name with a dot of the address that the short name
/// has, else the address's first name. None when /etc/hosts doesn't have the short name.
fn fqdn(node: &str, hosts: &str) -> Option<String> {
    if node.contains('.') {
        return Some(node.to_owned());
    }
    let entries: Vec<Vec<&str>> = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<&str>| words.len() > 1)
        .collect();
    let address = entries.iter().find(|words| words[1..].contains(&node))?[0];
    let names = entries.iter().find(|words| words[0] == address)?;
    Some(full(&names[1..]).to_owned())
}

/// The first name with a dot, else the first.
fn full<'a>(names: &[&'a str]) -> &'a str {
    let dotted = names.iter().find(|name| name.contains('.'));
    dotted.or(names.first()).copied().unwrap_or_default()
}

/// The same of the host's name service, which a static program can't ask itself. A resolver that doesn't answer holds
/// nothing up for long.
fn asked(cx: &Context, node: &str) -> Option<String> {
    let ask = |name: &str| -> Option<Vec<String>> {
        let output = cx
            .process("timeout")
            .args(["2", "getent", "hosts", name])
            .system()
            .run()
            .ok()?;
        let text = output.stdout_text();
        let words: Vec<String> = text
            .lines()
            .next()?
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect();
        (words.len() > 1).then_some(words)
    };
    let forward = ask(node)?;
    let words = ask(&forward[0]).unwrap_or(forward);
    let names: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    Some(full(&names).to_owned())
}

/// Whether the root of this process is that of process 1.
pub(super) fn chroot(cx: &Context, facts: &mut Facts) {
    use std::os::unix::fs::MetadataExt;
    let root = |path: &str| {
        std::fs::metadata(path)
            .ok()
            .map(|meta| (meta.dev(), meta.ino()))
    };
    let own = root("/");
    let differs = root("/proc/1/root/.").map_or_else(
        // Not to be seen: the root of a file system has a certain number.
        || own.is_some_and(|(_, number)| ![2, 128, 256].contains(&number)),
        |first| own != Some(first),
    );
    let said = cx.environment().contains_key("debian_chroot")
        || std::env::var_os("debian_chroot").is_some();
    put(facts, "is_chroot", said || differs);
}

/// Ansible's names for distributions, by the ID in os-release.
const NAMES: &[(&str, &str)] = &[
    ("rhel", "RedHat"),
    ("centos", "CentOS"),
    ("rocky", "Rocky"),
    ("almalinux", "AlmaLinux"),
    ("ol", "OracleLinux"),
    ("fedora", "Fedora"),
    ("amzn", "Amazon"),
    ("debian", "Debian"),
    ("raspbian", "Debian"),
    ("ubuntu", "Ubuntu"),
    ("linuxmint", "Linux Mint"),
    ("sles", "SLES"),
    ("opensuse-leap", "openSUSE Leap"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed"),
    ("arch", "Archlinux"),
    ("alpine", "Alpine"),
    ("flatcar", "Flatcar"),
    ("gentoo", "Gentoo"),
    ("openEuler", "openEuler"),
    ("kylin", "Kylin Linux Advanced Server"),
];

const FAMILIES: &[(&str, &[&str])] = &[
    ("Debian", &["Debian", "Ubuntu", "Linux Mint"]),
    (
        "RedHat",
        &[
            "RedHat",
            "CentOS",
            "Rocky",
            "AlmaLinux",
            "OracleLinux",
            "Fedora",
            "Amazon",
            "openEuler",
            "Kylin Linux Advanced Server",
        ],
    ),
    ("Suse", &["SLES", "openSUSE Leap", "openSUSE Tumbleweed"]),
];

pub(super) fn distribution(facts: &mut Facts) {
    let release = read("/etc/os-release")
        .or_else(|| read("/usr/lib/os-release"))
        .unwrap_or_default();
    let debian = read("/etc/debian_version");
    for (name, value) in identify(&release, debian.as_deref()) {
        put(facts, name, value);
    }
    put(facts, "distribution_file_parsed", true);
}

/// The facts that os-release and, on Debian, debian_version give.
fn identify(release: &str, debian: Option<&str>) -> Vec<(&'static str, String)> {
    let fields = assignments(release);
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let id = field("ID");
    let name = NAMES.iter().find(|(known, _)| *known == id).map_or_else(
        || {
            field("NAME")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned()
        },
        |(_, name)| (*name).to_owned(),
    );
    let mut version = field("VERSION_ID");
    if id == "debian"
        && let Some(full) =
            debian.filter(|text| text.starts_with(|letter: char| letter.is_ascii_digit()))
    {
        // os-release has no point release on Debian.
        version = full.to_owned();
    }
    let family = FAMILIES
        .iter()
        .find(|(_, members)| members.contains(&name.as_str()))
        .map_or_else(|| name.clone(), |(family, _)| (*family).to_owned());
    let codename = Some(field("VERSION_CODENAME"))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| {
            let words = field("VERSION");
            let inside = words
                .split_once('(')
                .and_then(|(_, rest)| rest.split_once(')'));
            inside.map_or_else(|| "NA".to_owned(), |(inside, _)| inside.to_owned())
        });
    let mut parts = version.split('.');
    let major = parts.next().unwrap_or_default().to_owned();
    let minor = parts.next().map(ToOwned::to_owned);
    let mut facts = vec![
        ("distribution", name),
        ("distribution_version", version.clone()),
        ("distribution_major_version", major),
        ("distribution_release", codename),
        ("distribution_file_path", "/etc/os-release".to_owned()),
        ("distribution_file_variety", family.clone()),
        ("os_family", family),
    ];
    if let Some(minor) = minor {
        facts.push(("distribution_minor_version", minor));
    }
    facts
}

pub(super) fn lsb(facts: &mut Facts) {
    let fields = read("/etc/lsb-release")
        .map(|text| assignments(&text))
        .unwrap_or_default();
    let mut lsb = Map::new();
    for (key, name) in [
        ("DISTRIB_ID", "id"),
        ("DISTRIB_RELEASE", "release"),
        ("DISTRIB_DESCRIPTION", "description"),
        ("DISTRIB_CODENAME", "codename"),
    ] {
        if let Some(value) = fields.get(key) {
            lsb.insert(name.to_owned(), value.clone().into());
        }
    }
    if let Some(release) = lsb.get("release").and_then(Value::as_str) {
        let major = release.split('.').next().unwrap_or_default().to_owned();
        lsb.insert("major_release".to_owned(), major.into());
    }
    put(facts, "lsb", lsb);
}

/// `NAME="value"` lines, as the shell reads them.
fn assignments(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let value = crate::words::split(value).ok()?.join(" ");
            Some((name.trim().to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(release: &str, debian: Option<&str>, name: &str) -> String {
        identify(release, debian)
            .into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .unwrap_or_default()
    }

    #[test]
    fn distributions_have_ansibles_names() {
        let debian =
            "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(of(debian, Some("12.11"), "distribution_version"), "12.11");
        assert_eq!(
            of(debian, Some("12.11"), "distribution_major_version"),
            "12"
        );
        assert_eq!(of(debian, Some("trixie/sid"), "distribution_version"), "12");
        assert_eq!(of(debian, None, "distribution_release"), "bookworm");
        let ubuntu = "NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n";
        assert_eq!(
            of(ubuntu, Some("trixie/sid"), "distribution_version"),
            "24.04"
        );
        assert_eq!(of(ubuntu, None, "os_family"), "Debian");
        let rocky =
            "NAME=\"Rocky Linux\"\nVERSION=\"9.4 (Blue Onyx)\"\nID=\"rocky\"\nVERSION_ID=\"9.4\"\n";
        assert_eq!(of(rocky, None, "distribution"), "Rocky");
        assert_eq!(of(rocky, None, "os_family"), "RedHat");
        assert_eq!(of(rocky, None, "distribution_release"), "Blue Onyx");
        assert_eq!(
            of("NAME=\"Some Linux\"\nID=some\n", None, "distribution"),
            "Some"
        );
    }

    #[test]
    fn full_names_come_from_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 node1.example.org node1 # me\n";
        assert_eq!(fqdn("node1", hosts).as_deref(), Some("node1.example.org"));
        assert_eq!(fqdn("node2", hosts), None);
        assert_eq!(fqdn("a.b.c", hosts).as_deref(), Some("a.b.c"));
        // What the address is called first counts, as when Python asks for it.
        let shared = "127.0.0.1 localhost\n127.0.0.1 node1\n";
        assert_eq!(fqdn("node1", shared).as_deref(), Some("localhost"));
    }
}
