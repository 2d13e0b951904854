//! `package`: the module of the host's package manager, with that module's own defaults.

use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::Blobs;

/// The modules that there are for package managers, by the names that the fact `pkg_mgr` has for them.
const MANAGERS: &[&str] = &["apt", "dnf", "dnf5", "yum"];

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let mut args = call.json_args();
    let manager = match call.text("use").filter(|name| name != "auto") {
        Some(name) => Some(name),
        None => known_manager(call),
    };
    let Some(manager) = manager.filter(|name| MANAGERS.contains(&name.as_str())) else {
        // The host looks which one it has.
        return call.module("package", args, Blobs::new()).await;
    };
    args.remove("use");
    for (name, value) in call.defaults(&manager)? {
        args.entry(name).or_insert_with(|| value.to_json());
    }
    call.module(&manager, args, Blobs::new()).await
}

/// What the facts say, where they were gathered.
fn known_manager(call: &Call<'_>) -> Option<String> {
    let fact = call.templar.expr("ansible_facts.pkg_mgr").ok()?;
    Some(fact.to_json().as_str()?.to_owned())
}
