//! `setup`: facts about the host, read from /proc, /sys and /etc. Nothing is started for them, except what an
//! administrator put into /etc/ansible/facts.d, and Python for the facts about itself.
//!
//! Names and values are Ansible's. What it doesn't know here: devices, LVM, capabilities.

mod clock;
mod hardware;
mod local;
mod network;
mod platform;
mod software;
mod virtualization;

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, globs};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Facts by their full names (`ansible_kernel`).
type Facts = Map<String, Value>;

/// What gathers some facts: its name, other names that `gather_subset` may call it by, whether it belongs to `min`.
struct Collector {
    name: &'static str,
    others: &'static [&'static str],
    min: bool,
    collect: fn(&Setup, &Context, &mut Facts) -> Result<(), Failure>,
}

const fn collector(
    name: &'static str,
    others: &'static [&'static str],
    min: bool,
    collect: fn(&Setup, &Context, &mut Facts) -> Result<(), Failure>,
) -> Collector {
    Collector {
        name,
        others,
        min,
        collect,
    }
}

static COLLECTORS: &[Collector] = &[
    collector(
        "platform",
        &[
            "system",
            "kernel",
            "kernel_version",
            "machine",
            "machine_id",
            "architecture",
            "userspace_bits",
            "nodename",
            "hostname",
            "fqdn",
            "domain",
        ],
        true,
        |_, cx, facts| {
            platform::collect(cx, facts);
            Ok(())
        },
    ),
    collector(
        "distribution",
        &[
            "distribution_version",
            "distribution_release",
            "distribution_major_version",
            "os_family",
        ],
        true,
        |_, _, facts| {
            platform::distribution(facts);
            Ok(())
        },
    ),
    collector("lsb", &[], true, |_, _, facts| {
        platform::lsb(facts);
        Ok(())
    }),
    collector("pkg_mgr", &[], true, |_, cx, facts| {
        software::pkg_mgr(cx, facts);
        Ok(())
    }),
    collector("service_mgr", &[], true, |_, _, facts| {
        software::service_mgr(facts);
        Ok(())
    }),
    collector("selinux", &[], true, |_, _, facts| {
        software::selinux(facts);
        Ok(())
    }),
    collector("apparmor", &[], true, |_, _, facts| {
        software::apparmor(facts);
        Ok(())
    }),
    collector("fips", &[], true, |_, _, facts| {
        software::fips(facts);
        Ok(())
    }),
    collector("cmdline", &["proc_cmdline"], true, |_, _, facts| {
        software::cmdline(facts);
        Ok(())
    }),
    collector("env", &[], true, |_, cx, facts| {
        software::env(cx, facts);
        Ok(())
    }),
    collector(
        "user",
        &[
            "user_id",
            "user_uid",
            "user_gid",
            "user_dir",
            "user_shell",
            "user_gecos",
            "real_user_id",
            "effective_user_ids",
        ],
        true,
        |_, _, facts| {
            software::user(facts);
            Ok(())
        },
    ),
    collector("ssh_pub_keys", &[], true, |_, _, facts| {
        software::ssh_keys(facts);
        Ok(())
    }),
    collector("dns", &[], true, |_, _, facts| {
        network::dns(facts);
        Ok(())
    }),
    collector("python", &["python_version"], true, |_, cx, facts| {
        software::python(cx, facts)
    }),
    collector("date_time", &[], true, |_, _, facts| {
        clock::collect(facts);
        Ok(())
    }),
    collector("local", &[], true, |setup, cx, facts| {
        local::collect(cx, &setup.fact_path, facts)
    }),
    collector(
        "hardware",
        &[
            "memory",
            "processor",
            "processor_cores",
            "processor_count",
            "mounts",
            "dmi",
            "uptime_seconds",
        ],
        false,
        |_, _, facts| {
            hardware::collect(facts);
            Ok(())
        },
    ),
    collector("chroot", &["is_chroot"], false, |_, cx, facts| {
        platform::chroot(cx, facts);
        Ok(())
    }),
    collector("loadavg", &[], false, |_, _, facts| {
        hardware::load(facts);
        Ok(())
    }),
    collector(
        "network",
        &[
            "interfaces",
            "default_ipv4",
            "default_ipv6",
            "all_ipv4_addresses",
            "all_ipv6_addresses",
            "locally_reachable_ips",
        ],
        false,
        |_, cx, facts| {
            network::collect(facts);
            network::reachable(cx, facts);
            Ok(())
        },
    ),
    collector(
        "virtual",
        &[
            "virtualization_type",
            "virtualization_role",
            "virtualization_tech_guest",
            "virtualization_tech_host",
        ],
        false,
        |_, _, facts| {
            virtualization::collect(facts);
            Ok(())
        },
    ),
];

