//! `assemble`: fragments of the controller as one file of the host; those of the host are the module's own work.

use super::copy;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs};
use host::modules::assemble::Fragments;
use md5::{Digest, Md5};
use serde_json::Value as Json;
use std::sync::Arc;

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let mut args = call.json_args();
    if call.flag("remote_src", true) {
        return call.module("assemble", args, Blobs::new()).await;
    }
    let src = call
        .text("src")
        .ok_or_else(|| call.fault("assemble: the argument src is missing"))?;
    let dir = call.find("files", &src, "src")?;
    let fragments = Fragments {
        delimiter: call.text("delimiter"),
        regexp: call.text("regexp"),
        ignore_hidden: call.flag("ignore_hidden", false),
    };
    let read = |path: &std::path::Path| match copy::content(call, path) {
        Ok(Blob::Bytes(bytes)) => Ok(bytes.to_vec()),
        Ok(Blob::File(path)) => std::fs::read(path),
        Err(fault) => Err(std::io::Error::other(fault.message)),
    };
    let content = match fragments.joined(&dir, read) {
        Ok(content) => content,
        Err(failure) => return Ok(Done::failed(failure.message)),
    };
    for own in [
        "src",
        "delimiter",
        "regexp",
        "ignore_hidden",
        "remote_src",
        "decrypt",
    ] {
        args.shift_remove(own);
    }
    let md5: String = Md5::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let blobs = Blobs::from([("content".to_owned(), Blob::Bytes(Arc::from(content)))]);
    let mut done = copy::send(call, args, blobs).await?;
    // The diff is that of the content alone, as the module gives it for fragments of the host.
    if let Some(Json::Array(parts)) = done.result.get_mut("diff") {
        let content = parts.drain(..).next().unwrap_or_default();
        done.result.insert("diff".to_owned(), content);
    }
    Ok(done.with("src", src).with("md5sum", md5))
}
