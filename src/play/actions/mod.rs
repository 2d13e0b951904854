//! What the controller does of a task, one file each; everything else goes straight to the host's agent.

mod argument_spec;
mod assemble;
mod assert;
mod copy;
mod debug;
mod etcd;
mod fetch;
pub(super) mod foreign;
mod groups;
mod include_vars;
mod k8s;
mod package;
mod pause;
mod raw;
mod reboot;
mod script;
mod set_fact;
mod set_stats;
mod synchronize;
mod template;
mod unarchive;
mod wait_for_connection;

use super::call::Call;
use super::done::{Done, Problem};
use super::hands::Blobs;
use crate::content::playbook::wrong_arguments;
use crate::content::value::Value;
use serde_json::{Map, Value as Json};

/// Actions that happen once for all hosts, as with `run_once`.
pub(super) fn once_for_all(module: &str) -> bool {
    matches!(module, "add_host" | "pause")
}

/// Does what the task says.
pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let task = &call.attempt.task;
    if task.args.doubtful
        && let Some(error) = wrong_arguments(&call.does, &call.json_args())
    {
        return Ok(call.refused(error));
    }
    if let Some(module) = &call.attempt.task.args.foreign {
        return foreign::run(call, module).await;
    }
    match &*call.does {
        "add_host" => groups::add_host(call),
        "assert" => assert::run(call),
        "copy" => copy::run(call).await,
        "debug" => debug::run(call),
        "fail" => {
            let said = call.args.get("msg").map(Value::to_json);
            let done = Done::failed("Failed as requested from task");
            Ok(match said {
                None | Some(serde_json::Value::Null) => done,
                Some(said) => done.with("msg", said),
            })
        }
        "etcd_health" => etcd::health::run(call).await,
        "etcd_member" => etcd::member::run(call).await,
        "etcd_snapshot" => etcd::snapshot::run(call).await,
        "fetch" => fetch::run(call).await,
        "gather_facts" => {
            let defaults = call.defaults("setup")?;
            let mut args: Map<String, Json> = defaults
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect();
            args.extend(call.json_args());
            args.shift_remove("parallel");
            call.module("setup", args, Blobs::new()).await
        }
        "group_by" => groups::group_by(call),
        "include_role" | "include_tasks" => super::include::ask(call),
        "include_vars" => include_vars::run(call),
        "k8s" => k8s::run(call).await,
        "openssl_privatekey_pipe" => call.on_controller("openssl_privatekey_pipe").await,
        "package" => package::run(call).await,
        "pause" => pause::run(call).await,
        "assemble" => assemble::run(call).await,
        "async_status" => super::background::status(call).await,
        "raw" => raw::run(call).await,
        "reboot" => reboot::run(call).await,
        "script" => script::run(call).await,
        "set_fact" => set_fact::run(call),
        "set_stats" => set_stats::run(call),
        "synchronize" => synchronize::run(call).await,
        "template" => template::run(call).await,
        "unarchive" => unarchive::run(call).await,
        "validate_argument_spec" => argument_spec::run(call),
        "wait_for_connection" => wait_for_connection::run(call).await,
        module => call.module(module, call.json_args(), Blobs::new()).await,
    }
}
