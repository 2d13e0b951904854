//! Which tasks `--tags` and `--skip-tags` let run.

use super::keep::as_text;
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::playbook::Frame;
use crate::content::value::Value;
use std::collections::BTreeSet;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Tags {
    only: Vec<String>,
    skip: Vec<String>,
}

/// The tags of a task, those around it included.
pub(super) fn of(
    frame: &Frame,
    render: impl Fn(&Var) -> Result<Value, Fault>,
) -> Result<BTreeSet<String>, Fault> {
    let mut tags = BTreeSet::new();
    for var in frame.tags() {
        match render(var)? {
            Value::List(items) => {
                let items = items.read().map(|items| items.clone()).unwrap_or_default();
                tags.extend(items.iter().map(as_text));
            }
            Value::None => {}
            other => tags.extend(as_text(&other).split(',').map(|tag| tag.trim().to_owned())),
        }
    }
    tags.retain(|tag| !tag.is_empty());
    Ok(tags)
}

impl Tags {
    pub(super) fn new(only: &[String], skip: &[String]) -> Self {
        let words = |given: &[String]| {
            given
                .iter()
                .flat_map(|words| words.split(','))
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
        };
        let mut only = words(only);
        if only.is_empty() {
            only.push("all".to_owned());
        }
        Self {
            only,
            skip: words(skip),
        }
    }

    /// Ansible's rule: `always` runs unless it is skipped by name, `never` only when one of its tags is asked for.
    pub(super) fn choose(&self, tags: &BTreeSet<String>) -> bool {
        let untagged = BTreeSet::from(["untagged".to_owned()]);
        let tags = if tags.is_empty() { &untagged } else { tags };
        let has = |wanted: &[String], name: &str| wanted.iter().any(|word| word == name);
        let meet = |wanted: &[String]| wanted.iter().any(|word| tags.contains(word));
        let plain = tags != &untagged;
        let never = tags.contains("never");
        let mut run = tags.contains("always")
            || has(&self.only, "all") && !never
            || meet(&self.only)
            || has(&self.only, "tagged") && plain && !never;
        if run && !self.skip.is_empty() {
            if has(&self.skip, "all") {
                run = tags.contains("always") && !has(&self.skip, "always");
            } else if meet(&self.skip) || has(&self.skip, "tagged") && plain {
                run = false;
            }
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of those that run.
    fn chosen(only: &[&str], skip: &[&str]) -> Vec<&'static str> {
        let words = |given: &[&str]| {
            given
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let tags = Tags::new(&words(only), &words(skip));
        [
            ("plain", ""),
            ("a", "a"),
            ("ab", "a b"),
            ("always", "always"),
            ("never", "never"),
            ("never_a", "never a"),
            ("always_b", "always b"),
        ]
        .into_iter()
        .filter(|(_, has)| tags.choose(&has.split_whitespace().map(str::to_owned).collect()))
        .map(|(name, _)| name)
        .collect()
    }

    // What ansible-playbook 2.18.19 ran with the same tags.
    #[test]
    fn tags_choose_as_in_ansible() {
        assert_eq!(chosen(&[], &[]), ["plain", "a", "ab", "always", "always_b"]);
        assert_eq!(
            chosen(&["a"], &[]),
            ["a", "ab", "always", "never_a", "always_b"]
        );
        assert_eq!(chosen(&["b"], &[]), ["ab", "always", "always_b"]);
        assert_eq!(
            chosen(&["never"], &[]),
            ["always", "never", "never_a", "always_b"]
        );
        assert_eq!(chosen(&["tagged"], &[]), ["a", "ab", "always", "always_b"]);
        assert_eq!(chosen(&["untagged"], &[]), ["plain", "always", "always_b"]);
        assert_eq!(chosen(&[], &["a"]), ["plain", "always", "always_b"]);
        assert_eq!(chosen(&["a,b"], &["b"]), ["a", "always", "never_a"]);
        assert_eq!(chosen(&[], &["always"]), ["plain", "a", "ab"]);
        assert_eq!(chosen(&[], &["tagged"]), ["plain"]);
        assert_eq!(chosen(&[], &["all"]), ["always", "always_b"]);
    }
}
