//! Draws what happened: events of a run, tables, and failures with their place and hints.
//! Knows events and faults; never decides, never connects. Writes to what it was given.

mod adhoc;
pub mod advice;
pub mod color;
pub mod diff;
pub mod human;
pub mod json;
pub mod plan;
pub mod snippet;
pub mod table;
pub mod wrap;
