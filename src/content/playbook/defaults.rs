//! `module_defaults`: arguments for modules and for groups of modules (`group/NAME`), which collections define in their
//! `meta/runtime.yml`.
//!
//! <https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_module_defaults.html>

use super::load::Pass;
use super::modules;
use super::setting::list;
use super::tree::{Frame, Keywords};
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::value::Value;
use crate::content::yaml::Node;
use indexmap::IndexMap;
use std::collections::HashMap;

/// Groups of ansible-core 2.18, which hold those of collections. A collection that isn't there adds nothing.
const BUILTIN: &[(&str, &[&str])] = &[
    ("acme", &["community.crypto.acme"]),
    ("aws", &["amazon.aws.aws", "community.aws.aws"]),
    ("azure", &["azure.azcollection.azure"]),
    ("cpm", &["wti.remote.cpm"]),
    (
        "docker",
        &["community.general.docker", "community.docker.docker"],
    ),
    ("gcp", &["google.cloud.gcp"]),
    (
        "k8s",
        &[
            "community.kubernetes.k8s",
            "community.general.k8s",
            "community.kubevirt.k8s",
            "community.okd.k8s",
            "kubernetes.core.k8s",
        ],
    ),
    ("os", &["openstack.cloud.os"]),
    ("ovirt", &["ovirt.ovirt.ovirt", "community.general.ovirt"]),
    ("testgroup", &["testns.testcoll.testgroup"]),
    ("testlegacy", &[]),
    ("vmware", &["community.vmware.vmware"]),
];

/// Groups of modules that kopsrun brings, known without the collection.
const NATIVE: &[(&str, &[&str])] = &[
    (
        "kubernetes.core.helm",
        &["helm", "helm_info", "helm_repository"],
    ),
    ("kubernetes.core.k8s", &["k8s", "k8s_info", "k8s_drain"]),
    ("ansible.builtin.testgroup", &["ping"]),
];

/// What `module_defaults` says at one level, or at all levels around a task.
#[derive(Default)]
pub struct Groups<'a>(HashMap<&'a str, &'a [String]>);

impl Frame {
    /// Modules of the groups that are named at this level and around it.
    pub fn default_groups(&self) -> Groups<'_> {
        let all = self.chain().flat_map(|frame| &frame.keywords.groups);
        Groups(
            all.map(|(name, modules)| (name.as_str(), modules.as_slice()))
                .collect(),
        )
    }
}

impl<'a> Groups<'a> {
    /// With those of one more level.
    pub(super) fn and(mut self, keywords: &'a Keywords) -> Self {
        for (name, modules) in &keywords.groups {
            self.0.insert(name, modules);
        }
        self
    }

    /// Arguments for `module`: of `levels`, outermost first, the last that names it or a group with it; the module's own
    /// win over those of its groups.
    pub fn arguments(&self, levels: &[Value], module: &str) -> IndexMap<String, Value> {
        let mut merged: IndexMap<String, Value> = IndexMap::new();
        for level in levels {
            let Value::Dict(entries) = level else {
                continue;
            };
            for (name, given) in entries.read().iter().flat_map(|entries| entries.iter()) {
                merged.insert(meant(&name.0.to_text()), given.clone());
            }
        }
        let is_member = |name: &str| {
            let modules = self.0.get(name).copied().unwrap_or_default();
            modules.iter().any(|known| known == module)
        };
        let groups = merged.iter().filter(|(name, _)| is_member(name));
        let own = merged.get_key_value(module);
        groups
            .chain(own)
            .filter_map(|(_, given)| match given {
                Value::Dict(given) => Some(given.read().ok()?.clone()),
                _ => None,
            })
            .flatten()
            .map(|(name, value)| (name.0.to_text(), value))
            .collect()
    }
}

/// One spelling for every name of a module or group.
fn meant(name: &str) -> String {
    match name.strip_prefix("group/") {
        Some(group) => format!("group/{}", full(group)),
        None => modules::module_of(name)
            .unwrap_or_else(|| modules::short_name(name))
            .to_owned(),
    }
}

