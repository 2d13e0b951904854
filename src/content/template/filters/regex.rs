//! Filters of regular expressions, in Python's dialect.

use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, flag, optional_int, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Text, Value, read, write};
use fancy_regex::{Captures, Regex};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "regex_replace",
        regex_replace,
        ("'abc' | regex_replace('(b)', '[\\\\1]')", "'a[b]c'"),
    ),
    filter(
        "regex_search",
        regex_search,
        (
            "'abc-12' | regex_search('([a-z]+)-([0-9]+)', '\\\\2')",
            "['12']",
        ),
    ),
    filter(
        "regex_findall",
        regex_findall,
        ("'a1b2' | regex_findall('[0-9]')", "['1', '2']"),
    ),
    filter(
        "regex_escape",
        regex_escape,
        ("'a.b' | regex_escape", "'a\\\\.b'"),
    ),
];

/// Longest search in a text, in steps back.
const BACKTRACKS: usize = 5_000_000;

/// How many expressions are kept ready.
const CACHED: usize = 10_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub ignore_case: bool,
    pub multi_line: bool,
}

/// A regular expression of Python, ready to use.
#[derive(Clone)]
pub struct Pattern(Arc<Regex>);

type Cache = LazyLock<RwLock<HashMap<(String, Flags), Pattern>>>;
static CACHE: Cache = LazyLock::new(RwLock::default);

impl Pattern {
    pub fn new(pattern: &str, flags: Flags) -> Outcome<Self> {
        let key = (pattern.to_owned(), flags);
        if let Some(known) = read(&CACHE).get(&key) {
            return Ok(known.clone());
        }
        let source = format!(
            "(?{}{}){}",
            if flags.ignore_case { "i" } else { "" },
            if flags.multi_line { "m" } else { "" },
            translate(pattern, flags.multi_line)
        );
        let source = source.strip_prefix("(?)").unwrap_or(&source);
        let regex = fancy_regex::RegexBuilder::new(source)
            .backtrack_limit(BACKTRACKS)
            .build()
            .map_err(|error| {
                TemplateError::new(format!("'{pattern}' isn't a regular expression: {error}"))
            })?;
        let made = Self(Arc::new(regex));
        let mut cache = write(&CACHE);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(key, made.clone());
        Ok(made)
    }

    fn first<'t>(&self, text: &'t str) -> Outcome<Option<Captures<'t, str>>> {
        self.0.captures(text).map_err(|error| failed(&error))
    }

    pub fn is_found(&self, text: &str) -> Outcome<bool> {
        self.0.is_match(text).map_err(|error| failed(&error))
    }

    /// Python's `match`: only at the start of the text.
    pub fn is_at_start(&self, text: &str) -> Outcome<bool> {
        let found = self.first(text)?;
        match found.and_then(|found| found.get(0).map(|all| all.start())) {
            Some(0) => Ok(true),
            Some(_) => {
                // A shorter alternative may still begin there.
                let anchored = Regex::new(&format!("\\A(?:{})", self.0.as_str()));
                anchored.map_or(Ok(false), |regex| {
                    regex.is_match(text).map_err(|error| failed(&error))
                })
            }
            None => Ok(false),
        }
    }
}

fn failed(error: &fancy_regex::Error) -> TemplateError {
    TemplateError::new(format!(
        "the regular expression takes too long on this text: {error}"
    ))
}

