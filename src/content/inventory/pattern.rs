//! Host patterns: `all`, `web*`, `a:b:!c:&d`, `~regex`, `group[0]`, and `--limit`.

use super::graph::{Graph, LOCALHOST};
use super::nearest::nearest;
use super::{HostName, Selection, Unknown, address};
use crate::content::place::{Fault, Place};
use fancy_regex::Regex;
use indexmap::IndexSet;
use std::path::Path;
use std::sync::Arc;

/// Hosts that a pattern selects and that a limit lets through.
pub fn select(
    graph: &Graph,
    pattern: &str,
    limit: Option<&str>,
    unknown: Unknown,
) -> Result<Selection, Fault> {
    let mut finder = Finder {
        graph,
        unknown,
        warnings: Vec::new(),
    };
    let mut hosts = finder.evaluate(&split(pattern))?;
    if let Some(limit) = limit {
        let allowed = finder.evaluate(&limit_patterns(limit)?)?;
        hosts.retain(|host| allowed.contains(host));
    }
    Ok(Selection {
        hosts: hosts.into_iter().collect(),
        warnings: finder.warnings,
    })
}

/// Single patterns of a pattern: split at commas if it has any, else at colons and spaces outside brackets.
fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<String> = if pattern.contains(',') {
        pattern.split(',').map(str::to_owned).collect()
    } else if address::split_port(pattern).is_some() {
        vec![pattern.to_owned()]
    } else {
        split_at_colons(pattern)
    };
    parts
        .iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

fn split_at_colons(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let separates = match c {
            '[' => match rest.find(']') {
                Some(end) => {
                    length = end + 1;
                    false
                }
                None => true,
            },
            ':' | ']' => true,
            other => other.is_whitespace(),
        };
        if separates {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    parts
}

/// Patterns of `--limit`; each line of an `@file` is one.
fn limit_patterns(limit: &str) -> Result<Vec<String>, Fault> {
    let mut patterns = Vec::new();
    for part in split(limit) {
        let Some(name) = part.strip_prefix('@') else {
            patterns.push(part);
            continue;
        };
        let path = Path::new(name);
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::new(format!("cannot read the limit file `{name}`: {error}"))
                .hint("after `@` comes a file with one host or pattern a line")
        })?;
        let lines = text.lines().map(|line| line.trim().to_owned());
        let before = patterns.len();
        patterns.extend(lines.filter(|line| !line.is_empty()));
        if patterns.len() == before {
            return Err(Fault::new("this limit file names no host").at(&Place::file(path)));
        }
    }
    Ok(patterns)
}

struct Finder<'a> {
    graph: &'a Graph,
    unknown: Unknown,
    warnings: Vec<String>,
}

impl Finder<'_> {
    /// Plain patterns first, then `&` (only those too), then `!` (without those), whatever their order. Only `&` and
    /// `!`: of all hosts.
    fn evaluate(&mut self, patterns: &[String]) -> Result<IndexSet<HostName>, Fault> {
        let of_kind = |kind: Option<char>| {
            patterns
                .iter()
                .map(String::as_str)
                .filter(move |pattern| match kind {
                    Some(kind) => pattern.starts_with(kind),
                    None => !pattern.starts_with(['!', '&']),
                })
        };
        let mut hosts = IndexSet::new();
        let mut plain: Vec<&str> = of_kind(None).collect();
        if plain.is_empty() {
            plain.push("all");
        }
        for pattern in plain {
            hosts.extend(self.single(pattern)?);
        }
        for pattern in of_kind(Some('&')) {
            let both: IndexSet<HostName> = self.single(&pattern[1..])?.into_iter().collect();
            hosts.retain(|host| both.contains(host));
        }
        for pattern in of_kind(Some('!')) {
            let without: IndexSet<HostName> = self.single(&pattern[1..])?.into_iter().collect();
            hosts.retain(|host| !without.contains(host));
        }
        Ok(hosts)
    }

    /// One pattern without its `!` or `&`. A host that two groups give comes twice: subscripts count it so, as in
    /// Ansible.
    fn single(&mut self, pattern: &str) -> Result<Vec<HostName>, Fault> {
        if let Some((name, _)) = self.graph.hosts.get_key_value(pattern) {
            return Ok(vec![Arc::clone(name)]);
        }
        let (name, subscript) = split_subscript(pattern);
        let hosts = self.matches(name)?;
        match subscript {
            Some(subscript) if !hosts.is_empty() => subscript.apply(&hosts).ok_or_else(|| {
                Fault::new(format!(
                    "no host matched the subscripted pattern `{pattern}`: `{name}` has {} host(s)",
                    hosts.len()
                ))
            }),
            _ => Ok(hosts),
        }
    }

    fn matches(&mut self, pattern: &str) -> Result<Vec<HostName>, Fault> {
        let matcher = Matcher::new(pattern)?;
        let mut hosts = Vec::new();
        let mut any_group = false;
        for group in self.graph.groups.keys() {
            if matcher.is_match(group) {
                any_group = true;
                hosts.extend(self.graph.members(group).unwrap_or_default());
            }
        }
        let special = pattern.starts_with('~') || pattern.contains(['.', '?', '*', '[']);
        if !any_group || special {
            let names = self.graph.hosts.keys();
            hosts.extend(names.filter(|name| matcher.is_match(name)).cloned());
        }
        if hosts.is_empty() && LOCALHOST.contains(&pattern) {
            let explicit = LOCALHOST
                .iter()
                .find_map(|name| self.graph.hosts.get_key_value(*name));
            hosts.push(explicit.map_or_else(|| Arc::from(pattern), |(name, _)| Arc::clone(name)));
        }
        if hosts.is_empty() && !any_group && pattern != "all" {
            self.unmatched(pattern, special)?;
        }
        Ok(hosts)
    }

    fn unmatched(&mut self, pattern: &str, special: bool) -> Result<(), Fault> {
        if self.unknown == Unknown::Warn || special {
            self.warnings.push(format!(
                "Could not match supplied host pattern, ignoring: {pattern}"
            ));
            return Ok(());
        }
        let names = || {
            let groups = self.graph.groups.keys().map(|name| &**name);
            groups.chain(self.graph.hosts.keys().map(|name| &**name))
        };
        let fault = Fault::new(format!(
            "`{pattern}` is neither a host nor a group of the inventory"
        ));
        let near = nearest(pattern, names(), 3);
        Err(if near.is_empty() {
            let some: Vec<&str> = names().take(12).collect();
            fault.hint(format!("the inventory knows {}", some.join(", ")))
        } else {
            fault.hint(format!("did you mean {}?", near.join(" or ")))
        })
    }
}

