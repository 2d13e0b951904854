//! Collections on disk: roles and playbooks below `ansible_collections/NAMESPACE/NAME`.

use super::load::Pass;
use super::tree::Frame;
use crate::content::value::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A role that was found.
pub(super) struct FoundRole {
    pub(super) path: PathBuf,
    /// With the collection, when it is in one.
    pub(super) name: String,
    /// `namespace.name`.
    pub(super) collection: Option<Arc<str>>,
}

/// `namespace.name` and what is meant of it; none for other names.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let (namespace, rest) = name.split_once('.')?;
    let (_, inside) = rest.split_once('.')?;
    let word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let collection = &name[..name.len() - inside.len() - 1];
    let valid = name.split('.').all(word);
    (valid
        && collection != "ansible.builtin"
        && collection != "ansible.legacy"
        && !namespace.is_empty())
    .then_some((collection, inside))
}

impl Pass<'_> {
    /// A role of a collection: by its full name, or by its short one from inside of the collection or where
    /// `collections:` names it.
    pub(super) fn collection_role(&self, name: &str, frame: &Frame) -> Option<FoundRole> {
        if let Some((collection, inside)) = split(name) {
            return self.role_of(collection, inside, frame);
        }
        Self::collections_seen(frame)
            .iter()
            .find_map(|collection| self.role_of(collection, name, frame))
    }

    /// Collections whose short names are known at a place: that of the role, and those of `collections:`.
    pub(super) fn collections_seen(frame: &Frame) -> Vec<String> {
        let own = frame.role().and_then(|role| role.collection.clone());
        let named = frame
            .chain()
            .flat_map(|frame| &frame.keywords.collections)
            .filter_map(|var| match &var.value {
                Value::Str(text) => Some(Arc::clone(&text.text)),
                _ => None,
            });
        own.into_iter()
            .chain(named)
            .map(|name| name.to_string())
            .collect()
    }

    fn role_of(&self, collection: &str, name: &str, frame: &Frame) -> Option<FoundRole> {
        let path = self
            .collection_dirs(collection, frame)
            .map(|dir| dir.join("roles").join(name.replace('.', "/")))
            .find(|path| path.is_dir())?;
        Some(FoundRole {
            path: path.canonicalize().unwrap_or(path),
            name: format!("{collection}.{name}"),
            collection: Some(Arc::from(collection)),
        })
    }

    /// A playbook that is named by its collection.
    pub(super) fn collection_playbook(&self, name: &str, frame: &Frame) -> Option<PathBuf> {
        let (collection, inside) = split(name)?;
        self.collection_dirs(collection, frame).find_map(|dir| {
            let stem = dir.join("playbooks").join(inside.replace('.', "/"));
            ["yml", "yaml", "json"]
                .iter()
                .map(|extension| stem.with_extension(extension))
                .find(|file| file.is_file())
        })
    }

    pub(super) fn collection_dirs<'a>(
        &'a self,
        collection: &'a str,
        frame: &Frame,
    ) -> impl Iterator<Item = PathBuf> + 'a {
        let dirs = [self.play_dir(frame), self.dir.clone()];
        // A playbook of a collection sees the collections beside its own.
        let around = dirs.iter().find_map(|dir| {
            let dir = std::path::absolute(dir).ok()?;
            let root = dir
                .ancestors()
                .find(|dir| dir.ends_with("ansible_collections"));
            root.map(Path::to_owned)
        });
        let beside = dirs.map(|dir| dir.join("collections"));
        let configured = self.loader.settings.collections_path.iter().cloned();
        beside
            .into_iter()
            .chain(around)
            .chain(configured)
            .map(|dir| {
                let dir = if dir.ends_with("ansible_collections") {
                    dir
                } else {
                    dir.join("ansible_collections")
                };
                dir.join(collection.replacen('.', "/", 1))
            })
    }
}

/// The collection that a playbook file belongs to.
pub(super) fn of_playbook(file: &Path) -> Option<String> {
    let file = file.canonicalize().ok()?;
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let at = parts
        .iter()
        .rposition(|part| *part == "ansible_collections")?;
    match parts.get(at + 1..)? {
        [namespace, name, "playbooks", _, ..] => Some(format!("{namespace}.{name}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_told_from_others() {
        assert_eq!(split("my.things.role"), Some(("my.things", "role")));
        assert_eq!(split("my.things.sub.role"), Some(("my.things", "sub.role")));
        assert_eq!(split("geerlingguy.docker"), None);
        assert_eq!(split("ansible.builtin.role"), None);
        assert_eq!(split("../some.thing.else"), None);
    }
}
