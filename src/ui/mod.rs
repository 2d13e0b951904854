//! Draws what happened: events of a run, tables, and failures with their place and hints.
//! Knows events and faults; never decides, never connects. Writes to what it was given.

mod adhoc;
pub mod advice;
pub mod callback;
pub mod color;
mod diff;
mod difflib;
pub mod human;
pub mod json;
pub mod plan;
pub mod results;
pub mod screen;
pub mod snippet;
pub mod table;
pub mod wrap;
