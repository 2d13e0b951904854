//! `alternatives`: which of several programs a name means, by update-alternatives (or alternatives, as Red Hat calls it).

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Deserialize)]
pub struct Alternatives {
    name: String,
    path: Option<String>,
    link: Option<String>,
    priority: Option<i64>,
    state: String,
    subcommands: Option<Vec<Subcommand>>,
    family: Option<String>,
}

#[derive(Deserialize, Clone, PartialEq, Debug)]
struct Subcommand {
    name: String,
    link: String,
    path: String,
}

/// What a new alternative counts without a priority.
const PRIORITY: i64 = 50;

impl Module for Alternatives {
    const SPEC: Spec = Spec::new(
        "alternatives",
        "Says which of several programs a name means.",
        &[
            Arg::new("name", Kind::Str, "Name of the group: editor.").required(),
            Arg::new("path", Kind::Path, "The program."),
            Arg::new("link", Kind::Path, "The link that leads to it; needed for a group that isn't there yet."),
            Arg::new("priority", Kind::Int, "What it counts in automatic mode; 50 for a new one."),
            Arg::new(
                "state",
                Kind::Str,
                "present: it is one of the group; selected: it is the one; auto: the one with the highest priority is; absent: it isn't there.",
            )
            .choices(&["present", "selected", "auto", "absent"])
            .default("selected"),
            Arg::new("subcommands", Kind::List, "Links that go with it: each with name, link and path.")
                .aliases(&["slaves"])
                .of(Kind::Dict),
            Arg::new("family", Kind::Str, "Group of similar alternatives, on Red Hat."),
        ],
    )
    .returns(&[Return::new("diff", "State, path, priority and link before and after, in diff mode.")]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if self.path.is_none() && self.family.is_none() {
            return Err(Failure::new(
                "alternatives: one of path and family is needed",
            ));
        }
        let program = ["update-alternatives", "alternatives"]
            .iter()
            .find_map(|name| cx.find_program(name))
            .ok_or_else(|| Failure::new("there is no program update-alternatives on this host"))?;
        if self.family.is_some()
            && program.ends_with("update-alternatives")
            && Path::new("/etc/debian_version").exists()
        {
            return Err(Failure::new(
                "family is for Red Hat: update-alternatives of Debian has no families",
            ));
        }
        let tool = Tool {
            cx,
            program: program.to_string_lossy().into_owned(),
        };
        let group = tool.group(&self.name)?;
        let path = self
            .path
            .as_deref()
            .map(|path| cx.expand(path).to_string_lossy().into_owned());
        let path = path.or_else(|| self.family.clone()).unwrap_or_default();
        let entry = group.entries.iter().find(|entry| entry.path == path);
        let changed = if self.state == "absent" {
            self.remove(&tool, &path, entry.is_some())?
        } else {
            self.keep(&tool, &group, &path)?
        };
        let mut outcome = Outcome::changed(changed);
        if cx.diff() {
            outcome = outcome.with("diff", self.diff(&group, entry, &path, changed));
        }
        Ok(outcome)
    }
}

impl Alternatives {
    fn remove(&self, tool: &Tool<'_>, path: &str, there: bool) -> Result<bool, Failure> {
        if there {
            tool.change(&["--remove", &self.name, path])?;
        }
        Ok(there)
    }

    fn keep(&self, tool: &Tool<'_>, group: &Group, path: &str) -> Result<bool, Failure> {
        let mut changed = false;
        let entry = group.entries.iter().find(|entry| entry.path == path);
        let differs = entry.is_none_or(|entry| {
            self.priority
                .is_some_and(|priority| priority != entry.priority)
                || self
                    .subcommands
                    .as_ref()
                    .is_some_and(|wanted| !same(wanted, &entry.subcommands(group)))
        }) || self.link.is_some() && self.link != group.link;
        if differs {
            self.install(tool, group, entry, path)?;
            changed = true;
        }
        match self.state.as_str() {
            "selected" if group.current.as_deref() != Some(path) => {
                tool.change(&["--set", &self.name, path])?;
                changed = true;
            }
            "auto" if !(group.auto || group.entries.is_empty() && group.link.is_none()) => {
                tool.change(&["--auto", &self.name])?;
                changed = true;
            }
            // A new one of a higher priority must not become the one that was chosen by hand.
            _ => {}
        }
        Ok(changed)
    }

