//! `unarchive`: an archive of the controller goes to the host, unless it is there already.

use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs};

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let args = call.json_args();
    // `copy: false` is how `remote_src: true` was once written.
    if call.flag("remote_src", false) || !call.flag("copy", true) {
        return call.module("unarchive", args, Blobs::new()).await;
    }
    let src = call
        .text("src")
        .ok_or_else(|| call.fault("unarchive: the argument src is missing"))?;
    let path = call.find("files", &src, "src")?;
    let blobs = Blobs::from([("content".to_owned(), Blob::File(path))]);
    call.module("unarchive", args, blobs).await
}
