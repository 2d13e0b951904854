//! Typed hands on what runs on the hosts: etcd's members now, Kubernetes later. No policy: what may be done is decided
//! in `ops`; here is how it is done and counted.

mod change;
pub mod door;
mod error;
mod etcd;
mod hand;
pub mod identity;
pub mod ids;
pub mod kubernetes;
mod lease;
mod maintain;
mod member;
pub mod protobuf;
pub mod quorum;
pub mod reissue;
mod snapshot;
pub mod throwaway;
pub mod tls;
pub mod wal;

pub use error::EtcdError;
pub use etcd::{Etcd, Gate, HEALTH};
pub use hand::{Hand, HandError};
pub use lease::{KEY as LOCK_KEY, LeaseError, Leased, holder};
pub use member::{Health, Member, Seen, Status, View};
pub use snapshot::SnapshotError;