/// A group with its collection.
fn full(group: &str) -> String {
    if group.contains('.') {
        group.to_owned()
    } else {
        format!("ansible.builtin.{group}")
    }
}

/// The value of `module_defaults`.
pub(super) fn defaults(node: &Node) -> Result<Vec<Var>, Fault> {
    let found = list(node)?;
    for var in &found {
        let templated = matches!(&var.value, Value::Str(text) if text.text.contains("{{"));
        if !templated && !matches!(var.value, Value::Dict(_)) {
            return Err(
                Fault::new("`module_defaults` is a mapping of modules to their arguments")
                    .at(&var.place),
            );
        }
    }
    Ok(found)
}

impl Pass<'_> {
    /// Looks up the groups that `module_defaults` names.
    pub(super) fn default_groups(&mut self, into: &mut Keywords, node: &Node) {
        let levels = node.as_seq().unwrap_or(std::slice::from_ref(node));
        for (key, _) in levels
            .iter()
            .flat_map(|level| level.as_map().unwrap_or_default())
        {
            let Some(group) = key.as_str().and_then(|key| key.strip_prefix("group/")) else {
                continue;
            };
            let name = full(group);
            let mut modules = Vec::new();
            if self.collect(&name, &mut modules, &mut Vec::new()) {
                into.groups.push((format!("group/{name}"), modules));
            } else {
                self.faults.push(
                    Fault::new(format!("there is no group of modules named {name}"))
                        .at(&key.place)
                        .hint(
                            "Collections define them in their meta/runtime.yml, as action_groups.",
                        ),
                );
            }
        }
    }

    /// Adds the modules of a group and of those that it extends; false when nobody defines it.
    fn collect(&mut self, name: &str, into: &mut Vec<String>, seen: &mut Vec<String>) -> bool {
        if seen.iter().any(|known| known == name) {
            return true;
        }
        seen.push(name.to_owned());
        let native = NATIVE.iter().find(|(known, _)| *known == name);
        let modules = native.map(|(_, modules)| *modules).unwrap_or_default();
        into.extend(modules.iter().map(|&module| module.to_owned()));
        if let Some(short) = name.strip_prefix("ansible.builtin.") {
            let found = BUILTIN.iter().find(|(known, _)| *known == short);
            for other in found.map(|(_, others)| *others).unwrap_or_default() {
                self.collect(other, into, seen);
            }
            return found.is_some();
        }
        self.collect_from_disk(name, into, seen) || native.is_some()
    }

    fn collect_from_disk(
        &mut self,
        name: &str,
        into: &mut Vec<String>,
        seen: &mut Vec<String>,
    ) -> bool {
        let Some((collection, group)) = super::collections::split(name) else {
            return false;
        };
        let file = self
            .collection_dirs(collection, &Frame::empty())
            .map(|dir| dir.join("meta/runtime.yml"))
            .find(|file| file.is_file());
        let Some(node) = file.and_then(|file| self.node(&file)) else {
            return false;
        };
        let groups = node.get("action_groups");
        let Some(entries) = groups.and_then(|groups| groups.get(group)?.as_seq()) else {
            return false;
        };
        for entry in entries {
            if let Some(module) = entry.as_str() {
                let module = match module.contains('.') {
                    true => module.to_owned(),
                    false => format!("{collection}.{module}"),
                };
                into.push(meant(&module));
                continue;
            }
            let extended = entry.get("metadata").and_then(|of| of.get("extend_group"));
            for other in extended.and_then(Node::as_seq).unwrap_or_default() {
                let Some(other) = other.as_str() else {
                    continue;
                };
                let other = match other.contains('.') {
                    true => other.to_owned(),
                    false => format!("{collection}.{other}"),
                };
                self.collect(&other, into, seen);
            }
        }
        true
    }
}
