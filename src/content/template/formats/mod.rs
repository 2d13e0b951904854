//! Formats of files that lookups and filters read.

pub mod csv;
pub mod ini;
