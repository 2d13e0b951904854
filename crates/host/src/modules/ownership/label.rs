//! The SELinux context of a file, which is an extended attribute: `user:role:type:level`.

use super::Changes;
use crate::{Context, Failure};
use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use std::path::Path;

const NAME: &str = "security.selinux";

/// The parts that are asked for: user, role, type, level.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Label([Option<String>; 4]);

impl Label {
    pub(super) fn new(parts: [&Option<String>; 4]) -> Result<Self, Failure> {
        if !Path::new("/sys/fs/selinux/enforce").exists() {
            return Ok(Self::default());
        }
        if parts.iter().any(|part| part.as_deref() == Some("_default")) {
            return Err(Failure::new(
                "the SELinux context _default is not supported: give the type itself, or run restorecon",
            ));
        }
        Ok(Self(parts.map(Clone::clone)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn apply(
        &self,
        cx: &Context,
        path: &Path,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        if self.is_empty() {
            return Ok(false);
        }
        let failed = |error: rustix::io::Errno| {
            Failure::io("cannot set the SELinux context of", path, &error.into())
        };
        let mut buffer = [0; 512];
        let size = lgetxattr(path, NAME, &mut buffer[..]).map_err(failed)?;
        let now = String::from_utf8_lossy(&buffer[..size])
            .trim_end_matches('\0')
            .to_owned();
        let after = self.of(&now);
        if after == now {
            return Ok(false);
        }
        changes.add("secontext", now, after.as_str());
        if !cx.check() {
            lsetxattr(path, NAME, after.as_bytes(), XattrFlags::empty()).map_err(failed)?;
        }
        Ok(true)
    }

    /// A level may hold colons itself.
    fn of(&self, now: &str) -> String {
        let mut parts = now.splitn(4, ':');
        self.0
            .iter()
            .filter_map(|wanted| {
                let part = parts.next();
                wanted.as_deref().or(part)
            })
            .collect::<Vec<_>>()
            .join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_changes() {
        let label =
            |parts: [&str; 4]| Label(parts.map(|part| (!part.is_empty()).then(|| part.to_owned())));
        let now = "system_u:object_r:etc_t:s0:c1,c2";
        assert_eq!(
            label(["", "", "bin_t", ""]).of(now),
            "system_u:object_r:bin_t:s0:c1,c2"
        );
        assert_eq!(label(["u", "", "", "s0"]).of(now), "u:object_r:etc_t:s0");
        assert_eq!(label(["", "", "", ""]).of("a:b:c"), "a:b:c");
    }
}
