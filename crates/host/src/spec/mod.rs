//! Argument specifications: building and finding them, and bringing arguments into the types that they give.

mod build;
mod check;
mod convert;
mod near;
#[cfg(test)]
mod tests;

pub(crate) use build::join;
pub use check::{normalise, validate};

use crate::Spec;
use crate::modules::TABLE;

/// The collections whose modules are ours under their short names.
const PREFIXES: &[&str] = &[
    "ansible.builtin.",
    "ansible.legacy.",
    "ansible.posix.",
    "community.crypto.",
    "community.general.",
    "kubernetes.core.",
];

/// The argument that holds a free-form command line.
const RAW_PARAMS: &str = "_raw_params";

/// `ansible.builtin.copy` → `copy`; a name of an unknown collection stays as it is.
pub(crate) fn short_name(name: &str) -> &str {
    PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// The specification of a module, by name or alias, with or without the name of its collection. Private modules, whose
/// names begin with an underscore, are not found: nobody can write them into a playbook.
pub fn spec(name: &str) -> Option<&'static Spec> {
    let short = short_name(name);
    specs().find(|spec| spec.name == short || spec.aliases.contains(&short))
}

/// All specifications but those of private modules, in the order of the table.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    TABLE
        .iter()
        .map(|entry| entry.spec)
        .filter(|spec| !spec.name.starts_with('_'))
}
