//! Reading and writing the files of vaults: never half written, never readable by others on the way.

use super::error;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use std::fs::{self, File, Permissions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// All of a file, or of standard input (`-`).
pub(super) fn read(file: &Path, context: &Context) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if file == Path::new("-") {
        if io::stdin().is_terminal() {
            eprintln!(
                "Reading plaintext input from stdin. (ctrl-d to end input, twice if your content does not already have a newline)"
            );
        }
        let mut bytes = Zeroizing::new(Vec::new());
        io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|failed| error(format!("standard input can't be read: {failed}")))?;
        return Ok(bytes);
    }
    fs::read(context.path(file))
        .map(Zeroizing::new)
        .map_err(|failed| {
            error(format!(
                "Unable to read source file ({}): {failed}",
                file.display()
            ))
        })
}

/// Writes standard output (`-`), or a file beside which it is made first: with the owner and mode of the file that
/// was there, else for its owner only.
pub(in crate::cli) fn write(file: &Path, bytes: &[u8], context: &Context) -> Result<(), Failure> {
    if file == Path::new("-") {
        let mut out = io::stdout().lock();
        return out
            .write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(|failed| error(format!("standard output can't be written: {failed}")));
    }
    // What a link leads to is replaced, not the link.
    let path = context.path(file);
    let path = path.canonicalize().unwrap_or(path);
    replace(&path, bytes)
        .map_err(|failed| error(format!("{} can't be written: {failed}", file.display())))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (beside, mut file) = fresh(folder)?;
    let written = (|| {
        if let Ok(old) = fs::metadata(path) {
            // Only root may give files away; everyone else writes files of their own.
            let _not_allowed = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _left_over = fs::remove_file(&beside);
    }
    written
}

/// A new file for its owner only, under a name that nobody has.
fn fresh(folder: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let path = folder.join(format!(".kopsrun-vault-{:016x}", rand::random::<u64>()));
        let opened = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match opened {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Shows plain text: through a pager on a terminal.
pub(super) fn show(plain: &[u8], context: &Context) -> Result<(), Failure> {
    let mut text = String::from_utf8_lossy(plain).into_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if !context.terminal {
        return context.print(&text);
    }
    let pager = context.config.text("PAGER");
    let child = Command::new("sh")
        .args(["-c", &pager])
        .env("LESS", "FRSX")
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return context.print(&text);
    };
    if let Some(mut input) = child.stdin.take() {
        // Whoever leaves the pager early has seen enough.
        let _left = input.write_all(plain);
    }
    child
        .wait()
        .map(|_| ())
        .map_err(|failed| error(format!("the pager {pager} failed: {failed}")))
}

/// A private directory with one file, wiped and removed when dropped.
pub(super) struct Private {
    folder: PathBuf,
    pub file: PathBuf,
}

impl Private {
    /// In memory where the system has such a place. The name keeps its extension, for editors.
    pub(super) fn new(like: &Path, plain: &[u8], context: &Context) -> io::Result<Self> {
        let runtime = context.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = [runtime, Some("/dev/shm".into()), Some(std::env::temp_dir())];
        let name = format!("kopsrun-vault-{:016x}", rand::random::<u64>());
        let mut last = io::Error::other("no directory for temporary files");
        for place in places.into_iter().flatten() {
            let folder = place.join(&name);
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    let file = folder.join(like.file_name().unwrap_or_default());
                    let private = Self { folder, file };
                    private.fill(plain)?;
                    return Ok(private);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn fill(&self, plain: &[u8]) -> io::Result<()> {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)?
            .write_all(plain)
    }

    pub(super) fn read(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        fs::read(&self.file).map(Zeroizing::new)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Overwritten first: on a disk its blocks would stay readable. Editors may have replaced the file.
        if let Ok(meta) = fs::metadata(&self.file) {
            let length = usize::try_from(meta.len()).unwrap_or(0);
            let _best_effort = fs::OpenOptions::new()
                .write(true)
                .open(&self.file)
                .and_then(|mut file| {
                    file.write_all(&vec![0; length])?;
                    file.sync_all()
                });
        }
        let _best_effort = fs::remove_dir_all(&self.folder);
    }
}
