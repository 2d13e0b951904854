//! Single values of keywords.

use super::defaults;
use super::keywords::{self, Holds, On, Word};
use super::load::Pass;
use super::tree::Keywords;
use crate::content::inventory::{Var, Vars};
use crate::content::place::Fault;
use crate::content::value::Value;
use crate::content::yaml::{Kind, Node};
use std::sync::Arc;

/// The value, with its place.
pub(super) fn var(node: &Node) -> Result<Var, Fault> {
    Ok(Var {
        value: node.value()?,
        place: node.place.clone(),
    })
}

/// Text as a value that may be templated.
pub(super) fn text(text: &str) -> Value {
    Value::from(text)
}

/// A list, or one value as a list of one; nothing is an empty list.
pub(super) fn list(node: &Node) -> Result<Vec<Var>, Fault> {
    match &node.kind {
        Kind::Null => Ok(Vec::new()),
        Kind::Seq(items) => items.iter().map(var).collect(),
        _ => Ok(vec![var(node)?]),
    }
}

/// Like [`list`], with text cut at commas, as `tags: a, b`.
pub(super) fn comma_list(node: &Node) -> Result<Vec<Var>, Fault> {
    let mut found = Vec::new();
    for item in list(node)? {
        match &item.value {
            Value::Str(words) if !words.text.contains("{{") => {
                for word in words.text.split(',') {
                    found.push(Var {
                        value: text(word.trim()),
                        place: item.place.clone(),
                    });
                }
            }
            _ => found.push(item),
        }
    }
    Ok(found)
}

/// A mapping of variables; nothing is an empty one.
pub(super) fn vars(node: &Node) -> Result<Vars, Fault> {
    let mut found = Vars::new();
    match &node.kind {
        Kind::Null => {}
        Kind::Map(entries) => {
            for (key, value) in entries.iter() {
                found.insert(name(key)?, var(value)?);
            }
        }
        _ => {
            return Err(Fault::new(format!(
                "variables are a mapping of names to values; this is {}",
                node.describe()
            ))
            .at(&node.place));
        }
    }
    Ok(found)
}

/// A key that is text; numbers and booleans are taken as they are written.
pub(super) fn name(key: &Node) -> Result<String, Fault> {
    match &key.kind {
        Kind::Str(text) => Ok(text.to_string()),
        Kind::Int(number) => Ok(number.to_string()),
        Kind::Bool(value) => Ok(if *value { "True" } else { "False" }.to_owned()),
        _ => Err(Fault::new(format!(
            "a name was expected here; this is {}",
            key.describe()
        ))
        .at(&key.place)),
    }
}

/// A plain word that is never a template: names of variables.
pub(super) fn identifier(node: &Node, what: &str) -> Result<Arc<str>, Fault> {
    let valid = node.as_str().filter(|text| {
        let mut letters = text.chars();
        letters
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && letters.all(|c| c.is_alphanumeric() || c == '_')
    });
    valid.map(Arc::from).ok_or_else(|| {
        Fault::new(format!("`{what}` needs the name of a variable"))
            .at(&node.place)
            .hint("Names of variables have letters, digits and underscores and don't start with a digit.")
    })
}

/// The items of a list of names are no mappings.
fn names(items: Vec<Var>, field: &str) -> Result<Vec<Var>, Fault> {
    match items
        .iter()
        .find(|item| matches!(item.value, Value::Dict(_)))
    {
        None => Ok(items),
        Some(wrong) => Err(Fault::new(format!(
            "`{field}` is a list of names; this is {}",
            wrong.value.repr()
        ))
        .at(&wrong.place)),
    }
}

/// Words of Python, which are no names of variables in `vars:`.
const RESERVED: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Templates can only use variables whose names are Python's.
pub(super) fn names_of_variables(node: &Node) -> Result<(), Fault> {
    let levels = node.as_seq().unwrap_or(std::slice::from_ref(node));
    let entries = levels
        .iter()
        .flat_map(|level| level.as_map().unwrap_or_default());
    for (key, _) in entries {
        let name = name(key)?;
        let mut letters = name.chars();
        let valid = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !RESERVED.contains(&name.as_str());
        if !valid {
            return Err(
                Fault::new(format!("'{name}' is not a valid variable name"))
                    .at(&key.place)
                    .hint("Names of variables have letters, digits and underscores, don't start with a digit and are no words of Python."),
            );
        }
    }
    Ok(())
}

/// A text is neither a list nor a mapping.
pub(super) fn one_text(node: &Node, field: &str) -> Result<(), Fault> {
    match node.kind {
        Kind::Seq(_) | Kind::Map(_) => Err(Fault::new(format!(
            "`{field}` is a text; this is {}",
            node.describe()
        ))
        .at(&node.place)),
        _ => Ok(()),
    }
}

/// What is common to plays, roles, blocks and tasks. True when the word was one of these.
fn common(into: &mut Keywords, value: &Node, word: &Word) -> Result<bool, Fault> {
    match word {
        Word::Inherited(keyword) => {
            if !value.is_null() {
                if keywords::holds(*keyword) == Holds::Text {
                    one_text(value, keywords::word_of(*keyword))?;
                }
                into.set.push((*keyword, var(value)?));
            }
        }
        Word::Own("when") => into.when.extend(list(value)?),
        Word::Own("tags") => into.tags.extend(names(comma_list(value)?, "tags")?),
        Word::Own("vars") => {
            let found = vars(value).map_err(|fault| fault.at(&value.place))?;
            names_of_variables(value)?;
            into.vars.extend(found);
        }
        Word::Own("environment") => into.environment.extend(list(value)?),
        Word::Own("module_defaults") => into.defaults.extend(defaults::defaults(value)?),
        Word::Own("collections") => {
            into.collections.extend(names(list(value)?, "collections")?);
        }
        Word::Own("debugger") => debugger(value)?,
        Word::Own("notify") => into.notify.extend(list(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

impl Pass<'_> {
    /// [`common`], with what has to be looked up for it.
    pub(super) fn common(
        &mut self,
        into: &mut Keywords,
        value: &Node,
        word: &Word,
    ) -> Option<bool> {
        if matches!(word, Word::Own("module_defaults")) {
            self.default_groups(into, value);
        }
        self.ok(common(into, value, word))
    }
}

/// `debugger`: only `never`, which is what happens anyway.
fn debugger(value: &Node) -> Result<(), Fault> {
    let words = [
        "always",
        "never",
        "on_failed",
        "on_skipped",
        "on_unreachable",
    ];
    match value.as_str() {
        None if value.is_null() => Ok(()),
        Some("never") => Ok(()),
        Some(word) if words.contains(&word) => {
            Err(Fault::new(format!("`debugger: {word}` is not supported"))
                .at(&value.place)
                .hint("Take it away: `kopsrun runs show` tells what a failed task was given.")
                .unsupported())
        }
        _ => Err(Fault::new(format!(
            "`debugger` takes one of {}; this is {}",
            words.join(", "),
            value.describe()
        ))
        .at(&value.place)),
    }
}

/// Recognises the key as a keyword.
pub(super) fn word(key: &Node, on: On) -> Result<(String, Word), Fault> {
    let name = name(key)?;
    let word = keywords::recognise(&name, on);
    Ok((name, word))
}