/// Python's dialect in that of the library: where a brace or bracket is literal, how `$` and `\Z` end, which escapes
/// exist.
fn translate(pattern: &str, multi_line: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.char_indices().peekable();
    let mut class = None;
    while let Some((at, c)) = chars.next() {
        match (c, class) {
            ('\\', _) => {
                let Some((_, escaped)) = chars.next() else {
                    out.push_str("\\\\");
                    break;
                };
                match escaped {
                    'Z' => out.push_str("\\z"),
                    'b' if class.is_some() => out.push_str("\\x08"),
                    '<' | '>' | '\'' | '"' | '`' | '=' | '!' | ':' | ';' | ',' | '@' | '%'
                    | '_' | ' ' | '/' => {
                        out.push(escaped);
                    }
                    other => {
                        out.push('\\');
                        out.push(other);
                    }
                }
            }
            ('[', None) => {
                class = Some(at);
                out.push('[');
                if let Some((_, '^')) = chars.peek() {
                    out.push('^');
                    chars.next();
                }
                if let Some((_, ']')) = chars.peek() {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            ('[' | '&' | '~', Some(_)) => {
                out.push('\\');
                out.push(c);
            }
            (']', Some(_)) => {
                class = None;
                out.push(']');
            }
            ('{', None) if !is_repetition(&pattern[at..]) => out.push_str("\\{"),
            ('}', None) if !ends_repetition(&pattern[..at]) => out.push_str("\\}"),
            ('$', None) if !multi_line => out.push_str("(?=\\n?\\z)"),
            (c, _) => out.push(c),
        }
    }
    out
}

/// True when `{2}`, `{2,}`, `{,3}` or `{2,3}` begins here.
fn is_repetition(text: &str) -> bool {
    let Some(end) = text.find('}') else {
        return false;
    };
    let inner = &text[1..end];
    inner.chars().any(|c| c.is_ascii_digit())
        && inner.matches(',').count() <= 1
        && inner.chars().all(|c| c.is_ascii_digit() || c == ',')
}

fn ends_repetition(before: &str) -> bool {
    before
        .rfind('{')
        .is_some_and(|at| is_repetition(&format!("{}}}", &before[at..])))
}

/// `\1`, `\g<1>`, `\g<name>` and escapes of a replacement.
fn expand(template: &str, found: &Captures<'_, str>, out: &mut String) -> Outcome<()> {
    let group = |name: &str| -> Outcome<String> {
        let matched = match name.parse::<usize>() {
            Ok(number) if number < found.len() => found.get(number),
            Ok(number) => {
                return Err(TemplateError::new(format!(
                    "invalid group reference {number}"
                )));
            }
            Err(_) => found.name(name),
        };
        Ok(matched.map_or_else(String::new, |matched| matched.as_str().to_owned()))
    };
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let Some(c) = rest[at + 1..].chars().next() else {
            return Err(TemplateError::new("bad escape (end of pattern)"));
        };
        let after = &rest[at + 1 + c.len_utf8()..];
        rest = after;
        match c {
            'g' if after.starts_with('<') && after.contains('>') => {
                let (name, after) = after[1..].split_once('>').unwrap_or((after, ""));
                out.push_str(&group(name)?);
                rest = after;
            }
            '1'..='9' => {
                let more = after.bytes().take(1).take_while(u8::is_ascii_digit).count();
                out.push_str(&group(&format!("{c}{}", &after[..more]))?);
                rest = &after[more..];
            }
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            '0' => out.push('\0'),
            '\\' => out.push('\\'),
            c if c.is_ascii_alphabetic() => {
                return Err(TemplateError::new(format!(
                    "bad escape \\{c} in the replacement"
                )));
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    Ok(())
}

/// Escapes that mean nothing are wrong, whether something is replaced or not.
fn check_replacement(template: &str) -> Outcome<()> {
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        let mut after = rest[at + 1..].chars();
        match after.next() {
            None => return Err(TemplateError::new("bad escape (end of pattern)")),
            Some(c) if c.is_ascii_alphabetic() && !"gntrabfv".contains(c) => {
                return Err(TemplateError::new(format!(
                    "bad escape \\{c} in the replacement"
                )));
            }
            Some(_) => rest = after.as_str(),
        }
    }
    Ok(())
}

fn regex_replace(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [
        pattern,
        replacement,
        ignore_case,
        multi_line,
        count,
        mandatory,
    ] = args.bind(
        "regex_replace",
        [
            "pattern",
            "replacement",
            "ignorecase",
            "multiline",
            "count",
            "mandatory_count",
        ],
    )?;
    let flags = Flags {
        ignore_case: flag(ignore_case.as_ref(), false)?,
        multi_line: flag(multi_line.as_ref(), false)?,
    };
    let pattern_text = match pattern {
        Some(pattern) => text_of(&pattern)?,
        None => String::new(),
    };
    let pattern = Pattern::new(&pattern_text, flags)?;
    let replacement = replacement.unwrap_or_else(|| "".into());
    let template = text_of(&replacement)?;
    check_replacement(&template)?;
    let limit = optional_int("count", count)?.unwrap_or(0);
    let text = text_of(value)?;
    let mut out = String::new();
    let mut at = 0;
    let mut made = 0;
    for found in pattern.0.captures_iter(text.as_str()) {
        let found = found.map_err(|error| failed(&error))?;
        let Some(all) = found.get(0) else {
            continue;
        };
        out.push_str(&text[at..all.start()]);
        expand(&template, &found, &mut out)?;
        at = all.end();
        made += 1;
        if made == limit {
            break;
        }
    }
    out.push_str(&text[at..]);
    let mandatory = optional_int("mandatory_count", mandatory)?.unwrap_or(0);
    if mandatory != 0 && mandatory != made {
        return Err(TemplateError::new(format!(
            "'{pattern_text}' should match {mandatory} times, but matches {made} times in '{text}'"
        )));
    }
    let trusted = !value.holds_untrusted() && !replacement.holds_untrusted();
    Ok(Value::Str(Text::new(out, trusted)))
}

fn regex_search(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let flags = Flags {
        ignore_case: args.take_flag("ignorecase", false),
        multi_line: args.take_flag("multiline", false),
    };
    args.no_more_names("regex_search", &["ignorecase", "multiline"])?;
    let mut given = args.positional.into_iter();
    let pattern = text_of(&required("regex_search", "regex", given.next())?)?;
    let pattern = Pattern::new(&pattern, flags)?;
    let text = text_of(value)?;
    let mut names = Vec::new();
    for group in given {
        let group = text_of(&group)?;
        let name = group
            .strip_prefix("\\g<")
            .and_then(|rest| rest.strip_suffix('>'))
            .or_else(|| {
                let rest = group.strip_prefix('\\')?;
                let end = rest.find(|c: char| !c.is_ascii_digit());
                Some(&rest[..end.unwrap_or(rest.len())]).filter(|digits| !digits.is_empty())
            })
            .ok_or_else(|| {
                TemplateError::new(format!("Unknown argument '{group}'"))
                    .hint("Groups are written '\\\\1' or '\\\\g<name>'.")
            })?;
        names.push(name.to_owned());
    }
    let Some(found) = pattern.first(&text)? else {
        return Ok(Value::None);
    };
    let mut groups = Vec::new();
    for name in names {
        let matched = match name.parse::<usize>() {
            Ok(number) if number < found.len() => found.get(number),
            Ok(_) => return Err(TemplateError::new("no such group")),
            Err(_) => found.name(&name),
        };
        groups.push(matched.map_or(Value::None, |matched| like(value, matched.as_str())));
    }
    if groups.is_empty() {
        return Ok(like(value, found.get(0).map_or("", |all| all.as_str())));
    }
    Ok(Value::list(groups))
}

fn regex_findall(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [pattern, multi_line, ignore_case] =
        args.bind("regex_findall", ["regex", "multiline", "ignorecase"])?;
    let flags = Flags {
        ignore_case: flag(ignore_case.as_ref(), false)?,
        multi_line: flag(multi_line.as_ref(), false)?,
    };
    let pattern = text_of(&required("regex_findall", "regex", pattern)?)?;
    let pattern = Pattern::new(&pattern, flags)?;
    let text = text_of(value)?;
    let mut out = Vec::new();
    for found in pattern.0.captures_iter(text.as_str()) {
        let found = found.map_err(|error| failed(&error))?;
        let group = |at: usize| like(value, found.get(at).map_or("", |matched| matched.as_str()));
        out.push(match found.len() {
            0 | 1 => group(0),
            2 => group(1),
            groups => Value::tuple((1..groups).map(group).collect()),
        });
    }
    Ok(Value::list(out))
}

fn regex_escape(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [kind] = args.bind("regex_escape", ["re_type"])?;
    let kind = match kind {
        Some(kind) => text_of(&kind)?,
        None => "python".to_owned(),
    };
    let special = match kind.as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c",
        "posix_basic" => "].[^$*\\",
        other => {
            return Err(TemplateError::new(format!("Invalid regex type ({other})"))
                .hint("Known: python, posix_basic."));
        }
    };
    let mut out = String::new();
    for c in text_of(value)?.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(like(value, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_is_pythons() {
        let cases = [
            ("a{", "a{", true),
            ("{{.*}}", "{{ x }}", true),
            ("[[]x", "[x", true),
            ("[]a]+$", "]a", true),
            ("a$", "a\n", true),
            ("a\\Z", "a\n", false),
            ("(?P<n>a)(?P=n)", "aa", true),
            ("(?<=a)b", "ab", true),
            ("\\<b\\>", "<b>", true),
            ("x{2,3}", "xx", true),
        ];
        for (pattern, text, expected) in cases {
            let pattern = Pattern::new(pattern, Flags::default()).unwrap();
            assert_eq!(
                pattern.is_found(text).unwrap(),
                expected,
                "{}",
                pattern.0.as_str()
            );
        }
    }

    #[test]
    fn match_begins_at_the_start() {
        let pattern = Pattern::new("b|ab", Flags::default()).unwrap();
        assert!(pattern.is_at_start("ab").unwrap());
        assert!(!pattern.is_at_start("xb").unwrap());
    }
}
