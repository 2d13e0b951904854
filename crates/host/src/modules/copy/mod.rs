//! `copy`: content of the controller, or of the host itself, as a file; and `template`, whose content the controller has
//! rendered.

mod place;
#[cfg(test)]
mod tests;
mod tree;

use crate::modules::ownership::{self, Changes, Ownership, Wanted, describe};
use crate::modules::rewrite::{self, Content, MAX_DIFF, Rewrite, content_diff, measure};
use crate::spec::join;
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Rule, Spec, files};
use md5::Md5;
use serde::Deserialize;
use serde_json::Value;
use sha1::{Digest, Sha1};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the controller calls the content.
const BLOB: &str = "content";

#[derive(Clone, Deserialize)]
pub struct Copy {
    dest: String,
    src: Option<String>,
    content: Option<String>,
    force: bool,
    directory_mode: Option<String>,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    local_follow: bool,
    #[serde(default)]
    remote_src: bool,
    checksum: Option<String>,
    /// Name of the controller's file, for a `dest` that is a directory.
    _original_basename: Option<String>,
    #[serde(flatten)]
    ownership: Ownership,
    #[serde(flatten)]
    rewrite: Rewrite,
}

const SHARED: [Arg; 11] = join(ownership::ARGS, rewrite::ARGS);

const DEST: Arg = Arg::new(
    "dest",
    Kind::Path,
    "File of the host; a directory when src is one, or when it ends with a slash.",
)
.required();

const FORCE: Arg = Arg::new(
    "force",
    Kind::Bool,
    "Replace a file that is there and differs.",
)
.default("yes");

const FOLLOW: Arg = Arg::new(
    "follow",
    Kind::Bool,
    "Where dest is a link, write what it leads to; otherwise the link becomes a file.",
)
.default("no");

const DIRECTORY_MODE: Arg = Arg::new(
    "directory_mode",
    Kind::Mode,
    "Mode of the directories that are made.",
);

const BASENAME: Arg = Arg::new(
    "_original_basename",
    Kind::Str,
    "Set by the controller: name of the file when dest is a directory.",
);

const COPY_ARGS: [Arg; 22] = join(
    [
        DEST,
        Arg::new(
            "src",
            Kind::Path,
            "File or directory of the controller; of the host with remote_src.",
        ),
        Arg::new("content", Kind::Str, "The content itself, instead of src."),
        Arg::new("remote_src", Kind::Bool, "src is on the host.").default("no"),
        FORCE.aliases(&["thirsty"]),
        FOLLOW,
        Arg::new(
            "local_follow",
            Kind::Bool,
            "Copy what links in a source tree lead to, not the links.",
        )
        .default("yes"),
        DIRECTORY_MODE,
        Arg::new("checksum", Kind::Str, "SHA-1 that the content must have."),
        Arg::new(
            "decrypt",
            Kind::Bool,
            "Decrypt a vaulted src at the controller.",
        )
        .default("yes"),
        BASENAME,
    ],
    with_preserve(SHARED),
);

const TEMPLATE_ARGS: [Arg; 27] = join(
    [
        DEST,
        Arg::new("src", Kind::Path, "Template of the controller.").required(),
        FORCE,
        FOLLOW,
        DIRECTORY_MODE,
        BASENAME,
        Arg::new("newline_sequence", Kind::Str, "What ends a line.")
            .choices(&["\\n", "\\r", "\\r\\n", "\n", "\r", "\r\n"])
            .default("\\n"),
        Arg::new(
            "trim_blocks",
            Kind::Bool,
            "Remove the line end after a block.",
        )
        .default("yes"),
        Arg::new("lstrip_blocks", Kind::Bool, "Remove blanks before a block.").default("no"),
        Arg::new("block_start_string", Kind::Str, "What begins a block.").default("{%"),
        Arg::new("block_end_string", Kind::Str, "What ends a block.").default("%}"),
        Arg::new("variable_start_string", Kind::Str, "What begins a value.").default("{{"),
        Arg::new("variable_end_string", Kind::Str, "What ends a value.").default("}}"),
        Arg::new("comment_start_string", Kind::Str, "What begins a comment."),
        Arg::new("comment_end_string", Kind::Str, "What ends a comment."),
        Arg::new("output_encoding", Kind::Str, "Encoding of the file.").default("utf-8"),
    ],
    with_preserve(SHARED),
);

/// The shared arguments with a `mode` that can also be `preserve`.
const fn with_preserve(mut args: [Arg; 11]) -> [Arg; 11] {
    args[0] = args[0].choices(&["preserve"]);
    args
}

