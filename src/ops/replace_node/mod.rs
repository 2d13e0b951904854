//! Replace the etcd member of one node.

mod environment;
mod facts;
mod machine;
mod plan;

pub use facts::{Branch, Certificates, Data, Facts, Intent, Machine, Place};
pub use plan::{Action, Plan, Planned, Wishes, plan};
