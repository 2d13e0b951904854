//! The static agent as a part of this program.

/// The agent for x86_64 hosts, in builds by `cargo xtask build`. Other builds look for it beside the program.
pub fn embedded_agent() -> Option<&'static [u8]> {
    #[cfg(feature = "embed-agent")]
    return Some(include_bytes!(env!(
        "KOPSRUN_AGENT_X86_64",
        "the feature embed-agent is for `cargo xtask build`, which builds the agent first"
    )));
    #[cfg(not(feature = "embed-agent"))]
    None
}