impl Module for Copy {
    const SPEC: Spec = Spec::new("copy", "Copies files and content to the host.", &COPY_ARGS)
        .rules(&[Rule::Exclusive(&["src", "content"])])
        .returns(&[
            Return::new("dest, src", "The file, and where its content came from."),
            Return::new("checksum, md5sum", "SHA-1 and MD5 of the content."),
            Return::new("backup_file", "The copy of the old file, with backup."),
            Return::new(
                "owner, group, uid, gid, mode, size, state",
                "Whose the file is, its mode, its length and its kind.",
            ),
        ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if self.remote_src {
            return tree::run(&self, cx);
        }
        let mut source = match &self.content {
            _ if cx.blob_ref(BLOB).is_some() => Source::blob(cx),
            Some(content) => Source::Bytes(content.clone().into_bytes()),
            None => {
                return Err(Failure::new(
                    "copy needs src or content (or remote_src: true with a src on the host)",
                ));
            }
        };
        let wanted = self.wanted(cx, None)?;
        let dest = place::file(&self, cx, &wanted)?;
        self.file(cx, &mut source, &dest, &wanted)
    }
}

/// The host's half of `template`: the same as `copy`, of what the controller rendered.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Template(Copy);

impl Module for Template {
    const SPEC: Spec = Spec::new(
        "template",
        "Renders a template of the controller to a file of the host.",
        &TEMPLATE_ARGS,
    )
    .returns(&[
        Return::new("dest, src", "The file, and the template."),
        Return::new("checksum, md5sum", "SHA-1 and MD5 of the content."),
        Return::new("backup_file", "The copy of the old file, with backup."),
        Return::new(
            "owner, group, uid, gid, mode, size, state",
            "Whose the file is, its mode, its length and its kind.",
        ),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let copy = Copy {
            src: None,
            ..self.0
        };
        copy.run(cx)
    }
}

/// Where content comes from.
enum Source {
    /// The controller, once it is asked for.
    Blob {
        sha1: String,
        size: u64,
    },
    Bytes(Vec<u8>),
    /// A file of the host.
    File {
        path: PathBuf,
        sha1: String,
        size: u64,
    },
}

impl Source {
    fn blob(cx: &Context) -> Self {
        cx.blob_ref(BLOB).map_or_else(
            || Self::Bytes(Vec::new()),
            |blob| Self::Blob {
                sha1: blob.sha1.clone(),
                size: blob.size,
            },
        )
    }

    fn file(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io("cannot read the source", path, &error);
        let meta = fs::metadata(path).map_err(failed)?;
        Ok(Self::File {
            path: path.to_path_buf(),
            sha1: files::sha1(path).map_err(failed)?,
            size: meta.size(),
        })
    }

    fn sha1(&self) -> String {
        match self {
            Self::Blob { sha1, .. } | Self::File { sha1, .. } => sha1.clone(),
            Self::Bytes(bytes) => files::hex(&Sha1::digest(bytes)),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Blob { size, .. } | Self::File { size, .. } => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The content in memory, for a diff; what came from the controller isn't asked for twice.
    fn bytes(&mut self, cx: &Context) -> Result<&[u8], Failure> {
        let bytes = match self {
            Self::Bytes(_) => None,
            Self::Blob { .. } => Some(cx.blob_bytes(BLOB)?),
            Self::File { path, .. } => Some(
                fs::read(&*path)
                    .map_err(|error| Failure::io("cannot read the source", &*path, &error))?,
            ),
        };
        if let Some(bytes) = bytes {
            *self = Self::Bytes(bytes);
        }
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Ok(&[]),
        }
    }

    fn open(&self, cx: &Context) -> Result<Box<dyn Read + '_>, Failure> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(&bytes[..]),
            Self::Blob { .. } => Box::new(cx.blob(BLOB)?),
            Self::File { path, .. } => Box::new(
                File::open(path)
                    .map_err(|error| Failure::io("cannot read the source", path, &error))?,
            ),
        })
    }
}

/// What is read through it is hashed.
struct Summed<'a> {
    input: Box<dyn Read + 'a>,
    md5: Md5,
}

impl Read for Summed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.md5.update(&buffer[..count]);
        Ok(count)
    }
}

impl Copy {
    /// Mode, owner and group; `preserve` is the mode of the source, where there is one on this host.
    fn wanted(&self, cx: &Context, source: Option<&Metadata>) -> Result<Wanted, Failure> {
        if self.ownership.mode.as_deref() != Some("preserve") {
            return self.ownership.resolve(cx);
        }
        let mode = source.map(|source| format!("{:04o}", source.mode() & 0o7777));
        if mode.is_none() && !self.remote_src {
            return Err(Failure::new(
                "mode: preserve needs a src whose mode can be preserved",
            ));
        }
        self.ownership.with_mode(mode).resolve(cx)
    }