/// Collectors of Ansible that find nothing on a Linux host without Python, accepted and empty.
const EMPTY: &[&str] = &[
    "caps",
    "system_capabilities",
    "facter",
    "ohai",
    "devices",
    "fibre_channel_wwn",
    "iscsi",
    "nvme",
];

#[derive(Deserialize)]
pub struct Setup {
    gather_subset: Vec<String>,
    filter: Vec<String>,
    fact_path: String,
}

impl Module for Setup {
    const SPEC: Spec = Spec::new(
        "setup",
        "Gathers facts about the host.",
        &[
            Arg::new(
                "gather_subset",
                Kind::List,
                "Which facts: all, min, hardware, network, virtual, single ones; ! takes away.",
            )
            .default("all"),
            Arg::new(
                "filter",
                Kind::List,
                "Only facts whose names fit one of these patterns.",
            )
            .default("*"),
            Arg::new(
                "fact_path",
                Kind::Path,
                "Where the administrator's own facts are.",
            )
            .default("/etc/ansible/facts.d"),
            Arg::new(
                "gather_timeout",
                Kind::Int,
                "For Ansible's slow facts; nothing here is slow.",
            )
            .default("10"),
        ],
    )
    .aliases(&["gather_facts"])
    .returns(&[Return::new("ansible_facts", "The facts.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let chosen = choose(&self.gather_subset)?;
        let mut facts = Facts::new();
        for collector in COLLECTORS
            .iter()
            .filter(|collector| chosen.contains(collector.name))
        {
            (collector.collect)(&self, cx, &mut facts)?;
        }
        facts.retain(|name, _| fits(&self.filter, name));
        if fits(&self.filter, "gather_subset") {
            facts.insert(
                "gather_subset".to_owned(),
                self.gather_subset.clone().into(),
            );
        }
        facts.insert("module_setup".to_owned(), true.into());
        Ok(Outcome::ok().with("ansible_facts", facts))
    }
}

/// A fact is shown when its name fits, with or without `ansible_`.
fn fits(filter: &[String], name: &str) -> bool {
    let short = name.strip_prefix("ansible_").unwrap_or(name);
    filter.iter().any(|pattern| {
        pattern.is_empty() || globs::fnmatch(pattern, name) || globs::fnmatch(pattern, short)
    })
}

/// Names of the collectors that a `gather_subset` means, by Ansible's rules: `min` is always in unless taken away, and
/// what is named itself can't be taken away. Where something is only taken away, the rest is meant.
fn choose(subset: &[String]) -> Result<BTreeSet<&'static str>, Failure> {
    let of = |min: bool| {
        COLLECTORS
            .iter()
            .filter(move |collector| collector.min == min)
            .map(|collector| collector.name)
    };
    let words = || {
        subset
            .iter()
            .map(|word| word.trim())
            .filter(|word| !word.is_empty())
    };
    let mut wanted: BTreeSet<&str> = of(true).collect();
    let mut unwanted = BTreeSet::new();
    let mut named = BTreeSet::new();
    if words().next().is_none() {
        wanted.extend(of(false));
    }
    for word in words() {
        match word {
            "min" => {}
            "all" => wanted.extend(of(false)),
            "!min" => unwanted.extend(of(true)),
            "!all" => unwanted.extend(of(false)),
            _ => {
                let name = word.trim_start_matches('!');
                let found = COLLECTORS
                    .iter()
                    .find(|collector| collector.name == name || collector.others.contains(&name));
                match found {
                    Some(collector) if word.starts_with('!') => {
                        unwanted.insert(collector.name);
                    }
                    Some(collector) => {
                        named.insert(collector.name);
                    }
                    None if EMPTY.contains(&name) => {}
                    None => return Err(unknown(name)),
                }
            }
        }
    }
    wanted.retain(|name| !unwanted.contains(name));
    wanted.extend(named);
    Ok(wanted)
}

fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = COLLECTORS.iter().map(|collector| collector.name).collect();
    Failure::new(format!(
        "gather_subset knows nothing named {name:?} (it knows all, min, {})",
        known.join(", ")
    ))
}

