//! `_sync_read`: the content of the files that the destination asked for, one after the other, each after its length.

use super::below;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec, files};
use serde::Deserialize;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

#[derive(Deserialize)]
pub struct Read {
    src: String,
    names: Vec<String>,
}

impl Module for Read {
    const SPEC: Spec = Spec::new(
        "_sync_read",
        "Streams files of the source, each after its length in eight bytes, the highest first.",
        &[
            Arg::new("src", Kind::Str, "As synchronize takes it.").required(),
            Arg::new("names", Kind::List, "Names of the list.").required(),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let base = base(cx, &self.src);
        let mut size = 0;
        for name in &self.names {
            cx.check_cancelled()?;
            let path = below(&base, name)?;
            let failed = |error: std::io::Error| Failure::io("cannot read", &path, &error);
            let file = File::open(&path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            cx.send(&length.to_be_bytes())?;
            let mut left = length;
            let mut file = file.take(length);
            let mut buffer = vec![0; 256 * 1024];
            while left > 0 {
                let count = file.read(&mut buffer).map_err(failed)?;
                if count == 0 {
                    return Err(Failure::new(format!(
                        "{} became shorter while it was read",
                        path.display()
                    )));
                }
                cx.send(&buffer[..count])?;
                left -= count as u64;
            }
            size += length;
        }
        Ok(Outcome::ok().with("size", size))
    }
}

/// What the names of a list are relative to.
pub fn base(cx: &Context, src: &str) -> PathBuf {
    let path = cx.expand(src);
    if src.ends_with('/') {
        path
    } else {
        files::parent(&path).to_path_buf()
    }
}
