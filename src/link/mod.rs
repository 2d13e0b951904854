//! Connections to hosts: SSH of our own, the ssh program where we can't honour an option, or a local child process.
//!
//! All of them end in one byte stream to an agent, on which tasks run concurrently by id. This room knows nothing of
//! plays, clusters or terminals, and reads no environment: `cli` says everything in [`Settings`].

mod agent;
mod algorithms;
mod blobs;
mod bootstrap;
mod error;
mod host;
mod host_key;
mod keys;
mod known_hosts;
mod pattern;
mod pool;
mod process;
mod raw_args;
mod resolve;
mod settings;
mod ssh;
mod ssh_config;
mod target;

pub use blobs::{Blob, BlobSource};
pub use error::{KnownAs, LinkError};
pub use host_key::{HostKey, Verdict, replace_known_host, scan_host_key};
pub use pool::{ExecOutput, Link, Pool, Stream, Tunnel};
pub use settings::{
    AgentProgram, Agents, HostKeyPolicy, HostKeyQuestion, LocalAgent, NoPrompt, Prompt, Settings,
};
pub use target::{
    AlgorithmLists, Auth, Connection, Family, Hop, HostKeyRules, KeyFile, Program, Target,
};
