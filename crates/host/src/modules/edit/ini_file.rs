//! `ini_file`: one option of a section in a file of settings.

use super::{Edited, SHARED};
use crate::modules::ownership::{Ownership, describe};
use crate::modules::rewrite::Rewrite;
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct IniFile {
    path: String,
    section: Option<String>,
    option: Option<String>,
    value: Option<String>,
    values: Option<Vec<String>>,
    state: String,
    exclusive: bool,
    no_extra_spaces: bool,
    ignore_spaces: bool,
    allow_no_value: bool,
    modify_inactive_option: bool,
    create: bool,
    follow: bool,
    section_has_values: Option<Vec<Having>>,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

/// What the section has to say.
#[derive(Deserialize)]
struct Having {
    option: String,
    value: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

impl Having {
    fn wanted(&self) -> impl Iterator<Item = &String> {
        self.value.iter().chain(&self.values)
    }
}

const ARGS: [Arg; 25] = join(
    [
        Arg::new(
            "section",
            Kind::Str,
            "The section; none: before all of them.",
        ),
        Arg::new(
            "option",
            Kind::Str,
            "The option; none: the whole section (only to remove it).",
        ),
        Arg::new("value", Kind::Str, "Its value."),
        Arg::new(
            "values",
            Kind::List,
            "Values of an option that comes several times.",
        ),
        Arg::new("state", Kind::Str, "Whether it is there.")
            .choices(&["absent", "present"])
            .default("present"),
        Arg::new(
            "exclusive",
            Kind::Bool,
            "Other values of the option go; otherwise they stay.",
        )
        .default("yes"),
        Arg::new(
            "no_extra_spaces",
            Kind::Bool,
            "No blanks around the equals sign.",
        )
        .default("no"),
        Arg::new("ignore_spaces", Kind::Bool, "Other blanks are no change.").default("no"),
        Arg::new(
            "allow_no_value",
            Kind::Bool,
            "An option may stand without a value.",
        )
        .default("no"),
        Arg::new(
            "modify_inactive_option",
            Kind::Bool,
            "Use a line of the option that is commented out.",
        )
        .default("yes"),
        Arg::new("create", Kind::Bool, "Make a file that isn't there.").default("yes"),
        Arg::new(
            "section_has_values",
            Kind::List,
            "Of several sections of the name, the first that says all of these: each with option, and value or values.",
        )
        .of(Kind::Dict),
        Arg::new("follow", Kind::Bool, "Where the file is a link: write what it leads to.").default("no"),
    ],
    SHARED,
);

impl Module for IniFile {
    const SPEC: Spec = Spec::new(
        "ini_file",
        "Keeps an option in a file of settings with sections.",
        &ARGS,
    )
    .rules(&[Rule::Exclusive(&["value", "values"])])
    .returns(&[
        Return::new("path", "The file."),
        Return::new(
            "backup_file",
            "The copy, with backup when something changed.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let values = self.values()?;
        let mut file = Edited::open_or_create(cx, &self.path, self.create, "Destination")?;
        if !self.follow {
            // As in Ansible the link becomes a file.
            file.real.clone_from(&file.path);
        }
        let text = std::str::from_utf8(file.content())
            .map_err(|_| Failure::new(format!("{} is not UTF-8", file.path.display())))?;
        let mut lines: Vec<String> = text
            .trim_start_matches('\u{feff}')
            .lines()
            .map(ToOwned::to_owned)
            .collect();
        if lines.is_empty() {
            lines.push(String::new());
        }
        let said = if self.state == "present" {
            self.put(&mut lines, &values)
        } else {
            self.remove(&mut lines, &values)
        };
        let mut new = lines.join("\n");
        if !new.is_empty() {
            new.push('\n');
        }
        let done = file.finish(
            cx,
            said.map(|_| new.as_bytes()),
            said.unwrap_or_default(),
            &self.ownership,
            &self.rewrite,
        )?;
        let mut outcome = done
            .outcome
            .with("path", file.path.to_string_lossy())
            .msg(said.unwrap_or("OK"));
        outcome.data.extend(describe(&file.path));
        // What a new file got is no difference that check mode could know.
        if let (None, Some(Value::Array(parts))) = (&file.before, outcome.data.get_mut("diff")) {
            parts.truncate(1);
        }
        Ok(match done.backup {
            Some(backup) => outcome.with("backup_file", backup.to_string_lossy()),
            None => outcome,
        })
    }
}

impl IniFile {
    /// The values that are asked for.
    fn values(&self) -> Result<Vec<String>, Failure> {
        let values = match (&self.value, &self.values) {
            (Some(value), _) => vec![value.clone()],
            (None, Some(values)) => values.clone(),
            (None, None) => Vec::new(),
        };
        let missing = self.state == "present" && values.is_empty();
        if missing && !self.allow_no_value {
            return Err(Failure::new(
                "ini_file needs value or values (or allow_no_value: true) where state is present",
            ));
        }
        Ok(values)
    }

    /// Where the lines of the section are, without its head; `None` when it isn't there.
    fn section(&self, lines: &[String]) -> Option<(usize, usize)> {
        let end = |start: usize| {
            let length = lines[start..].iter().position(|line| head(line).is_some());
            length.map_or(lines.len(), |length| start + length)
        };
        let Some(name) = &self.section else {
            return Some((0, end(0)));
        };
        lines
            .iter()
            .enumerate()
            .filter(|(_, line)| head(line) == Some(name.as_str()))
            .map(|(at, _)| (at + 1, end(at + 1)))
            .find(|(start, end)| self.fits(&lines[*start..*end]))
    }

    /// Whether a section says what it has to say.
    fn fits(&self, section: &[String]) -> bool {
        let says = |option: &str, value: Option<&str>| {
            section.iter().any(|line| match value {
                Some(value) => active(line, option) == Some(Some(value)),
                None => active(line, option).is_some(),
            })
        };
        self.section_has_values.iter().flatten().all(|having| {
            let mut wanted = having.wanted().peekable();
            if wanted.peek().is_none() {
                return says(&having.option, None);
            }
            wanted.all(|value| says(&having.option, Some(value)))
        })
    }

    /// A new section: its head, and what it has to say.
    fn begin(&self, lines: &mut Vec<String>) {
        if let Some(name) = &self.section {
            lines.push(format!("[{name}]"));
        }
        for having in self.section_has_values.iter().flatten() {
            let values: Vec<Option<&String>> = having.wanted().map(Some).collect();
            let values = if values.is_empty() {
                vec![None]
            } else {
                values
            };
            let line =
                |value: Option<&String>| self.line(&having.option, value.map(String::as_str));
            lines.extend(values.into_iter().map(line));
        }
    }

    /// Whether a line is of the option, commented out or not as the task says.
    fn sets(&self, line: &str, option: &str) -> bool {
        active(line, option).is_some() || (self.modify_inactive_option && inactive(line, option))
    }

    fn line(&self, option: &str, value: Option<&str>) -> String {
        match value {
            None => option.to_owned(),
            Some(value) if self.no_extra_spaces => format!("{option}={value}"),
            Some(value) => format!("{option} = {value}"),
        }
    }

    /// Whether a line says the same already.
    fn says(&self, line: &str, option: &str, value: Option<&str>) -> bool {
        if !self.ignore_spaces {
            return line == self.line(option, value);
        }
        active(line, option) == Some(value)
    }

    fn put(&self, lines: &mut Vec<String>, values: &[String]) -> Option<&'static str> {
        let Some(option) = self.option.as_deref() else {
            return self
                .section
                .as_ref()
                .filter(|_| self.section(lines).is_none())
                .map(|_| {
                    self.begin(lines);
                    "only section added"
                });
        };
        let wanted: Vec<Option<&str>> = if values.is_empty() {
            vec![None]
        } else {
            values.iter().map(|value| Some(value.as_str())).collect()
        };
        let Some((start, end)) = self.section(lines) else {
            self.begin(lines);
            lines.extend(wanted.iter().map(|value| self.line(option, *value)));
            return Some("section and option added");
        };
        let mut section: Vec<String> = lines[start..end].to_vec();
        let mut left = wanted;
        // Lines that say one of the values stay, wherever they are.
        let mut kept = vec![false; section.len()];
        for (line, kept) in section.iter().zip(&mut kept) {
            if let Some(at) = left
                .iter()
                .position(|value| self.says(line, option, *value))
            {
                left.remove(at);
                *kept = true;
            }
        }
        let mut added = false;
        // Then other lines of the option become what is still missing.
        for (at, line) in section.iter_mut().enumerate() {
            let is_old =
                self.sets(line, option) && (self.exclusive || active(line, option).is_none());
            if left.is_empty() || kept[at] || !is_old {
                continue;
            }
            *line = self.line(option, left.remove(0));
            kept[at] = true;
        }
        if self.exclusive {
            let mut at = 0;
            section.retain(|line| {
                at += 1;
                kept[at - 1] || !self.sets(line, option)
            });
        }
        if !left.is_empty() {
            added = true;
            let filled = section
                .iter()
                .rposition(|line| !line.trim().is_empty())
                .map_or(0, |at| at + 1);
            let new = left.iter().map(|value| self.line(option, *value));
            section.splice(filled..filled, new);
        }
        if lines[start..end] == section[..] {
            return None;
        }
        lines.splice(start..end, section);
        Some(if added {
            "option added"
        } else {
            "option changed"
        })
    }

    fn remove(&self, lines: &mut Vec<String>, values: &[String]) -> Option<&'static str> {
        let (start, end) = self.section(lines)?;
        let Some(option) = self.option.as_deref() else {
            let from = start - usize::from(self.section.is_some());
            if from == end {
                return None;
            }
            lines.drain(from..end);
            return Some("section removed");
        };
        let goes = |line: &String| match active(line, option) {
            None => false,
            Some(_) if self.exclusive || values.is_empty() => true,
            Some(value) => value.is_some_and(|value| values.iter().any(|known| known == value)),
        };
        let section: Vec<String> = lines[start..end]
            .iter()
            .filter(|line| !goes(line))
            .cloned()
            .collect();
        if section.len() == end - start {
            return None;
        }
        lines.splice(start..end, section);
        Some("option changed")
    }
}

/// The name of a section that a line begins.
fn head(line: &str) -> Option<&str> {
    line.trim_end().strip_prefix('[')?.strip_suffix(']')
}

/// The value of an option that a line sets; `Some(None)` for one without a value.
fn active<'l>(line: &'l str, option: &str) -> Option<Option<&'l str>> {
    let rest = line.trim_start().strip_prefix(option)?.trim_start();
    if rest.is_empty() {
        return Some(None);
    }
    Some(Some(rest.strip_prefix('=')?.trim()))
}

/// Whether a line sets the option and is commented out.
fn inactive(line: &str, option: &str) -> bool {
    let line = line.trim_start();
    let bare = line.trim_start_matches(['#', ';']);
    bare.len() < line.len() && active(bare, option).is_some()
}
