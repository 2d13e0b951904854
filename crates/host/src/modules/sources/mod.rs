//! Where packages come from: `apt_repository`, `apt_key`, `deb822_repository`, `yum_repository`, `rpm_key`.

pub(super) mod apt_key;
pub(super) mod apt_repository;
pub(super) mod deb822;
mod gpg;
mod line;
pub(super) mod rpm_key;
pub(super) mod yum_repository;

use super::http::Scratch;
use super::http::download::download;
use crate::{Context, Failure};
use std::fs;

/// The content of a URL, or of a file of the host.
fn fetched(cx: &Context, place: &str, validate_certs: bool) -> Result<Vec<u8>, Failure> {
    if !place.contains("://") {
        let path = cx.expand(place);
        return fs::read(&path).map_err(|error| Failure::io("cannot read", &path, &error));
    }
    let scratch = Scratch::new()?;
    let file = scratch.file("content");
    download(cx, place, validate_certs, &file)?;
    fs::read(&file).map_err(|error| Failure::io("cannot read", &file, &error))
}
