//! kopsrun: an Ansible-style orchestrator for the life of Kubernetes clusters, over SSH.
//!
//! The map of the rooms, who may call whom and the flow of one command are in ARCHITECTURE.md.

pub mod agent_program;
pub mod backup;
pub mod cli;
pub mod cluster;
pub mod content;
pub mod journal;
pub mod link;
pub mod ops;
pub mod play;
pub mod secret;
pub mod ui;
