//! Links against real sshd processes. They need root and openssh-server, which `make test` installs.

mod agents;
mod auth;
mod connections;
mod host_keys;
mod sshd;
mod transfers;
