//! Runs plays: hosts, batches, loops, handlers, delegation, facts. Knows nothing of terminals: what happens goes to a
//! [`journal::Sink`](crate::journal::Sink) as events.

mod hands;
mod request;

pub use hands::{Blob, Blobs, Connect, Exec, Lost, Whereabouts};
pub use request::{
    BecomeSettings, FactSettings, Gathering, PlayError, Request, Source, Summary,
};
