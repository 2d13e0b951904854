//! `state: touch`: the file is there, and its times are now (or what is asked for).

use super::{Job, at, state_at};
use crate::files::{self, Atomic};
use crate::modules::ownership::Changes;
use crate::modules::rewrite::write_failure;
use crate::{Failure, Outcome};
use std::path::Path;

impl Job<'_> {
    pub(super) fn touch(&self, path: &Path) -> Result<Outcome, Failure> {
        let real = self.followed(path)?;
        let before = state_at(&real)?;
        let mut changes = Changes::of(&real);
        changes.add("state", before, "touch");
        if before != "absent" {
            let changed = self.finish(&real, &mut changes)?;
            return Ok(self.outcome("dest", &real, changed, changes));
        }
        let dir = files::parent(&real);
        if !dir.is_dir() && !self.cx.check() {
            return Err(at(
                format!(
                    "could not touch {}: its directory does not exist",
                    real.display()
                ),
                &real,
            ));
        }
        if !self.cx.check() {
            let failed = |error: &std::io::Error| write_failure(&real, 0, false, error);
            Atomic::replace(&real, self.wanted.attributes(None))
                .and_then(Atomic::commit)
                .map_err(|error| failed(&error))?;
            self.finish(&real, &mut changes)?;
        }
        Ok(self.outcome("dest", &real, true, changes))
    }
}
