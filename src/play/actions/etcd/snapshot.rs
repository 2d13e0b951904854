//! `etcd_snapshot`: the database of one member as a backup set on the controller, read back before it counts.

use super::{open, refused};
use crate::backup::snapshot::{Source, take};
use crate::journal::{Event, Sink};
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use std::path::Path;

/// Progress isn't told: a task has one result.
struct Silent;

impl Sink for Silent {
    fn emit(&self, _: Event) {}

    fn emit_synced(&self, _: Event) -> std::io::Result<()> {
        Ok(())
    }
}

pub(in crate::play::actions) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let dest = call
        .text("dest")
        .ok_or_else(|| call.fault("etcd_snapshot: the argument dest is missing"))?;
    let dest = call.attempt.batch.play.dir().join(Path::new(&dest));
    let etcd = match open(call).await? {
        Ok(etcd) => etcd,
        Err(done) => return Ok(done),
    };
    let view = match etcd.view().await {
        Ok(view) => view,
        Err(error) => return Ok(refused(&error)),
    };
    let Some(source) = Source::of(&view) else {
        return Ok(Done::failed(
            "no member answers, so there is nothing to take a snapshot from",
        ));
    };
    if source.without_majority && !call.flag("without_quorum", false) {
        return Ok(Done::failed(
            "quorum is lost: writes that were accepted last may be missing from a snapshot; without_quorum: true takes it",
        ));
    }
    let from = source.member.label().to_owned();
    if call.check {
        return Ok(Done::changed(true)
            .with("member", from)
            .with("msg", "a snapshot would be taken"));
    }
    let set = match take(&dest, &etcd, &source, &Silent).await {
        Ok(set) => set,
        Err(error) => return Ok(Done::failed(error.to_string()).with("member", from)),
    };
    let mut done = Done::changed(true)
        .with("member", from)
        .with("set", set.manifest.set.as_str())
        .with("dest", set.dir.to_string_lossy().into_owned());
    if let Some(snapshot) = &set.manifest.snapshot {
        let path = set.dir.join(&snapshot.file).to_string_lossy().into_owned();
        done = done
            .with("path", path)
            .with("size", snapshot.size)
            .with("sha256", snapshot.sha256.as_str())
            .with("revision", snapshot.summary.revision)
            .with("key_count", snapshot.summary.keys);
    }
    Ok(done)
}