    /// Brings one file to its content, mode and owner. `dest` is the file, not a directory.
    fn file(
        &self,
        cx: &Context,
        source: &mut Source,
        dest: &Path,
        wanted: &Wanted,
    ) -> Result<Outcome, Failure> {
        let sha1 = source.sha1();
        if let Some(expected) = self.checksum.as_ref().filter(|expected| **expected != sha1) {
            return Err(Failure::new(
                "copied file does not match the expected checksum; nothing was changed",
            )
            .with("checksum", sha1)
            .with("expected_checksum", expected.as_str()));
        }
        let (real, old) = self.target(dest)?;
        let is_link = old.as_ref().is_some_and(Metadata::is_symlink);
        let finish = |outcome: Outcome| {
            let mut outcome = outcome.with("checksum", sha1.as_str());
            outcome.data.extend(describe(&real));
            outcome
        };
        let named = |changed| Outcome::changed(changed).with("dest", real.to_string_lossy());
        if old.is_some() && !self.force {
            let outcome = named(false).msg("file already exists");
            return Ok(finish(outcome));
        }
        let same = !is_link && is_same(&real, old.as_ref(), source.size(), &sha1)?;
        let mut diffs = Vec::new();
        let mut outcome = named(!same);
        let mut md5 = match source {
            Source::File { path, .. } => {
                let failed = |error| Failure::io("cannot read the source", &*path, &error);
                Some(files::md5(path).map_err(failed)?)
            }
            _ => None,
        };
        if !same {
            if cx.diff() {
                diffs.push(diff(cx, source, &real, old.as_ref())?);
            }
            if cx.check() {
                self.rewrite.would(&real)?;
            } else {
                let old = old.as_ref().filter(|old| old.is_file());
                let attributes = wanted.attributes(old);
                let size = source.size();
                let mut input = Summed {
                    input: source.open(cx)?,
                    md5: Md5::default(),
                };
                let mut content = Content {
                    input: &mut input,
                    size,
                };
                if let Some(backup) = self.rewrite.put(cx, &real, attributes, &mut content)? {
                    outcome = outcome.with("backup_file", backup.to_string_lossy());
                }
                md5 = Some(files::hex(&input.md5.finalize()));
            }
        }
        if let Some(md5) = md5 {
            outcome = outcome.with("md5sum", md5);
        }
        if same {
            outcome = outcome.with("path", real.to_string_lossy());
        }
        let mut changes = Changes::of(&real);
        if same || !cx.check() {
            outcome.changed |= wanted.apply(cx, &real, &mut changes)?;
        }
        if !changes.is_empty() {
            diffs.push(changes.into_value());
        }
        if !diffs.is_empty() {
            outcome = outcome.with("diff", diffs);
        }
        Ok(finish(outcome))
    }

    /// The path that is really written, and what is there.
    fn target(&self, dest: &Path) -> Result<(PathBuf, Option<Metadata>), Failure> {
        let real = if self.follow {
            files::resolve(dest)
                .map_err(|error| Failure::io("cannot follow the link", dest, &error))?
        } else {
            dest.to_path_buf()
        };
        match fs::symlink_metadata(&real) {
            Ok(meta) => Ok((real, Some(meta))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((real, None)),
            Err(error) => Err(Failure::io("cannot stat", &real, &error)),
        }
    }
}

/// Whether the file has this content already.
fn is_same(path: &Path, old: Option<&Metadata>, size: u64, sha1: &str) -> Result<bool, Failure> {
    match old {
        Some(old) if old.is_file() && old.size() == size => files::sha1(path)
            .map(|now| now == sha1)
            .map_err(|error| Failure::io("cannot read", path, &error)),
        _ => Ok(false),
    }
}

fn diff(
    cx: &Context,
    source: &mut Source,
    dest: &Path,
    old: Option<&Metadata>,
) -> Result<Value, Failure> {
    let before = match old {
        Some(old) if old.is_file() && old.size() > MAX_DIFF => measure(old.size()).into_bytes(),
        Some(old) if old.is_file() => rewrite::read(dest)?.unwrap_or_default(),
        // What is read there now is what a link leads to.
        Some(old) if old.is_symlink() && dest.is_file() => rewrite::read(dest)?.unwrap_or_default(),
        _ => Vec::new(),
    };
    if source.size() > MAX_DIFF {
        let after = measure(source.size());
        return Ok(content_diff(dest, &before, after.as_bytes()));
    }
    let mut diff = content_diff(dest, &before, source.bytes(cx)?);
    // A file that wasn't there has no name.
    if let (None, Some(diff)) = (old, diff.as_object_mut()) {
        diff.shift_remove("before_header");
    }
    Ok(diff)
}
