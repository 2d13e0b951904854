//! Variables that a template's file has of itself: `template_path`, `ansible_managed` and their like.

use super::globals::time::{Moment, strftime};
use crate::content::value::Value;
use indexmap::IndexMap;
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What `ansible_managed` says where no setting does.
const MANAGED: &str = "Ansible managed";

/// The variables for the file `full`, which the playbook names `src` and which becomes `dest`. `managed` is the setting
/// `ansible_managed`: `{host}`, `{uid}` and `{file}` are replaced in it, then the words of `strftime` by when the file
/// was changed.
pub fn about(
    src: &str,
    full: &Path,
    dest: Option<&str>,
    managed: Option<&str>,
) -> IndexMap<String, Value> {
    let meta = std::fs::metadata(full).ok();
    let changed = meta.as_ref().and_then(|meta| meta.modified().ok());
    let changed = changed.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let changed = changed.map_or_else(Zoned::now, |time| time.to_zoned(TimeZone::system()));
    let owner = meta.map_or(0, |meta| meta.uid());
    let owner = host::users::user_by_id(owner).map_or_else(
        || Value::Int(owner.into()),
        |user| Value::untrusted(user.name),
    );
    let node = rustix::system::uname();
    let managed = managed
        .unwrap_or(MANAGED)
        .replace("{host}", "{{ template_host }}")
        .replace("{uid}", "{{ template_uid }}")
        .replace("{file}", "{{ template_path }}");
    let managed = strftime(&changed, &managed).unwrap_or(managed);
    let moment = |time: &Zoned| Value::object(Moment(time.datetime()));
    let all = [
        (
            "template_host",
            Value::untrusted(node.nodename().to_string_lossy().into_owned()),
        ),
        ("template_path", Value::untrusted(src)),
        (
            "template_fullpath",
            Value::untrusted(full.to_string_lossy().into_owned()),
        ),
        ("template_mtime", moment(&changed)),
        ("template_uid", owner),
        ("template_run_date", moment(&Zoned::now())),
        (
            "template_destpath",
            dest.map_or(Value::None, Value::untrusted),
        ),
        ("ansible_managed", Value::from(managed)),
    ];
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
