//! Modules that Ansible has and kopsrun hasn't: playbooks that name them can be listed.

use super::load::Pass;
use crate::content::place::Place;
use host::Spec;
use std::path::Path;

/// Stands for all of them where playbooks are only listed.
pub(super) static MODULE: Spec =
    Spec::new("foreign", "A module that kopsrun hasn't.", &[]).free_form();

/// What ansible-core 2.18 brings.
const BUILTIN: &[&str] = &[
    "apt",
    "apt_key",
    "apt_repository",
    "assemble",
    "async_status",
    "blockinfile",
    "command",
    "copy",
    "cron",
    "deb822_repository",
    "debconf",
    "debug",
    "dnf",
    "dnf5",
    "dpkg_selections",
    "expect",
    "fail",
    "fetch",
    "file",
    "find",
    "gather_facts",
    "get_url",
    "getent",
    "git",
    "group",
    "hostname",
    "iptables",
    "known_hosts",
    "lineinfile",
    "mount_facts",
    "package",
    "package_facts",
    "ping",
    "pip",
    "reboot",
    "replace",
    "rpm_key",
    "script",
    "service",
    "service_facts",
    "setup",
    "shell",
    "slurp",
    "stat",
    "subversion",
    "systemd",
    "systemd_service",
    "sysvinit",
    "tempfile",
    "template",
    "unarchive",
    "uri",
    "user",
    "validate_argument_spec",
    "wait_for",
    "yum",
    "yum_repository",
];

impl Pass<'_> {
    /// True for a module that Ansible would find, as far as it can be told: its own, one of a collection, or a file in
    /// a `library/`.
    pub(super) fn is_elsewhere(&self, name: &str, place: &Place) -> bool {
        let own = name
            .strip_prefix("ansible.builtin.")
            .or_else(|| name.strip_prefix("ansible.legacy."));
        if let Some(short) = own {
            return BUILTIN.contains(&short);
        }
        if name.contains('.') {
            return name.split('.').count() >= 3 && !name.split('.').any(str::is_empty);
        }
        BUILTIN.contains(&name) || self.is_in_library(name, place)
    }

    fn is_in_library(&self, name: &str, place: &Place) -> bool {
        let roles = place.file.parent().and_then(Path::parent);
        let beside = [Some(self.dir.as_path()), roles];
        let beside = beside.into_iter().flatten().map(|dir| dir.join("library"));
        let mut dirs = beside.chain(self.loader.settings.library.iter().cloned());
        dirs.any(|dir| dir.join(format!("{name}.py")).is_file())
    }
}
