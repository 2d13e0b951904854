//! What people write: inventories, variables, playbooks, roles and templates, as values that know their place.
//! Reads files that it was given, never the network, the environment or the terminal.

pub mod ansible;
pub mod inventory;
pub mod nearest;
pub mod path;
pub mod place;
pub mod playbook;
pub mod template;
pub mod value;
pub mod vars;
pub mod vault;
pub mod yaml;