    fn install(
        &self,
        tool: &Tool<'_>,
        group: &Group,
        entry: Option<&Entry>,
        path: &str,
    ) -> Result<(), Failure> {
        if !tool.cx.check() && !Path::new(path).exists() {
            return Err(Failure::new(format!(
                "Specified path {path} does not exist"
            )));
        }
        let link = self.link.clone().or_else(|| group.link.clone()).ok_or_else(|| {
            Failure::new(format!(
                "Needed to install the alternative, but unable to do so as we are missing the link: there is no group {} yet",
                self.name
            ))
        })?;
        let priority = self
            .priority
            .or(entry.map(|entry| entry.priority))
            .unwrap_or(PRIORITY);
        let priority = priority.to_string();
        let mut words = vec!["--install", &link, &self.name, path, &priority];
        if let Some(family) = &self.family {
            words.extend(["--family", family]);
        }
        let kept = entry
            .map(|entry| entry.subcommands(group))
            .unwrap_or_default();
        let option = if tool.program.ends_with("update-alternatives") {
            "--slave"
        } else {
            "--follower"
        };
        for sub in self.subcommands.as_ref().unwrap_or(&kept) {
            words.extend([option, &sub.link, &sub.name, &sub.path]);
        }
        tool.change(&words)
    }

    fn diff(&self, group: &Group, entry: Option<&Entry>, path: &str, changed: bool) -> Value {
        let state = match entry {
            None => "absent",
            Some(_) if group.current.as_deref() == Some(path) && !group.auto => "selected",
            Some(_) if group.auto => "auto",
            Some(_) => "present",
        };
        let before = match entry {
            None => json!({"state": "absent"}),
            Some(entry) => json!({
                "state": state, "path": path, "priority": entry.priority, "link": group.link,
            }),
        };
        let after = if !changed {
            before.clone()
        } else if self.state == "absent" {
            json!({"state": "absent"})
        } else {
            json!({
                "state": self.state, "path": path,
                "priority": self.priority.or(entry.map(|entry| entry.priority)).unwrap_or(PRIORITY),
                "link": self.link.as_ref().or(group.link.as_ref()),
            })
        };
        json!({"before": before, "after": after})
    }
}

fn same(one: &[Subcommand], other: &[Subcommand]) -> bool {
    one.len() == other.len() && one.iter().all(|sub| other.contains(sub))
}

struct Tool<'a> {
    cx: &'a Context,
    program: String,
}

impl Tool<'_> {
    fn change(&self, words: &[&str]) -> Result<(), Failure> {
        if self.cx.check() {
            return Ok(());
        }
        self.cx
            .process(&self.program)
            .args(words)
            .system()
            .run()?
            .check(&format!("{} {} failed", self.program, words.join(" ")))?;
        Ok(())
    }

    /// What there is of a name; nothing when the name is unknown.
    fn group(&self, name: &str) -> Result<Group, Failure> {
        let query = self
            .cx
            .process(&self.program)
            .args(["--query", name])
            .system()
            .run()?;
        if query.ok() {
            return Ok(Group::parse(&query.stdout_text()));
        }
        // Older ones and Red Hat's have only words for people.
        let display = self
            .cx
            .process(&self.program)
            .args(["--display", name])
            .system()
            .run()?;
        Ok(if display.ok() {
            Group::shown(&display.stdout_text())
        } else {
            Group::default()
        })
    }
}

/// The alternatives of one name.
#[derive(Default, Debug, PartialEq)]
struct Group {
    link: Option<String>,
    /// Links that go with it, by name.
    others: Vec<(String, String)>,
    auto: bool,
    current: Option<String>,
    entries: Vec<Entry>,
}

#[derive(Default, Debug, PartialEq)]
struct Entry {
    path: String,
    priority: i64,
    /// Name and path.
    others: Vec<(String, String)>,
}

