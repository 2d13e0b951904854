//! `package_facts`: what is installed, as the fact `packages`.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
pub struct PackageFacts {
    manager: Vec<String>,
    strategy: String,
}

const APT: &[&str] = &["apt"];
const RPM: &[&str] = &["rpm", "dnf", "dnf5", "yum", "zypper"];

impl Module for PackageFacts {
    const SPEC: Spec = Spec::new(
        "package_facts",
        "Lists installed packages as the fact packages: those of dpkg, and those of rpm (which no test has run for real).",
        &[
            Arg::new(
                "manager",
                Kind::List,
                "Whose packages: those of apt and rpm are read, others are failures.",
            )
            .choices(&[
                "auto",
                "apt",
                "rpm",
                "dnf",
                "dnf5",
                "yum",
                "zypper",
                "apk",
                "openbsd_pkg",
                "pacman",
                "pkg",
                "pkg5",
                "pkg_info",
                "pkgng",
                "portage",
            ])
            .default("auto"),
            Arg::new(
                "strategy",
                Kind::Str,
                "The first manager that is there, or all.",
            )
            .choices(&["first", "all"])
            .default("first"),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let asked = |names: &[&str]| {
            self.manager
                .iter()
                .any(|manager| manager == "auto" || names.contains(&manager.as_str()))
        };
        let mut packages = Map::new();
        let mut found = false;
        if asked(APT) && cx.find_program("dpkg-query").is_some() {
            found = true;
            let format = "-f=${Package}\t${Version}\t${Architecture}\t${Section}\t${Origin}\t${db:Status-Status}\n";
            let output = cx
                .process("dpkg-query")
                .args(["-W", format])
                .system()
                .run()?
                .check("cannot list the packages of dpkg")?;
            add_dpkg(&output.stdout_text(), &mut packages);
        }
        let more = self.strategy == "all" || !found;
        if more && asked(RPM) && cx.find_program("rpm").is_some() {
            found = true;
            let format = "%{NAME}\t%{VERSION}\t%{RELEASE}\t%{EPOCH}\t%{ARCH}\n";
            let output = cx
                .process("rpm")
                .args(["-qa", "--qf", format])
                .system()
                .run()?
                .check("cannot list the packages of rpm")?;
            add_rpm(&output.stdout_text(), &mut packages);
        }
        if !found {
            return Err(Failure::new(format!(
                "Could not detect a supported package manager from the following list: {:?}: kopsrun knows dpkg-query and rpm, and this host lacks them",
                self.manager
            )));
        }
        Ok(Outcome::ok().with("ansible_facts", json!({"packages": packages})))
    }
}

fn add(packages: &mut Map<String, Value>, name: &str, entry: Value) {
    let all = packages.entry(name).or_insert_with(|| json!([]));
    if let Value::Array(all) = all {
        all.push(entry);
    }
}

fn add_dpkg(text: &str, packages: &mut Map<String, Value>) {
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, version, arch, category, origin, "installed"] = fields[..] else {
            continue;
        };
        let entry = json!({
            "name": name, "version": version, "arch": arch, "category": category,
            "origin": origin, "source": "apt",
        });
        add(packages, name, entry);
    }
}

fn add_rpm(text: &str, packages: &mut Map<String, Value>) {
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, version, release, epoch, arch] = fields[..] else {
            continue;
        };
        let entry = json!({
            "name": name, "version": version, "release": release,
            "epoch": epoch.parse::<u64>().ok(), "arch": arch, "source": "rpm",
        });
        add(packages, name, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::run;

    #[test]
    fn what_is_installed_is_listed() {
        let facts = run("package_facts", json!({})).data["ansible_facts"].clone();
        let dpkg = &facts["packages"]["dpkg"][0];
        assert_eq!(
            (&dpkg["source"], dpkg["version"].is_string()),
            (&json!("apt"), true)
        );
    }

    #[test]
    fn the_output_of_both_managers_is_read() {
        let mut packages = Map::new();
        add_dpkg(
            "a\t1-1\tamd64\tlibs\tDebian\tinstalled\nb\t2\tall\t\t\tconfig-files\n",
            &mut packages,
        );
        // As rpm 4.16 of Rocky Linux 9 writes it.
        add_rpm(
            "kernel\t5.14.0\t362.8.1.el9_3\t(none)\tx86_64\nkernel\t5.14.0\t70.el9\t(none)\tx86_64\nbind\t9.16\t1\t32\tx86_64\n",
            &mut packages,
        );
        assert_eq!(packages.len(), 3);
        assert_eq!(
            packages["a"],
            json!([{"name": "a", "version": "1-1", "arch": "amd64", "category": "libs", "origin": "Debian", "source": "apt"}])
        );
        assert_eq!(packages["kernel"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            (
                &packages["kernel"][0]["epoch"],
                &packages["bind"][0]["epoch"]
            ),
            (&Value::Null, &json!(32))
        );
    }
}
