//! `raw`: a command line for the login shell, without an agent. The controller runs it; here are its arguments.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Raw {}

impl Module for Raw {
    const SPEC: Spec = Spec::new(
        "raw",
        "Runs a command line over the connection itself, without an agent.",
        &[Arg::new(
            "executable",
            Kind::Path,
            "The shell that runs the line.",
        )],
    )
    .free_form()
    .without_check_mode();

    fn run(self, _cx: &Context) -> Result<Outcome, Failure> {
        Err(Failure::new(
            "raw runs over the connection and not in the agent",
        ))
    }
}
