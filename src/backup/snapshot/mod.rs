//! Snapshots of etcd: taken over the tunnel, read and judged without etcd.

mod bolt;
mod check;
mod keyspace;
pub mod objects;
mod pages;
mod take;

pub use bolt::Unsound;
pub use check::{Checked, check};
pub use keyspace::Summary;
pub(super) use take::snapshot_into;
pub use take::{FILE, Source, take, then};
