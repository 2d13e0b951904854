//! Mode, owner, group, flags and SELinux context: the arguments that every module has which writes files, and the one
//! place that applies them.

mod flags;
mod handle;
mod label;

use crate::files::{Attributes, Mode, umask};
use crate::{Arg, Context, Failure, Kind, users};
use flags::Flags;
use handle::Handle;
use label::Label;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The arguments, as a part of the arguments of a module (`#[serde(flatten)]`).
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Ownership {
    pub(crate) mode: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    attributes: Option<String>,
    seuser: Option<String>,
    serole: Option<String>,
    setype: Option<String>,
    selevel: Option<String>,
}

/// The arguments, for the specification of a module.
pub(crate) const ARGS: [Arg; 8] = [
    Arg::new(
        "mode",
        Kind::Mode,
        "Mode, octal (\"0644\") or symbolic (u=rw,go=r). A new file without it gets what the umask leaves.",
    ),
    Arg::new("owner", Kind::Str, "User that owns it, by name or number."),
    Arg::new("group", Kind::Str, "Group that owns it, by name or number."),
    Arg::new(
        "attributes",
        Kind::Str,
        "Flags of the file system, as chattr takes them: +i, -a, =e.",
    )
    .aliases(&["attr"]),
    Arg::new(
        "seuser",
        Kind::Str,
        "User of the SELinux context. No effect where SELinux is off, as of the next three.",
    ),
    Arg::new("serole", Kind::Str, "Role of the SELinux context."),
    Arg::new("setype", Kind::Str, "Type of the SELinux context."),
    Arg::new("selevel", Kind::Str, "Level of the SELinux context."),
];

/// The same with names looked up on this host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    mode: Option<Mode>,
    owner: Option<Who>,
    group: Option<Who>,
    flags: Option<Flags>,
    label: Label,
}

#[derive(Debug, Clone, PartialEq)]
enum Who {
    Known(u32),
    /// Nobody yet, in check mode: a task before this one may be the one that makes them.
    Later(String),
}

impl Who {
    fn id(&self) -> Option<u32> {
        match self {
            Self::Known(id) => Some(*id),
            Self::Later(_) => None,
        }
    }

    fn is(&self, id: u32) -> bool {
        *self == Self::Known(id)
    }
}

impl Ownership {
    /// The same with this mode.
    pub(crate) fn with_mode(&self, mode: Option<String>) -> Self {
        Self {
            mode,
            ..self.clone()
        }
    }

    /// Looks up who is meant. Unknown names are failures; in check mode only warnings.
    pub(crate) fn resolve(&self, cx: &Context) -> Result<Wanted, Failure> {
        let mode = match &self.mode {
            None => None,
            Some(text) => Some(
                Mode::parse(text)
                    .ok_or_else(|| Failure::new(format!("mode {text:?} is no file mode")))?,
            ),
        };
        let flags = self.attributes.as_deref().map(Flags::parse).transpose()?;
        let label = Label::new([&self.seuser, &self.serole, &self.setype, &self.selevel])?;
        Ok(Wanted {
            mode,
            owner: who(cx, "user", "chown", self.owner.as_deref(), users::uid_of)?,
            group: who(cx, "group", "chgrp", self.group.as_deref(), users::gid_of)?,
            flags,
            label,
        })
    }
}

fn who(
    cx: &Context,
    kind: &str,
    doing: &str,
    name: Option<&str>,
    find: impl Fn(&str) -> Option<u32>,
) -> Result<Option<Who>, Failure> {
    let Some(name) = name else {
        return Ok(None);
    };
    if let Some(id) = find(name) {
        return Ok(Some(Who::Known(id)));
    }
    let text = format!("there is no {kind} named {name:?} on this host");
    if cx.check() {
        cx.warn(format!("{text}, unless an earlier task makes it"));
        return Ok(Some(Who::Later(name.to_owned())));
    }
    Err(Failure::new(format!(
        "{doing} failed: {text} (make it first with the module {kind}, or give its number)"
    )))
}

/// What changes of one path, as Ansible's `diff` has it: two dictionaries.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) before: Map<String, Value>,
    pub(crate) after: Map<String, Value>,
}

impl Changes {
    /// A diff that names the path on both sides.
    pub(crate) fn of(path: &Path) -> Self {
        let mut new = Self::default();
        new.add("path", path.to_string_lossy(), path.to_string_lossy());
        new
    }

