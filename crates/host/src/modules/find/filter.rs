//! What of the things in a directory is meant.

use crate::encoding::Encoding;
use crate::files::Mode;
use crate::regex::{Flags, Regex};
use crate::{Failure, globs};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) struct Filter {
    pub(super) kind: String,
    pub(super) patterns: Vec<Pattern>,
    pub(super) excludes: Vec<Pattern>,
    /// Seconds; negative: younger.
    pub(super) age: Option<i64>,
    pub(super) stamp: String,
    /// Bytes; negative: at most.
    pub(super) size: Option<i64>,
    pub(super) mode: Option<u32>,
    pub(super) exact_mode: bool,
    pub(super) contains: Option<Regex>,
    pub(super) whole: bool,
    pub(super) encoding: Encoding,
    /// Seconds since 1970.
    pub(super) now: f64,
}

/// What a name may fit.
pub(super) enum Pattern {
    Glob(String),
    Regex(Regex),
}

pub(super) fn patterns(texts: &[String], use_regex: bool) -> Result<Vec<Pattern>, Failure> {
    texts
        .iter()
        .map(|text| {
            if !use_regex {
                return Ok(Pattern::Glob(text.clone()));
            }
            Regex::text(text, Flags::default())
                .map(Pattern::Regex)
                .map_err(|error| {
                    Failure::new(format!(
                        "a pattern is no regular expression: {error}: {text}"
                    ))
                })
        })
        .collect()
}

/// Letters that can follow a number, and what it is multiplied by then.
pub(super) type Units = [(char, i64); 5];

pub(super) const SECONDS: Units = [
    ('s', 1),
    ('m', 60),
    ('h', 3600),
    ('d', 86400),
    ('w', 604_800),
];
pub(super) const BYTES: Units = [
    ('b', 1),
    ('k', 1 << 10),
    ('m', 1 << 20),
    ('g', 1 << 30),
    ('t', 1 << 40),
];

/// `-2d` → -172800.
pub(super) fn measure(
    name: &str,
    text: Option<&str>,
    units: Units,
) -> Result<Option<i64>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let lower = text.to_lowercase();
    let unit = units.iter().find(|(letter, _)| lower.ends_with(*letter));
    let number = &lower[..lower.len() - usize::from(unit.is_some())];
    let digits = number.strip_prefix('-').unwrap_or(number);
    Some(number)
        .filter(|_| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse::<i64>().ok())
        .and_then(|number| number.checked_mul(unit.map_or(1, |(_, factor)| *factor)))
        .map(Some)
        .ok_or_else(|| {
            let letters: String = units.iter().map(|(letter, _)| letter).collect();
            Failure::new(format!(
                "failed to process {name}: {text:?} is no number with one of the letters {letters} behind it"
            ))
            .with(name, text)
        })
}

/// The bits of a mode; like Ansible, only of text, because a number in YAML has another base than people think.
pub(super) fn mode(value: Option<&Value>) -> Result<Option<u32>, Failure> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => match Mode::parse(text) {
            Some(mode) => Ok(Some(mode.apply(0, false))),
            None => Err(Failure::new(format!("mode {text:?} is no file mode"))),
        },
        Some(other) => Err(Failure::new(format!(
            "argument 'mode' is not a string and conversion is not allowed, value is {other}: put it in quotes"
        ))),
    }
}

impl Filter {
    /// Whether this is one of what is looked for.
    pub(super) fn takes(&self, path: &Path, name: &OsStr, meta: &Metadata) -> Result<bool, String> {
        let kind = match self.kind.as_str() {
            "directory" => meta.is_dir(),
            "file" => meta.is_file(),
            "link" => meta.is_symlink(),
            _ => true,
        };
        // The size of what isn't a file means nothing.
        Ok(kind
            && self.fits_name(name)?
            && self.fits_age(meta)
            && (!meta.is_file() || self.fits_size(meta))
            && self.fits_mode(meta)
            && (self.kind != "file" || self.fits_content(path)?))
    }

    fn fits_name(&self, name: &OsStr) -> Result<bool, String> {
        let name = name.to_string_lossy();
        Ok(any(&self.patterns, &name)? && !any(&self.excludes, &name)?)
    }

    fn fits_age(&self, meta: &Metadata) -> bool {
        let (seconds, nanos) = match self.stamp.as_str() {
            "atime" => (meta.atime(), meta.atime_nsec()),
            "ctime" => (meta.ctime(), meta.ctime_nsec()),
            _ => (meta.mtime(), meta.mtime_nsec()),
        };
        let age = self.now - (seconds as f64 + nanos as f64 / 1e9);
        match self.age {
            None => true,
            Some(limit) if limit >= 0 => age >= limit as f64,
            Some(limit) => age <= -(limit as f64),
        }
    }

    fn fits_size(&self, meta: &Metadata) -> bool {
        match self.size {
            None => true,
            Some(limit) if limit >= 0 => meta.size() >= limit.unsigned_abs(),
            Some(limit) => meta.size() <= limit.unsigned_abs(),
        }
    }

    fn fits_mode(&self, meta: &Metadata) -> bool {
        let now = meta.mode() & 0o7777;
        match self.mode {
            None => true,
            Some(wanted) if self.exact_mode => now == wanted,
            Some(wanted) => now & wanted != 0,
        }
    }

    fn fits_content(&self, path: &Path) -> Result<bool, String> {
        let Some(regex) = &self.contains else {
            return Ok(true);
        };
        // What can't be read holds nothing.
        let Ok(bytes) = fs::read(path) else {
            return Ok(false);
        };
        let text = self.encoding.decode(&bytes).map_err(|_| {
            format!(
                "Failed to read the file {} due to an encoding error. current encoding: {}",
                path.display(),
                self.encoding.name()
            )
        })?;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if self.whole {
            return regex.is_in(&text);
        }
        for line in text.split_inclusive('\n') {
            if regex.starts(line)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn any(patterns: &[Pattern], name: &str) -> Result<bool, String> {
    for pattern in patterns {
        let fits = match pattern {
            Pattern::Glob(glob) => globs::fnmatch(glob, name),
            Pattern::Regex(regex) => regex.starts(name)?,
        };
        if fits {
            return Ok(true);
        }
    }
    Ok(false)
}
