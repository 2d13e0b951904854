//! YAML as Ansible reads it: PyYAML's SafeLoader typing (YAML 1.1), merge keys, aliases and tags, with the place of
//! every key and value. Writing it back is byte for byte what PyYAML writes.

mod astral;
mod compose;
mod emit;
mod guard;
mod json;
mod node;
mod resolve;
mod syntax;
mod timestamp;

pub use emit::{Style, dump, to_nice_yaml, to_yaml};
pub use node::{Kind, Node};

use super::place::{Fault, Place};
use compose::Composer;
use std::path::Path;
use std::sync::Arc;

/// All documents of a text. Warnings (duplicate keys) are dropped: use [`parse_all`] to see them.
pub fn parse(text: &str, file: &Arc<Path>) -> Result<Vec<Node>, Fault> {
    parse_all(text, file, &mut Vec::new())
}

/// All documents of a text; what is suspicious but legal is appended to `warnings`.
pub fn parse_all(
    text: &str,
    file: &Arc<Path>,
    warnings: &mut Vec<Fault>,
) -> Result<Vec<Node>, Fault> {
    let ended = compose::ended(text);
    let mut input = ended.as_bytes();
    Composer::new(text, &mut input, file, warnings).documents()
}

/// The only document of a text, as Ansible loads variables, playbooks and tasks: JSON is accepted, nothing at all is
/// null, and a second document is a fault.
pub fn parse_one(text: &str, file: &Arc<Path>, warnings: &mut Vec<Fault>) -> Result<Node, Fault> {
    // Ansible tries JSON first: `1e3` is a number there, but text in YAML. The YAML parser reads nearly all JSON, with
    // places; the rest (indented with tabs, escaped surrogates) is read without.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        let mut input = text.as_bytes();
        let mut composer = Composer::new(text, &mut input, file, warnings);
        let node = composer
            .json()
            .documents()
            .ok()
            .and_then(|mut all| all.pop());
        return Ok(node.unwrap_or_else(|| json::node(&value, &Place::file(file))));
    }
    let documents = parse_all(text, file, warnings)?;
    if let Some(second) = documents.get(1) {
        return Err(
            Fault::new("a second document starts here, only one is expected in a file")
                .at(&second.place)
                .hint("remove the `---` between them, or split the file"),
        );
    }
    Ok(documents
        .into_iter()
        .next()
        .unwrap_or_else(|| Node::null(file)))
}

#[cfg(test)]
mod tests;