/// The text of a small file, without white space around it; `None` when it isn't there or is empty.
fn read(path: impl AsRef<Path>) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn put(facts: &mut Facts, name: &str, value: impl Into<Value>) {
    facts.insert(format!("ansible_{name}"), value.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::run;
    use serde_json::json;

    fn facts(args: Value) -> Map<String, Value> {
        let outcome = run("setup", args);
        assert!(!outcome.failed, "{outcome:?}");
        outcome.data["ansible_facts"]
            .as_object()
            .expect("a dictionary")
            .clone()
    }

    fn chosen(words: &[&str]) -> BTreeSet<&'static str> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        choose(&words).expect("all known")
    }

    #[test]
    fn subsets_are_ansibles() {
        assert_eq!(chosen(&["all"]).len(), COLLECTORS.len());
        assert!(
            chosen(&["!all"]).contains("distribution") && !chosen(&["!all"]).contains("network")
        );
        assert_eq!(
            chosen(&["!all", "!min", "network"]),
            BTreeSet::from(["network"])
        );
        assert_eq!(
            chosen(&["!all", "!min", "default_ipv4"]),
            BTreeSet::from(["network"])
        );
        assert!(
            !chosen(&["!hardware"]).contains("hardware")
                && !chosen(&["!hardware"]).contains("network")
                && chosen(&["all", "!hardware"]).contains("network")
        );
        assert!(chosen(&["distribution", "pkg_mgr"]).contains("env"));
        assert!(!chosen(&["distribution"]).contains("network"));
        assert!(choose(&["hardwear".to_owned()]).is_err());
    }

    #[test]
    fn everything_that_kubespray_reads_is_there() {
        let facts = facts(json!({}));
        for name in [
            "distribution",
            "distribution_version",
            "distribution_major_version",
            "distribution_release",
            "os_family",
            "architecture",
            "pkg_mgr",
            "kernel",
            "system",
            "memtotal_mb",
            "swaptotal_mb",
            "selinux",
            "hostname",
            "fqdn",
            "nodename",
            "all_ipv4_addresses",
            "all_ipv6_addresses",
            "interfaces",
            "service_mgr",
            "env",
            "date_time",
            "user_id",
            "processor_vcpus",
            "mounts",
            "virtualization_type",
            "default_ipv4",
            "default_ipv6",
            "local",
        ] {
            assert!(facts.contains_key(&format!("ansible_{name}")), "{name}");
        }
        assert_eq!(
            facts["ansible_user_id"],
            crate::users::user_by_id(rustix::process::geteuid().as_raw())
                .expect("known")
                .name
        );
        assert!(facts["ansible_memtotal_mb"].as_u64().expect("a number") > 0);
        assert!(facts["ansible_env"]["PATH"].is_string());
    }

    #[test]
    fn filters_choose_by_pattern() {
        let facts =
            facts(json!({"filter": "ansible_*total_mb", "gather_subset": "!all,!min,hardware"}));
        assert!(
            facts.contains_key("ansible_memtotal_mb") && facts.contains_key("ansible_swaptotal_mb")
        );
        assert!(
            facts
                .keys()
                .all(|name| name.ends_with("total_mb") || name == "module_setup"),
            "{facts:?}"
        );
    }
}
