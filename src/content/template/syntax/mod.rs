//! Jinja2's language: text to a tree, which is kept for the next time.
//!
//! This is a parser of our own. minijinja's machinery was meant to serve here and doesn't fit: its tree borrows the
//! text (it can't be kept beside it without copying the whole tree), its constants are minijinja's values (whole
//! numbers end at 128 bits), it folds `{{ 'a' 'b' }}` and numbers after dots differently, `import … with context` and
//! `include … without context` aren't in its tree, and Ansible's rule for backslashes inside `{{ }}` needs the lexer.
//! The grammar is that of Jinja2 3.1, with `do`, `break` and `continue` always on.

pub mod ast;
mod expr;
mod lex;
mod stmt;
#[cfg(test)]
mod tests;

pub use lex::unescape;

use super::TemplateError;
use crate::content::value::{read, write};
use ast::{Expr, ExprKind, Stmt, Template};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

/// How the text of a template is cut into tags.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Options {
    pub block: (String, String),
    pub variable: (String, String),
    pub comment: (String, String),
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    /// Ansible: inside `{{ }}` of YAML a backslash is a backslash.
    pub keep_backslashes: bool,
}

impl Default for Options {
    /// As Ansible sets Jinja2 for text in YAML.
    fn default() -> Self {
        let pair = |begin: &str, end: &str| (begin.to_owned(), end.to_owned());
        Self {
            block: pair("{%", "%}"),
            variable: pair("{{", "}}"),
            comment: pair("{#", "#}"),
            trim_blocks: true,
            lstrip_blocks: false,
            keep_backslashes: true,
        }
    }
}

impl Options {
    /// As Ansible sets Jinja2 for files of templates.
    pub fn file() -> Self {
        Self {
            keep_backslashes: false,
            ..Self::default()
        }
    }

    /// Takes a first line `#jinja2: name: value, …` off a text and applies what it says.
    pub fn header<'a>(&mut self, text: &'a str) -> Result<&'a str, TemplateError> {
        let Some(rest) = text.strip_prefix("#jinja2:") else {
            return Ok(text);
        };
        let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        for part in split_header(line) {
            let Some((name, value)) = part.split_once(':') else {
                return Err(TemplateError::new(format!(
                    "failed to parse '#jinja2:' header: '{}' has no value",
                    part.trim()
                ))
                .on(1, 1)
                .hint("Write it as `#jinja2: trim_blocks: True, lstrip_blocks: True`."));
            };
            self.set(name.trim(), value.trim())?;
        }
        Ok(rest)
    }

    /// Sets an option by the name that Jinja2 has for it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), TemplateError> {
        let text = value.trim_matches(|c| c == '"' || c == '\'').to_owned();
        let flag = || match value {
            "True" | "true" | "yes" => Ok(true),
            "False" | "false" | "no" => Ok(false),
            _ => Err(TemplateError::new(format!(
                "'#jinja2:' header: {name} is True or False, not {value}"
            ))
            .on(1, 1)),
        };
        match name {
            "trim_blocks" => self.trim_blocks = flag()?,
            "lstrip_blocks" => self.lstrip_blocks = flag()?,
            "block_start_string" => self.block.0 = text,
            "block_end_string" => self.block.1 = text,
            "variable_start_string" => self.variable.0 = text,
            "variable_end_string" => self.variable.1 = text,
            "comment_start_string" => self.comment.0 = text,
            "comment_end_string" => self.comment.1 = text,
            // Nothing else is ever kept, or escaped.
            "keep_trailing_newline" | "autoescape" => {}
            _ => {
                return Err(TemplateError::new(format!(
                    "'#jinja2:' header: '{name}' isn't supported"
                ))
                .on(1, 1)
                .hint(
                    "Known: trim_blocks, lstrip_blocks, block_start_string, block_end_string, \
                     variable_start_string, variable_end_string, comment_start_string, \
                     comment_end_string.",
                ));
            }
        }
        Ok(())
    }
}

/// The parts of a header between commas that aren't quoted.
fn split_header(line: &str) -> Vec<&str> {
    let mut quote = None;
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ',') => {
                parts.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// True when the text may hold a tag; without one it is itself.
pub fn may_be_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// How many parsed texts are kept. Beyond that all are dropped: they can only come from generated text then.
const CACHED: usize = 50_000;

type Cached = Result<Arc<Template>, TemplateError>;
type Cache = LazyLock<RwLock<HashMap<(Options, bool), HashMap<Arc<str>, Cached>>>>;

static CACHE: Cache = LazyLock::new(RwLock::default);

/// A template, parsed once for each text.
pub fn template(text: &str, options: &Options) -> Cached {
    cached(text, options, false, parse_template)
}

/// A bare expression as a template that prints it, parsed once for each text.
pub fn expression(text: &str) -> Cached {
    cached(text, &Options::file(), true, parse_expression)
}

fn cached(
    text: &str,
    options: &Options,
    bare: bool,
    parse: fn(&str, &Options) -> Result<Template, TemplateError>,
) -> Cached {
    let known = |cache: &HashMap<(Options, bool), HashMap<Arc<str>, Cached>>| {
        cache.get(&(options.clone(), bare))?.get(text).cloned()
    };
    if let Some(found) = known(&read(&CACHE)) {
        return found;
    }
    let parsed = parse(text, options).map(Arc::new);
    let mut cache = write(&CACHE);
    let texts = cache.entry((options.clone(), bare)).or_default();
    if texts.len() >= CACHED {
        texts.clear();
    }
    texts.insert(Arc::from(text), parsed.clone());
    parsed
}

fn parse_template(text: &str, options: &Options) -> Result<Template, TemplateError> {
    let mut parser = expr::Parser::new(lex::template(text, options)?);
    let body = parser.body(&[])?;
    let single = match body.as_slice() {
        [
            Stmt::Print(Expr {
                kind: ExprKind::Name(name),
                ..
            }),
        ] if is_bare(text) => Some(Arc::clone(name)),
        _ => None,
    };
    Ok(Template {
        body,
        changes_values: parser.changes_values,
        single,
    })
}

/// True when the tag has no signs that strip white space: then `{{ name }}` isn't printed but is the variable.
fn is_bare(text: &str) -> bool {
    let tag = text.strip_suffix('\n').unwrap_or(text);
    let inner = tag
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    inner.is_some_and(|inner| {
        inner
            .trim()
            .chars()
            .all(|c| c == '_' || c.is_alphanumeric())
    })
}

fn parse_expression(text: &str, options: &Options) -> Result<Template, TemplateError> {
    let mut parser = expr::Parser::new(lex::expression(text, options)?);
    let value = parser.tuple(true, None)?;
    if *parser.peek() != lex::Token::End {
        return Err(parser.unexpected("the end of the expression"));
    }
    Ok(Template {
        body: vec![Stmt::Print(value)],
        changes_values: parser.changes_values,
        single: None,
    })
}
