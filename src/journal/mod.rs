//! Run records, the events in them, and the lock on a cluster. A leaf: it knows nothing of the other rooms.
//!
//! The stream of events is the product: the terminal, `runs show`, `resume` and every report read the same one.

mod event;

pub use event::{
    Counts, Event, Level, Outcome, PlannedStep, Record, RunEnd, Silent, Sink, Status, Tolerance,
};
