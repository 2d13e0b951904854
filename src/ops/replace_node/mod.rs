//! Replace the etcd member of one node.

mod facts;
mod plan;

pub use facts::{Branch, Certificates, Data, Facts, Intent, Machine, Place};
pub use plan::{Action, Plan, Planned, Wishes, plan};
