//! Playbooks, roles and tasks: from files to a typed tree in which every word knows its place.
//!
//! Static imports are expanded while reading; everything that isn't supported is refused by name; modules and their
//! arguments are checked. Reading goes on after a fault, so that all of them are told at once.

mod args;
mod argument_spec;
mod collections;
mod defaults;
mod foreign;
mod import;
mod keywords;
pub mod kv;
mod load;
mod modules;
mod play;
mod role;
mod setting;
pub mod synchronize;
mod task;
mod templates;
#[cfg(test)]
mod tests;
mod tree;

pub use foreign::{Foreign, Style};
pub use import::{find_tasks, missing_file};
pub use keywords::{Holds, holds, word_of};
pub use load::{Included, Loader, Playbook, RoleCall, Settings};
pub use modules::{documented, is_action, module_of, near_modules, short_name, wrong_arguments};
pub use templates::MARKERS;
pub use tree::{
    Args, Block, Frame, Item, Keyword, Keywords, Layers, LoadedRole, Loop, Play, Role, Strategy,
    Task,
};