/// A name of a group or a host against a glob, or a regular expression after `~`.
struct Matcher(Regex);

impl Matcher {
    fn new(pattern: &str) -> Result<Self, Fault> {
        let expression = match pattern.strip_prefix('~') {
            Some(expression) => format!("^(?:{expression})"),
            None => glob(pattern),
        };
        Regex::new(&expression).map(Self).map_err(|error| {
            Fault::new(format!("`{pattern}` isn't a legal pattern: {error}"))
                .hint("after `~` comes a regular expression as in Python")
        })
    }

    fn is_match(&self, name: &str) -> bool {
        // An error here is a limit of backtracking; such a name doesn't match.
        self.0.is_match(name).unwrap_or(false)
    }
}

/// A regular expression for a shell pattern: `*`, `?`, `[abc]`, `[!abc]`.
fn glob(pattern: &str) -> String {
    let mut expression = String::from("^(?s:");
    let characters: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(c) = characters.get(at) {
        at += 1;
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => match set_end(&characters, at) {
                Some(end) => {
                    expression.push_str(&set(&characters[at..end]));
                    at = end + 1;
                }
                None => expression.push_str("\\["),
            },
            other => expression.push_str(&fancy_regex::escape(&other.to_string())),
        }
    }
    expression.push_str(")\\z");
    expression
}

/// Where the `]` is that closes a set; the first character of a set may be a `]` itself.
fn set_end(characters: &[char], start: usize) -> Option<usize> {
    let first = start + usize::from(characters.get(start) == Some(&'!'));
    let skip = first + usize::from(characters.get(first) == Some(&']'));
    (skip..characters.len()).find(|at| characters[*at] == ']')
}

fn set(characters: &[char]) -> String {
    let (negated, members) = match characters.split_first() {
        Some(('!', rest)) => ("^", rest),
        _ => ("", characters),
    };
    let mut text = String::new();
    for c in members {
        if matches!(c, '\\' | '[' | ']' | '^' | '&' | '~' | '|') {
            text.push('\\');
        }
        text.push(*c);
    }
    format!("[{negated}{text}]")
}

/// Positions after a name: one, or a range with both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscript {
    One(i64),
    Range(usize, usize),
}

impl Subscript {
    fn apply(self, hosts: &[HostName]) -> Option<Vec<HostName>> {
        let count = i64::try_from(hosts.len()).ok()?;
        let one = |index: i64| {
            let index = if index < 0 { index + count } else { index };
            hosts.get(usize::try_from(index).ok()?).cloned()
        };
        match self {
            Self::One(index) => Some(vec![one(index)?]),
            // `[n:0]` is taken as `[n]`, as Ansible does.
            Self::Range(start, 0) => Some(vec![one(i64::try_from(start).ok()?)?]),
            Self::Range(start, end) => {
                let end = end.saturating_add(1).min(hosts.len());
                Some(hosts.get(start..end).unwrap_or_default().to_vec())
            }
        }
    }
}

/// A name and the `[n]`, `[-n]`, `[n:]` or `[n:m]` at its end. Regular expressions have none.
fn split_subscript(pattern: &str) -> (&str, Option<Subscript>) {
    let whole = (pattern, None);
    if pattern.starts_with('~') {
        return whole;
    }
    let Some((name, inside)) = pattern
        .strip_suffix(']')
        .and_then(|rest| rest.rsplit_once('['))
    else {
        return whole;
    };
    if name.is_empty() {
        return whole;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let subscript = if digits(inside.strip_prefix('-').unwrap_or(inside)) {
        inside.parse().ok().map(Subscript::One)
    } else {
        inside
            .split_once([':', '-'])
            .and_then(|(start, end)| match end {
                _ if !digits(start) => None,
                "" => Some(Subscript::Range(start.parse().ok()?, usize::MAX)),
                end if digits(end) => {
                    Some(Subscript::Range(start.parse().ok()?, end.parse().ok()?))
                }
                _ => None,
            })
    };
    match subscript {
        Some(subscript) => (name, Some(subscript)),
        None => whole,
    }
}
