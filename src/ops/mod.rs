//! Cluster operations: gates, a pure plan from facts, steps that can be repeated and undone, and the engine for them.

pub mod engine;
pub mod replace_node;
pub mod site;
pub mod stepfile;
