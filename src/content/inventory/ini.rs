//! The INI form of an inventory.

use super::reader::Reader;
use super::{address, literal, words};
use crate::content::place::{Fault, Place};
use indexmap::IndexMap;
use std::path::Path;
use std::sync::Arc;

/// What the lines below a section's title are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// A group that was named before its own section was seen.
struct Pending {
    place: Place,
    /// Groups that want it as a child; none for a `[group:vars]` section.
    parents: Vec<String>,
}

/// Adds what an INI inventory says.
pub fn read(reader: &mut Reader, text: &str, file: &Arc<Path>) -> Result<(), Fault> {
    let mut ini = Ini {
        reader,
        group: "ungrouped".to_owned(),
        section: Section::Hosts,
        pending: IndexMap::new(),
    };
    for (number, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let indent = raw.chars().take_while(|c| c.is_whitespace()).count();
        let at = |column: usize| {
            let count = |value: usize| u32::try_from(value + 1).unwrap_or(u32::MAX);
            Place::new(file, count(number), count(indent + column))
        };
        ini.line(line, &at)?;
    }
    ini.finish()
}

struct Ini<'a, 'r> {
    reader: &'a mut Reader<'r>,
    group: String,
    section: Section,
    pending: IndexMap<String, Pending>,
}

impl Ini<'_, '_> {
    fn line(&mut self, line: &str, at: &dyn Fn(usize) -> Place) -> Result<(), Fault> {
        if line == "---" {
            return Err(Fault::new("`---` starts a YAML file, this is read as INI")
                .at(&at(0))
                .hint("name the file with the extension .yml"));
        }
        if let Some(title) = section_title(line) {
            return self.start_section(title, &at(0));
        }
        if line.starts_with('[') && line.ends_with(']') {
            return Err(Fault::new(format!("`{line}` isn't a section"))
                .at(&at(0))
                .hint("write [group], [group:children] or [group:vars], without spaces"));
        }
        match self.section {
            Section::Hosts => self.hosts(line, at),
            Section::Vars => self.variable(line, at),
            Section::Children => self.child(line, &at(0)),
        }
    }

    fn start_section(&mut self, title: &str, place: &Place) -> Result<(), Fault> {
        let (group, kind) = match title.split_once(':') {
            Some((group, kind)) => (group, Some(kind)),
            None => (title, None),
        };
        self.section = match kind {
            None | Some("hosts") => Section::Hosts,
            Some("children") => Section::Children,
            Some("vars") => Section::Vars,
            Some(unknown) => {
                return Err(Fault::new(format!(
                    "section [{title}] has the unknown kind `{unknown}`"
                ))
                .at(place)
                .hint("known kinds: [group], [group:hosts], [group:children], [group:vars]"));
            }
        };
        group.clone_into(&mut self.group);
        if self.section == Section::Vars {
            if !self.reader.has_group(group) && !self.pending.contains_key(group) {
                let pending = Pending {
                    place: place.clone(),
                    parents: Vec::new(),
                };
                self.pending.insert(group.to_owned(), pending);
            }
            self.reader.add_group(group, place);
            return Ok(());
        }
        self.reader.add_group(group, place);
        if let Some(pending) = self.pending.shift_remove(group) {
            for parent in pending.parents {
                self.reader.add_child(&parent, group, &pending.place)?;
            }
        }
        Ok(())
    }

    fn child(&mut self, line: &str, place: &Place) -> Result<(), Fault> {
        let name = line.split_once('#').map_or(line, |(name, _)| name).trim();
        if name.is_empty() || name.contains([':', ']']) || name.contains(char::is_whitespace) {
            return Err(Fault::new(format!(
                "`{line}` isn't the name of a group, as [{}:children] needs",
                self.group
            ))
            .at(place)
            .hint("one name a line, no variables; hosts go into [group]"));
        }
        if let Some(pending) = self.pending.get_mut(name) {
            pending.parents.push(self.group.clone());
            return Ok(());
        }
        if self.reader.has_group(name) {
            return self.reader.add_child(&self.group, name, place);
        }
        let pending = Pending {
            place: place.clone(),
            parents: vec![self.group.clone()],
        };
        self.pending.insert(name.to_owned(), pending);
        Ok(())
    }