    pub(crate) fn add(&mut self, key: &str, before: impl Into<Value>, after: impl Into<Value>) {
        self.before.insert(key.to_owned(), before.into());
        self.after.insert(key.to_owned(), after.into());
    }

    /// Whether anything but the path is in it.
    pub(crate) fn is_empty(&self) -> bool {
        let path = |side: &Map<String, Value>| side.keys().all(|key| key == "path");
        path(&self.before) && path(&self.after)
    }

    pub(crate) fn into_value(self) -> Value {
        serde_json::json!({"before": self.before, "after": self.after})
    }
}

impl Wanted {
    pub(crate) fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.owner.is_none()
            && self.group.is_none()
            && self.flags.is_none()
            && self.label.is_empty()
    }

    /// The same with this mode where none is asked for.
    #[must_use]
    pub(crate) fn or_mode(mut self, bits: u32) -> Self {
        self.mode.get_or_insert(Mode::Bits(bits));
        self
    }

    /// The same with this mode.
    #[must_use]
    pub(crate) fn with_mode(mut self, bits: u32) -> Self {
        self.mode = Some(Mode::Bits(bits));
        self
    }

    /// What a file that is written gets. `old` is the one that it replaces.
    pub(crate) fn attributes(&self, old: Option<&Metadata>) -> Attributes {
        let start = old.map_or(0o666 & !umask(), |old| old.mode() & 0o7777);
        Attributes {
            mode: self.mode.as_ref().map(|mode| mode.apply(start, false)),
            owner: self.owner.as_ref().and_then(Who::id),
            group: self.group.as_ref().and_then(Who::id),
        }
    }

    /// The mode of a directory that was just made at `path`.
    pub(crate) fn directory_mode(&self, path: &Path) -> u32 {
        // A directory in one with the bit setgid has it too.
        let inherited = fs::metadata(path).map_or(0, |meta| meta.mode() & 0o2000);
        let start = 0o777 & !umask() | inherited;
        self.mode
            .as_ref()
            .map_or(start, |mode| mode.apply(start, true))
    }

    /// Brings what is at `path` (a link itself, not what it leads to) to what is asked for, or says in check mode that
    /// it would. Adds what differs to `changes`.
    pub(crate) fn apply(
        &self,
        cx: &Context,
        path: &Path,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        if self.is_empty() {
            return Ok(false);
        }
        let handle =
            Handle::open(path).map_err(|error| Failure::io("cannot open", path, &error))?;
        let meta = handle
            .metadata()
            .map_err(|error| Failure::io("cannot stat", path, &error))?;
        let mut changed = self.label.apply(cx, path, changes)?;
        changed |= self.apply_owner(cx, &handle, &meta, path, changes)?;
        changed |= self.apply_mode(cx, &handle, &meta, path, changes)?;
        if let Some(flags) = &self.flags
            && (meta.is_file() || meta.is_dir())
        {
            changed |= flags.apply(cx, path, changes)?;
        }
        Ok(changed)
    }

    fn apply_owner(
        &self,
        cx: &Context,
        handle: &Handle,
        meta: &Metadata,
        path: &Path,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        let owner = self.owner.as_ref().filter(|who| !who.is(meta.uid()));
        let group = self.group.as_ref().filter(|who| !who.is(meta.gid()));
        for (key, now, who) in [("owner", meta.uid(), owner), ("group", meta.gid(), group)] {
            match who {
                Some(Who::Known(id)) => changes.add(key, now, *id),
                Some(Who::Later(name)) => changes.add(key, now, name.as_str()),
                None => {}
            }
        }
        if owner.is_none() && group.is_none() {
            return Ok(false);
        }
        if !cx.check() {
            handle
                .chown(owner.and_then(Who::id), group.and_then(Who::id))
                .map_err(|error| Failure::io("chown failed for", path, &error))?;
        }
        Ok(true)
    }

    fn apply_mode(
        &self,
        cx: &Context,
        handle: &Handle,
        meta: &Metadata,
        path: &Path,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        let Some(mode) = self.mode.as_ref().filter(|_| !meta.is_symlink()) else {
            return Ok(false);
        };
        let before = meta.mode() & 0o7777;
        let after = mode.apply(before, meta.is_dir());
        // A change of owner clears the bits setuid and setgid, so they are set again.
        let cleared = after & 0o6000 != 0 && !cx.check() && {
            let now = handle.metadata().map(|now| now.mode() & 0o7777);
            now.is_ok_and(|now| now != after)
        };
        if before != after {
            changes.add("mode", octal(before), octal(after));
        }
        if (before != after || cleared) && !cx.check() {
            handle
                .chmod(after)
                .map_err(|error| Failure::io("chmod failed for", path, &error))?;
        }
        Ok(before != after)
    }
}

