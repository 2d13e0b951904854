//! A package that is a file, or the URL of one.

use super::status::Status;
use super::version::compare;
use super::{Apt, AptGet};
use crate::modules::http::Scratch;
use crate::modules::http::download::download;
use crate::{Context, Failure, Outcome};
use std::cmp::Ordering;
use std::fs;
use std::path::Path;

impl Apt {
    pub(super) fn install_file(
        &self,
        cx: &Context,
        apt: &AptGet,
        deb: &str,
    ) -> Result<Outcome, Failure> {
        if !deb.contains("://") {
            return self.install_path(cx, apt, &cx.expand(deb));
        }
        // Also in check mode: only the file says what is in it.
        let scratch = Scratch::new()?;
        let name = deb.rsplit('/').next().filter(|name| !name.is_empty());
        let path = scratch.file(name.unwrap_or("package.deb"));
        download(cx, deb, !self.force, &path)?;
        self.install_path(cx, apt, &path)
    }

    fn install_path(&self, cx: &Context, apt: &AptGet, path: &Path) -> Result<Outcome, Failure> {
        let full = fs::canonicalize(path)
            .map_err(|error| Failure::io("Unable to install package: cannot read", path, &error))?;
        let format = "--showformat=${Package}\t${Version}\t${Architecture}";
        let output = cx
            .process("dpkg-deb")
            .args(["--show", format])
            .arg(&full)
            .system()
            .run()?
            .check("Unable to install package")?;
        let text = output.stdout_text();
        let fields: Vec<&str> = text.trim().split('\t').collect();
        let [package, version, architecture] = fields[..] else {
            return Err(Failure::new(format!(
                "Unable to install package: {} names no package",
                full.display()
            )));
        };
        let before = Status::read()?;
        let installed = before.version(&format!("{package}:{architecture}"));
        if installed == Some(version) {
            return Ok(Outcome::ok().with("stdout", "").with("stderr", ""));
        }
        let newer = installed.is_some_and(|is| compare(is, version) == Ordering::Greater);
        if newer && !self.allow_downgrade {
            return Err(Failure::new(format!(
                "A later version is already installed: {package} {} (allow_downgrade: true installs {version})",
                installed.unwrap_or_default()
            )));
        }
        let path = full.to_string_lossy().into_owned();
        let arguments = ["install".to_owned(), "--".to_owned(), path];
        self.act(cx, apt, &arguments, &before)
    }
}
