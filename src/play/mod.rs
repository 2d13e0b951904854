//! Runs plays: hosts, batches, loops, handlers, delegation, facts. Knows nothing of terminals: what happens goes to a
//! [`journal::Sink`](crate::journal::Sink) as events.

mod hands;
mod request;

pub use hands::{Blob, Blobs, Connect, Exec, Lost, Whereabouts};
pub use request::{BecomeSettings, FactSettings, Gathering, PlayError, Request, Source, Summary};

use crate::content::place::Fault;
use crate::journal::Sink;
use std::sync::Arc;

/// Runs the plays of a request. Everything people wrote is read and checked before the first connection.
pub async fn run(
    request: &Request,
    connect: Arc<dyn Connect>,
    sink: Arc<dyn Sink>,
) -> Result<Summary, PlayError> {
    let _ = (request, connect, sink);
    Err(PlayError::Stopped(Fault::new("plays don't run yet")))
}