impl Entry {
    fn subcommands(&self, group: &Group) -> Vec<Subcommand> {
        self.others
            .iter()
            .filter_map(|(name, path)| {
                let link = group.others.iter().find(|(known, _)| known == name)?;
                Some(Subcommand {
                    name: name.clone(),
                    link: link.1.clone(),
                    path: path.clone(),
                })
            })
            .collect()
    }
}

impl Group {
    /// What `--query` prints (update-alternatives(1), QUERY FORMAT).
    fn parse(text: &str) -> Self {
        let mut group = Self::default();
        let mut in_list = false;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix(' ').filter(|_| in_list) {
                let pair = rest
                    .split_once(' ')
                    .map(|(name, path)| (name.to_owned(), path.trim().to_owned()));
                match group.entries.last_mut() {
                    Some(entry) => entry.others.extend(pair),
                    None => group.others.extend(pair),
                }
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            in_list = key == "Slaves";
            match key {
                "Link" => group.link = Some(value.to_owned()),
                "Status" => group.auto = value == "auto",
                "Value" => group.current = (value != "none").then(|| value.to_owned()),
                "Alternative" => group.entries.push(Entry {
                    path: value.to_owned(),
                    ..Entry::default()
                }),
                "Priority" => {
                    if let Some(entry) = group.entries.last_mut() {
                        entry.priority = value.parse().unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
        group
    }

    /// What `--display` prints.
    fn shown(text: &str) -> Self {
        let mut group = Self::default();
        for line in text.lines() {
            let trimmed = line.trim();
            if line.contains(" - status is auto") || line.ends_with(" - auto mode") {
                group.auto = true;
            } else if let Some(path) = trimmed.strip_prefix("link currently points to ") {
                group.current = Some(path.to_owned());
            } else if let Some((path, rest)) = line.split_once(" - ")
                && path.starts_with('/')
                && let Some(at) = rest.find("priority ")
            {
                let number = rest[at + 9..].split(' ').next().unwrap_or_default();
                group.entries.push(Entry {
                    path: path.to_owned(),
                    priority: number.parse().unwrap_or_default(),
                    others: Vec::new(),
                });
            } else if let (Some(entry), Some((_, pair))) = (
                group.entries.last_mut(),
                trimmed
                    .split_once(' ')
                    .filter(|(word, _)| ["slave", "follower"].contains(word)),
            ) && let Some((name, path)) = pair.split_once(": ")
            {
                entry.others.push((name.to_owned(), path.to_owned()));
            }
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debian_prints() {
        let group = Group::parse(
            "Name: editor\nLink: /usr/bin/editor\nSlaves:\n editor.1.gz /usr/share/man/man1/editor.1.gz\nStatus: auto\nBest: /bin/nano\nValue: /bin/nano\n\n\
            Alternative: /bin/nano\nPriority: 40\nSlaves:\n editor.1.gz /usr/share/man/man1/nano.1.gz\n\nAlternative: /usr/bin/vi\nPriority: -10\nSlaves:\n",
        );
        assert!(group.auto && group.current.as_deref() == Some("/bin/nano"));
        assert_eq!(group.entries.len(), 2);
        assert_eq!(
            (group.entries[0].priority, group.entries[1].priority),
            (40, -10)
        );
        let subs = group.entries[0].subcommands(&group);
        assert_eq!(subs[0].link, "/usr/share/man/man1/editor.1.gz");
        assert_eq!(subs[0].path, "/usr/share/man/man1/nano.1.gz");
    }

    #[test]
    fn what_red_hat_prints() {
        let group = Group::shown(
            "java - status is manual.\n link currently points to /usr/lib/jvm/a/bin/java\n/usr/lib/jvm/a/bin/java - family a priority 1800\n follower jre: /usr/lib/jvm/a\nCurrent `best' version is /usr/lib/jvm/a/bin/java.\n",
        );
        assert!(!group.auto && group.current.as_deref() == Some("/usr/lib/jvm/a/bin/java"));
        assert_eq!(group.entries[0].priority, 1800);
        assert_eq!(
            group.entries[0].others,
            [("jre".to_owned(), "/usr/lib/jvm/a".to_owned())]
        );
    }
}
