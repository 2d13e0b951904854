//! Typed hands on what runs on the hosts: etcd's members now, Kubernetes later. No policy: what may be done is decided
//! in `ops`; here is how it is done and counted.

pub mod quorum;