    fn variable(&mut self, line: &str, at: &dyn Fn(usize) -> Place) -> Result<(), Fault> {
        let Some((name, value)) = line.split_once('=') else {
            return Err(self.not_an_assignment(line, &at(0)));
        };
        let column = line.len() - value.trim_start().len();
        let place = at(line[..column].chars().count());
        let node = literal::value(value.trim(), &place);
        let name = name.trim();
        if name.is_empty() {
            return Err(self.not_an_assignment(line, &at(0)));
        }
        self.reader.set_group_var(&self.group, name, &node)
    }

    fn not_an_assignment(&self, line: &str, place: &Place) -> Fault {
        let fault = Fault::new(format!(
            "`{line}` isn't name=value, as [{}:vars] needs",
            self.group
        ))
        .at(place);
        match line.split_once(':') {
            Some((name, value)) => fault.hint(format!("write `{}={}`", name.trim(), value.trim())),
            None => fault,
        }
    }

    fn hosts(&mut self, line: &str, at: &dyn Fn(usize) -> Place) -> Result<(), Fault> {
        let words =
            words::split(line).map_err(|(wrong, column)| Fault::new(wrong).at(&at(column)))?;
        let Some((first, variables)) = words.split_first() else {
            return Ok(());
        };
        let place = at(first.column);
        let written = first.text.as_str();
        let (name, port) = address::split_port(written).unwrap_or((written, None));
        if name.is_empty() || (name.ends_with(':') && port.is_none()) {
            let fault = Fault::new(format!("`{written}` isn't the name of a host")).at(&place);
            return Err(if written.ends_with(':') {
                fault.hint(
                    "a name ends with `:` only in YAML inventories; give those the extension .yml",
                )
            } else {
                fault
            });
        }
        let names = address::expand(name)
            .map_err(|wrong| Fault::new(format!("host `{written}`: {wrong}")).at(&place))?;
        let mut values = Vec::new();
        for word in variables {
            let Some((variable, value)) = word.text.split_once('=') else {
                return Err(Fault::new(format!(
                    "`{}` isn't name=value, as variables of a host need",
                    word.text
                ))
                .at(&at(word.column))
                .hint("one host a line; quote values that hold spaces: name='a value'"));
            };
            values.push((variable, literal::value(value, &at(word.column))));
        }
        for name in &names {
            self.reader.add_host(name, &self.group, port, &place)?;
            for (variable, value) in &values {
                self.reader.set_host_var(name, variable, value)?;
            }
        }
        Ok(())
    }

    /// Groups that were used but never defined.
    fn finish(self) -> Result<(), Fault> {
        let Some((name, pending)) = self.pending.first() else {
            return Ok(());
        };
        let message = match pending.parents.last() {
            Some(parent) => {
                format!("[{parent}:children] includes group `{name}`, which isn't defined")
            }
            None => format!("[{name}:vars] is for group `{name}`, which isn't defined"),
        };
        let known = self.reader.group_names();
        let fault = Fault::new(message).at(&pending.place);
        let meant = super::nearest::nearest(name, known.iter().map(|known| &**known), 3);
        let meant: Vec<&str> = meant.into_iter().filter(|meant| meant != name).collect();
        Err(if meant.is_empty() {
            fault.hint(format!("add a section [{name}], be it empty"))
        } else {
            fault.hint(format!("did you mean {}?", meant.join(" or ")))
        })
    }
}

/// `group` or `group:kind` of a line `[group:kind]`, perhaps with a comment.
fn section_title(line: &str) -> Option<&str> {
    let (title, after) = line.strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start();
    if !(after.is_empty() || after.starts_with('#')) {
        return None;
    }
    let (group, kind) = title.split_once(':').unwrap_or((title, "hosts"));
    let word = |c: char| c.is_alphanumeric() || c == '_';
    (!group.is_empty()
        && !group.contains(char::is_whitespace)
        && !kind.is_empty()
        && kind.chars().all(word))
    .then_some(title)
}