/// What Ansible adds to the result of a module that has a `path` or `dest`: owner, mode, size, kind.
pub(crate) fn describe(path: &Path) -> Map<String, Value> {
    let mut known = Map::new();
    let Ok(meta) = fs::symlink_metadata(path) else {
        known.insert("state".to_owned(), "absent".into());
        return known;
    };
    let user = users::user_by_id(meta.uid());
    let group = users::group_by_id(meta.gid());
    let pairs: [(&str, Value); 7] = [
        ("uid", meta.uid().into()),
        ("gid", meta.gid().into()),
        (
            "owner",
            user.map_or_else(|| meta.uid().to_string(), |user| user.name)
                .into(),
        ),
        (
            "group",
            group
                .map_or_else(|| meta.gid().to_string(), |group| group.name)
                .into(),
        ),
        ("mode", octal(meta.mode() & 0o7777).into()),
        ("state", state_of(&meta).into()),
        ("size", meta.size().into()),
    ];
    known.extend(pairs.map(|(key, value)| (key.to_owned(), value)));
    known
}

/// A mode as Ansible writes it in results: always with a 0 in front. (`stat` has four digits.)
pub(crate) fn octal(mode: u32) -> String {
    format!("0{mode:03o}")
}

/// What something is, in the words of `state`.
pub(crate) fn state_of(meta: &Metadata) -> &'static str {
    if meta.is_symlink() {
        "link"
    } else if meta.is_dir() {
        "directory"
    } else if meta.nlink() > 1 {
        "hard"
    } else {
        "file"
    }
}

/// What something is, for people.
pub(crate) fn kind_of(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_file() {
        "file"
    } else if kind.is_block_device() {
        "block device"
    } else if kind.is_char_device() {
        "character device"
    } else if kind.is_fifo() {
        "pipe"
    } else {
        "socket"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test::mode;
    use std::os::unix::fs::PermissionsExt;

    fn wanted(mode: &str) -> Wanted {
        let ownership = Ownership {
            mode: Some(mode.to_owned()),
            ..Ownership::default()
        };
        ownership
            .resolve(&Context::local(false, true))
            .expect("sound")
    }

    #[test]
    fn a_mode_is_applied_once_and_check_mode_only_tells() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a b\nü");
        fs::write(&file, "").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        let apply = |check| {
            let mut changes = Changes::default();
            let cx = Context::local(check, true);
            let changed = wanted("u+x,g=r").apply(&cx, &file, &mut changes);
            (changed.expect("applied"), changes)
        };
        let (changed, changes) = apply(true);
        assert!(changed);
        assert_eq!(
            (&changes.before["mode"], &changes.after["mode"]),
            (&Value::from("0600"), &Value::from("0740"))
        );
        assert_eq!(mode(&file), 0o600);
        assert!(apply(false).0);
        assert_eq!(mode(&file), 0o740);
        assert!(!apply(false).0);
    }

    #[test]
    fn a_link_has_no_mode_and_what_it_leads_to_keeps_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        fs::write(&file, "").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        std::os::unix::fs::symlink("f", &link).expect("a link");
        let cx = Context::local(false, true);
        let changed = wanted("0644").apply(&cx, &link, &mut Changes::default());
        assert_eq!(changed, Ok(false));
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn unknown_users_are_failures_and_in_check_mode_warnings() {
        let ownership = Ownership {
            owner: Some("nobody-of-this-name".to_owned()),
            ..Ownership::default()
        };
        let failure = ownership
            .resolve(&Context::local(false, false))
            .expect_err("unknown");
        assert!(
            failure.message.contains("no user named"),
            "{}",
            failure.message
        );
        let cx = Context::local(true, false);
        let later = ownership.resolve(&cx).expect("a warning only");
        assert_eq!(cx.take_warnings().len(), 1);
        let dir = tempfile::tempdir().expect("a directory");
        let changed = later.apply(&cx, dir.path(), &mut Changes::default());
        assert_eq!(changed, Ok(true));
    }
}
