//! `package`: packages, for whoever doesn't name the package manager.

use super::TABLE;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Package managers: their module, and the program by which they are known.
const MANAGERS: &[(&str, &str)] = &[
    ("apt", "apt-get"),
    ("dnf5", "dnf5"),
    ("dnf", "dnf"),
    ("yum", "yum"),
];

#[derive(Deserialize)]
pub struct Package {
    #[serde(rename = "use")]
    manager: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Module for Package {
    const SPEC: Spec = Spec::new(
        "package",
        "Installs, upgrades and removes packages with the host's own package manager: what apt, dnf5, dnf or yum makes of the arguments. One that this manager doesn't take is refused on the host.",
        &[
            Arg::new(
                "name",
                Kind::List,
                "Packages, as the package manager names them.",
            ),
            Arg::new(
                "state",
                Kind::Str,
                "Installed (present, if not said), not there (absent), newest (latest), or what else the module knows.",
            ),
            Arg::new("use", Kind::Str, "The module.")
                .choices(&["auto", "apt", "dnf", "dnf4", "dnf5", "yum"])
                .default("auto"),
            Arg::new(
                "update_cache",
                Kind::Bool,
                "Fetch the lists of packages first.",
            ),
            Arg::new(
                "cache_valid_time",
                Kind::Int,
                "Seconds for which fetched lists are good (apt).",
            ),
            Arg::new(
                "install_recommends",
                Kind::Bool,
                "Also what is recommended (apt).",
            ),
            Arg::new(
                "purge",
                Kind::Bool,
                "Settings of removed packages go as well (apt).",
            ),
            Arg::new(
                "only_upgrade",
                Kind::Bool,
                "Only what is installed already (apt).",
            ),
            Arg::new("force", Kind::Bool, "As the argument of apt."),
            Arg::new("dpkg_options", Kind::Str, "Options of dpkg (apt)."),
            Arg::new("policy_rc_d", Kind::Int, "As the argument of apt."),
            Arg::new("default_release", Kind::Str, "The release to prefer (apt)."),
            Arg::new(
                "allow_unauthenticated",
                Kind::Bool,
                "Packages without a signature (apt).",
            ),
            Arg::new(
                "allow_change_held_packages",
                Kind::Bool,
                "Also packages that are on hold (apt).",
            ),
            Arg::new(
                "autoremove",
                Kind::Bool,
                "Also remove what nothing needs any more.",
            ),
            Arg::new(
                "allow_downgrade",
                Kind::Bool,
                "An older version may be asked for.",
            ),
            Arg::new(
                "lock_timeout",
                Kind::Int,
                "Seconds to wait for another package manager.",
            ),
            Arg::new(
                "enablerepo",
                Kind::List,
                "Repositories to use besides (dnf, yum).",
            ),
            Arg::new(
                "disablerepo",
                Kind::List,
                "Repositories not to use (dnf, yum).",
            ),
            Arg::new("exclude", Kind::List, "Packages to leave out (dnf, yum)."),
            Arg::new(
                "disable_gpg_check",
                Kind::Bool,
                "Packages without a signature (dnf, yum).",
            ),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let module = match self.manager.as_str() {
            "auto" => MANAGERS
                .iter()
                .find(|(_, program)| cx.find_program(program).is_some())
                .map(|(module, _)| *module)
                .ok_or_else(|| {
                    let known: Vec<&str> = MANAGERS.iter().map(|(module, _)| *module).collect();
                    Failure::new(format!(
                        "Could not find a matching package manager module for this host: it has none of {}",
                        known.join(", ")
                    ))
                })?,
            "dnf4" => "dnf",
            named => named,
        };
        let entry = TABLE
            .iter()
            .find(|entry| entry.spec.name == module || entry.spec.aliases.contains(&module))
            .ok_or_else(|| Failure::new(format!("there is no module {module}")))?;
        (entry.run)(crate::normalise(entry.spec, &self.rest)?, cx)
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run;
    use serde_json::json;

    #[test]
    fn the_manager_of_the_host_gets_the_arguments() {
        let outcome = run("package", json!({"name": "dpkg", "state": "present"}));
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
        assert_eq!(outcome.data["cache_updated"], false);
        let outcome = run(
            "package",
            json!({"name": "dpkg", "state": "present", "enablerepo": "x"}),
        );
        assert!(outcome.failed, "{outcome:?}");
        let said = outcome.data["msg"].as_str().expect("text");
        assert!(said.starts_with("apt has no argument enablerepo"), "{said}");
        let outcome = run("package", json!({"name": "dpkg"}));
        assert!(!outcome.failed && !outcome.changed, "{outcome:?}");
    }
}
