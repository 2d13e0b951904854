//! `_archive`: reads directories and streams them as a tar.

use crate::globs::fnmatch;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec, files, users};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Files up to this size are read whole before their header is written: one that is just being rewritten is then seen
/// in one piece. Longer ones must keep their length while they are read.
const WHOLE: u64 = 16 << 20;

#[derive(Deserialize)]
pub struct Archive {
    paths: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

impl Module for Archive {
    const SPEC: Spec = Spec::new(
        "_archive",
        "Streams files, directories and links as a tar, with modes and owners. Returns `files`, `missing` (paths that aren't there), `left_out` (sockets and the like) and `size`.",
        &[
            Arg::new("paths", Kind::List, "What to read, with all below it.")
                .of(Kind::Path)
                .required(),
            Arg::new(
                "exclude",
                Kind::List,
                "Patterns of full paths to leave out.",
            ),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let output = BufWriter::with_capacity(
            256 * 1024,
            Sender {
                cx,
                size: 0,
                failure: None,
            },
        );
        let mut pack = Pack {
            cx,
            exclude: &self.exclude,
            tar: Builder::new(output),
            seen: HashSet::new(),
            names: Names::default(),
            files: Vec::new(),
            skipped: Vec::new(),
        };
        let mut missing = Vec::new();
        for path in &self.paths {
            let path = cx.expand(path);
            if !path.is_absolute() {
                return Err(Failure::new(format!(
                    "{} is not an absolute path",
                    path.display()
                )));
            }
            if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                missing.push(path.to_string_lossy().into_owned());
            } else {
                pack.add(&path)?;
            }
        }
        pack.finish(missing)
    }
}

struct Pack<'a> {
    cx: &'a Context,
    exclude: &'a [String],
    tar: Builder<BufWriter<Sender<'a>>>,
    seen: HashSet<PathBuf>,
    names: Names,
    files: Vec<Value>,
    skipped: Vec<String>,
}

impl Pack<'_> {
    /// One path, then what is below it in order of name.
    fn add(&mut self, path: &Path) -> Result<(), Failure> {
        self.cx.check_cancelled()?;
        let text = path.to_string_lossy();
        if self.exclude.iter().any(|pattern| fnmatch(pattern, &text))
            || !self.seen.insert(path.to_path_buf())
        {
            return Ok(());
        }
        let failed = |error: io::Error| Failure::io("cannot read", path, &error);
        let meta = fs::symlink_metadata(path).map_err(failed)?;
        if meta.is_dir() {
            self.entry(path, &meta, EntryType::Directory, 0, &mut io::empty())?;
            self.tell("directory", path, &meta, Map::new());
            let mut below = fs::read_dir(path)
                .and_then(|entries| {
                    entries
                        .map(|entry| entry.map(|entry| entry.path()))
                        .collect::<Result<Vec<_>, _>>()
                })
                .map_err(failed)?;
            below.sort();
            return below.iter().try_for_each(|path| self.add(path));
        }
        if meta.is_symlink() {
            return self.link(path, &meta);
        }
        if !meta.is_file() {
            self.skipped.push(text.into_owned());
            return Ok(());
        }
        self.file(path)
    }

    fn link(&mut self, path: &Path, meta: &Metadata) -> Result<(), Failure> {
        let target =
            fs::read_link(path).map_err(|error| Failure::io("cannot read", path, &error))?;
        let mut header = self.header(meta, EntryType::Symlink, 0);
        let result = self.tar.append_link(&mut header, relative(path), &target);
        self.written(path, result)?;
        let target = json!({"target": target.to_string_lossy()});
        self.tell("link", path, meta, into_map(target));
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::io("cannot read", path, &error);
        let mut file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let mut content = Vec::new();
        let mut hasher = Sha256::new();
        let size = if meta.size() <= WHOLE {
            Read::by_ref(&mut file)
                .take(WHOLE + 1)
                .read_to_end(&mut content)
                .map_err(failed)?;
            hasher.update(&content);
            self.entry(
                path,
                &meta,
                EntryType::Regular,
                content.len() as u64,
                &mut &content[..],
            )?;
            content.len() as u64
        } else {
            let mut exact = Exact {
                input: file,
                left: meta.size(),
                hasher: &mut hasher,
            };
            self.entry(path, &meta, EntryType::Regular, meta.size(), &mut exact)?;
            meta.size()
        };
        let sha256 = files::hex(&hasher.finalize());
        let more = json!({"size": size, "sha256": sha256});
        self.tell("file", path, &meta, into_map(more));
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        meta: &Metadata,
        kind: EntryType,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), Failure> {
        let mut header = self.header(meta, kind, size);
        let result = self.tar.append_data(&mut header, relative(path), content);
        self.written(path, result)
    }

    fn header(&mut self, meta: &Metadata, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(meta.mode() & 0o7777);
        header.set_uid(meta.uid().into());
        header.set_gid(meta.gid().into());
        header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
        let (owner, group) = self.names.of(meta);
        // A name that is too long for the format leaves the number.
        header.set_username(&owner).ok();
        header.set_groupname(&group).ok();
        header
    }

    fn tell(&mut self, kind: &str, path: &Path, meta: &Metadata, more: Map<String, Value>) {
        let (owner, group) = self.names.of(meta);
        let mut file = into_map(json!({
            "path": path.to_string_lossy(), "kind": kind, "size": 0,
            "mode": format!("{:04o}", meta.mode() & 0o7777),
            "uid": meta.uid(), "gid": meta.gid(), "owner": owner, "group": group,
        }));
        file.extend(more);
        self.files.push(file.into());
    }

    /// What sending says is more than what the tar's error says of it.
    fn written(&mut self, path: &Path, result: io::Result<()>) -> Result<(), Failure> {
        result.map_err(|error| {
            let sent = self.tar.get_mut().get_mut().failure.take();
            sent.unwrap_or_else(|| Failure::io("cannot archive", path, &error))
        })
    }

    fn finish(self, missing: Vec<String>) -> Result<Outcome, Failure> {
        let output = self
            .tar
            .into_inner()
            .map_err(|error| Failure::new(format!("cannot end the archive: {error}")))?;
        let sender = output
            .into_inner()
            .map_err(|error| Failure::new(format!("cannot send the archive: {}", error.error())))?;
        Ok(Outcome::ok()
            .with("files", self.files)
            .with("missing", missing)
            .with("left_out", self.skipped)
            .with("size", sender.size))
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Names in a tar have no slash at their start.
fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Names of owners, looked up once each.
#[derive(Default)]
struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// User and group; empty where they have no name.
    fn of(&mut self, meta: &Metadata) -> (String, String) {
        let user = self.users.entry(meta.uid()).or_insert_with(|| {
            users::user_by_id(meta.uid()).map_or_else(String::new, |user| user.name)
        });
        let group = self.groups.entry(meta.gid()).or_insert_with(|| {
            users::group_by_id(meta.gid()).map_or_else(String::new, |group| group.name)
        });
        (user.clone(), group.clone())
    }
}

/// Writes to the controller.
struct Sender<'a> {
    cx: &'a Context,
    size: u64,
    failure: Option<Failure>,
}

impl Write for Sender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.cx.send(bytes) {
            Ok(()) => {
                self.size += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(failure) => {
                let error = io::Error::other(failure.message.clone());
                self.failure = Some(failure);
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads exactly as much as the header has promised.
struct Exact<'a> {
    input: File,
    left: u64,
    hasher: &'a mut Sha256,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "it became shorter while it was read",
            ));
        }
        self.left -= count as u64;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
