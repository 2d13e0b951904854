//! Runs plays: hosts, batches, loops, handlers, delegation, facts. Knows nothing of terminals: what happens goes to a
//! [`journal::Sink`](crate::journal::Sink) as events.

mod actions;
mod adhoc;
mod attempt;
mod background;
mod batch;
mod block;
mod call;
mod done;
mod door;
pub mod facts;
mod free;
mod hands;
mod hosts;
mod include;
mod keep;
mod list;
mod looping;
mod meta;
mod order;
mod pool;
pub mod profile;
mod prompt;
mod report;
mod request;
mod retry;
mod run;
mod start;
mod stats;
mod step;
mod store;
mod tags;
mod view;

pub use hands::{Blob, Blobs, Connect, Exec, Lost, Tunnel, Whereabouts};
pub use list::{Listing, PlayListing, TaskListing, list};
pub use pool::Links;
pub use request::{
    Asker, BecomeSettings, FactSettings, Gathering, PlayError, Request, Retry, Source, Summary,
    Tell,
};

use crate::journal::Sink;
use std::sync::Arc;

/// Runs the plays of a request. Everything people wrote is read and checked before the first connection.
pub async fn run(
    request: &Request,
    connect: Arc<dyn Connect>,
    sink: Arc<dyn Sink>,
) -> Result<Summary, PlayError> {
    start::run(request, connect, sink).await
}
