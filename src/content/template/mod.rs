//! To come.
mod interim;
pub use interim::*;
