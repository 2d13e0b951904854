//! Connections to hosts: SSH of our own, the ssh program where we can't honour an option, or a local child process.
//!
//! All of them end in one byte stream to an agent, on which tasks run concurrently by id. This room knows nothing of
//! plays, clusters or terminals, and reads no environment: `cli` says everything in [`Settings`].

mod blobs;
mod error;
mod host_key;
mod known_hosts;
mod pattern;
mod pool;
mod settings;
mod ssh_config;
mod target;

pub use blobs::{Blob, BlobSource};
pub use error::{KnownAs, LinkError};
pub use host_key::{HostKey, Verdict, replace_known_host, scan_host_key};
pub use pool::{ExecOutput, Link, Pool, Stream, Tunnel};
pub use settings::{
    AgentProgram, Agents, HostKeyPolicy, HostKeyQuestion, LocalAgent, NoPrompt, Prompt, Settings,
};
pub use target::{Connection, Hop, HostKeyRules, Program, Target};
