//! `kopsrun replace-node` on real machines with a real etcd. Needs root and the lab; required, never skipped.

#![allow(
    clippy::print_stdout,
    reason = "how long each took is worth seeing; nothing depends on it"
)]

mod cluster;
#[path = "../lab/mod.rs"]
mod lab;

mod kills;
mod locks;
mod refusals;
mod replacements;
