//! Modules that kopsrun doesn't bring: their program goes to the host with its arguments.

use crate::content::place::Fault;
use crate::content::playbook::{Foreign, Style};
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// Runs the module.
pub(super) async fn run(call: &Call<'_>, module: &Arc<Foreign>) -> Result<Done, Problem> {
    let (args, text) = request(call, module).await?;
    let blobs = Blobs::from([("content".to_owned(), Blob::Bytes(text.into()))]);
    call.module("_program", args, blobs).await
}

/// The arguments of the module `_program` without the text, and the text.
pub(in crate::play) async fn request(
    call: &Call<'_>,
    module: &Arc<Foreign>,
) -> Result<(Map<String, Json>, Vec<u8>), Problem> {
    let (text, at, style) = match module.style {
        Style::Packed => {
            let (text, at) = packed(call, module).await?;
            (text, at, "packed")
        }
        Style::Json => (read(call, module)?, 0, "json"),
        Style::Pairs => (read(call, module)?, 0, "pairs"),
    };
    let name = module.path.file_name().unwrap_or_default();
    let mut args = Map::new();
    args.insert("style".to_owned(), style.into());
    args.insert("args".to_owned(), Json::Object(arguments(call, module)));
    args.insert("name".to_owned(), name.to_string_lossy().into());
    args.insert("at".to_owned(), at.into());
    if let Some(python) = call.variable("ansible_python_interpreter")?
        && !python.starts_with("auto")
    {
        args.insert("interpreter".to_owned(), python.into());
    }
    Ok((args, text))
}

/// The task's arguments, and what Ansible tells every module.
fn arguments(call: &Call<'_>, module: &Foreign) -> Map<String, Json> {
    let mut args = call.json_args();
    let request = &call.attempt.batch.run.request;
    let own = json!({
        "_ansible_check_mode": call.check,
        "_ansible_diff": call.diff,
        "_ansible_no_log": false,
        "_ansible_debug": false,
        "_ansible_verbosity": request.verbosity,
        "_ansible_version": crate::play::view::followed(),
        "_ansible_module_name": module.name,
        "_ansible_syslog_facility": "LOG_USER",
        "_ansible_selinux_special_fs": ["fuse", "nfs", "vboxsf", "ramfs", "9p", "vfat"],
        "_ansible_string_conversion_action": "warn",
        "_ansible_socket": null,
        "_ansible_shell_executable": "/bin/sh",
        "_ansible_keep_remote_files": false,
        "_ansible_tmpdir": null,
        "_ansible_remote_tmp": "~/.ansible/tmp",
        "_ansible_ignore_unknown_opts": false,
        "_ansible_target_log_info": null,
    });
    if let Json::Object(own) = own {
        args.extend(own);
    }
    args
}

async fn packed(call: &Call<'_>, module: &Arc<Foreign>) -> Result<(Vec<u8>, usize), Problem> {
    let Some(ansible) = call.attempt.batch.run.request.ansible.clone() else {
        return Err(fault(call, module, "there is no ansible-core to pack it").into());
    };
    let wanted = Arc::clone(module);
    let packed = tokio::task::spawn_blocking(move || {
        ansible.pack(&wanted.name, &wanted.path, &wanted.module_utils)
    });
    match packed.await {
        Ok(Ok(packed)) => Ok((packed.text.clone(), packed.at)),
        Ok(Err(why)) => Err(fault(call, module, &format!("Ansible can't pack it: {why}")).into()),
        Err(ended) => Err(fault(call, module, &format!("packing it ended: {ended}")).into()),
    }
}

fn read(call: &Call<'_>, module: &Foreign) -> Result<Vec<u8>, Fault> {
    std::fs::read(&module.path)
        .map_err(|error| fault(call, module, &format!("it can't be read: {error}")))
}

fn fault(call: &Call<'_>, module: &Foreign, why: &str) -> Fault {
    call.fault(format!("the module `{}` can't be run: {why}", module.name))
        .hint(format!("It was found as {}.", module.path.display()))
}
