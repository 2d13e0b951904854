//! `find`: the files below directories that fit patterns, age, size, mode and content.

mod filter;
#[cfg(test)]
mod tests;
mod walk;

use crate::encoding::Encoding;
use crate::regex::{Flags, Regex};
use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec, files};
use filter::Filter;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use walk::Walk;

#[derive(Deserialize)]
pub struct Find {
    paths: Vec<String>,
    patterns: Vec<String>,
    excludes: Option<Vec<String>>,
    contains: Option<String>,
    read_whole_file: bool,
    file_type: String,
    age: Option<String>,
    age_stamp: String,
    size: Option<String>,
    recurse: bool,
    hidden: bool,
    follow: bool,
    get_checksum: bool,
    use_regex: bool,
    depth: Option<u64>,
    mode: Option<Value>,
    exact_mode: bool,
    encoding: Option<String>,
    limit: Option<i64>,
}

const ARGS: &[Arg] = &[
    Arg::new("paths", Kind::List, "Directories to look in.")
        .aliases(&["name", "path"])
        .of(Kind::Path)
        .required(),
    Arg::new(
        "patterns",
        Kind::List,
        "Patterns of file names, one of which must fit (* with none).",
    )
    .aliases(&["pattern"])
    .default(""),
    Arg::new("excludes", Kind::List, "Patterns of which none may fit.").aliases(&["exclude"]),
    Arg::new(
        "contains",
        Kind::Str,
        "Expression (Python's) that must fit at the start of a line; only files have it.",
    ),
    Arg::new(
        "read_whole_file",
        Kind::Bool,
        "contains may fit anywhere, over the ends of lines.",
    )
    .default("no"),
    Arg::new("file_type", Kind::Str, "What to find.")
        .choices(&["any", "directory", "file", "link"])
        .default("file"),
    Arg::new(
        "age",
        Kind::Str,
        "Older than this (10, 5m, 2h, 3d, 1w); younger where it is negative.",
    ),
    Arg::new("age_stamp", Kind::Str, "The time that age means.")
        .choices(&["atime", "ctime", "mtime"])
        .default("mtime"),
    Arg::new(
        "size",
        Kind::Str,
        "Not smaller than this (10, 5k, 2m, 1g, 1t); not larger where it is negative.",
    ),
    Arg::new("recurse", Kind::Bool, "Also in directories below.").default("no"),
    Arg::new("hidden", Kind::Bool, "Also names that begin with a dot.").default("no"),
    Arg::new("follow", Kind::Bool, "Go into directories through links.").default("no"),
    Arg::new("get_checksum", Kind::Bool, "With the SHA-1 of files.").default("no"),
    Arg::new(
        "use_regex",
        Kind::Bool,
        "Patterns are expressions (Python's), to fit at the start of the name.",
    )
    .default("no"),
    Arg::new(
        "depth",
        Kind::Int,
        "How many levels to go down; 1 is no further.",
    ),
    Arg::new(
        "mode",
        Kind::Raw,
        "Only what has this mode, octal or symbolic, as text.",
    ),
    Arg::new(
        "exact_mode",
        Kind::Bool,
        "The mode must be just this; otherwise one bit of it is enough.",
    )
    .default("yes"),
    Arg::new(
        "encoding",
        Kind::Str,
        "Encoding of files, for contains (utf-8 if not said).",
    ),
    Arg::new("limit", Kind::Int, "Stop after so many."),
];

impl Module for Find {
    const SPEC: Spec = Spec::new("find", "Finds files, directories and links.", ARGS).returns(&[
        Return::new("files", "What was found, each as stat tells it."),
        Return::new("matched, examined", "How many were found, and looked at."),
        Return::new("skipped_paths", "Directories that can't be read, and why."),
    ]);

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        if let Some(limit) = self.limit.filter(|limit| *limit <= 0) {
            let text = format!("limit cannot be {limit} (use None for unlimited)");
            return Err(Failure::new(text));
        }
        let filter = self.filter()?;
        let mut search = Search {
            cx,
            find: &self,
            filter,
            files: Vec::new(),
            skipped: Map::new(),
            examined: 0,
            warned: false,
        };
        let mut limited = false;
        for path in &self.paths {
            let path = cx.expand(path);
            match search.below(&path) {
                Ok(all) => limited |= !all,
                Err(problem) => search.skip(&path, &problem),
            }
            cx.check_cancelled()?;
        }
        let message = match (search.warned, limited) {
            (true, _) => "Not all paths examined, check warnings for details",
            (_, true) => "Limit of matches reached",
            _ => "All paths examined",
        };
        Ok(Outcome::ok()
            .with("matched", search.files.len())
            .with("files", search.files)
            .with("examined", search.examined)
            .with("skipped_paths", search.skipped)
            .msg(message))
    }
}

impl Find {
    fn filter(&self) -> Result<Filter, Failure> {
        let patterns = |texts: &[String]| filter::patterns(texts, self.use_regex);
        let all = [if self.use_regex { ".*" } else { "*" }.to_owned()];
        let given: Vec<_> = self
            .patterns
            .iter()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect();
        let age = filter::measure("age", self.age.as_deref(), filter::SECONDS)?;
        let size = filter::measure("size", self.size.as_deref(), filter::BYTES)?;
        let contains = self
            .contains
            .as_deref()
            .map(|text| {
                Regex::text(text, Flags::default()).map_err(|error| {
                    Failure::new(format!(
                        "contains is no regular expression: {error}: {text}"
                    ))
                })
            })
            .transpose()?;
        Ok(Filter {
            kind: self.file_type.clone(),
            patterns: patterns(if given.is_empty() { &all } else { &given })?,
            excludes: patterns(self.excludes.as_deref().unwrap_or_default())?,
            age,
            stamp: self.age_stamp.clone(),
            size,
            mode: filter::mode(self.mode.as_ref())?,
            exact_mode: self.exact_mode,
            contains,
            whole: self.read_whole_file,
            encoding: Encoding::named(self.encoding.as_deref().unwrap_or("utf-8"))?,
            now: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
        })
    }
}

/// What was found until now.
struct Search<'a> {
    cx: &'a Context,
    find: &'a Find,
    filter: Filter,
    files: Vec<Value>,
    skipped: Map<String, Value>,
    examined: u64,
    warned: bool,
}

impl Search<'_> {
    /// Looks through one directory of `paths`. `false` when the limit was reached.
    fn below(&mut self, top: &Path) -> Result<bool, String> {
        if !top.is_dir() {
            return Err(format!("'{}' is not a directory", top.display()));
        }
        let mut walk = Walk::new(top, self.find);
        while let Some(entries) = walk.next_directory(&mut self.skipped)? {
            self.examined += entries.len() as u64;
            for entry in entries {
                if entry.too_deep || (entry.hidden && !self.find.hidden) {
                    continue;
                }
                let meta = match entry.path.symlink_metadata() {
                    Ok(meta) => meta,
                    Err(error) => {
                        self.warned = true;
                        self.cx.warn(format!(
                            "Skipped entry '{}' due to this access issue: {error}",
                            entry.path.display()
                        ));
                        let path = entry.path.to_string_lossy().into_owned();
                        self.skipped.insert(path, error.to_string().into());
                        continue;
                    }
                };
                if !self.filter.takes(&entry.path, &entry.name, &meta)? {
                    continue;
                }
                let mut found = crate::modules::stat::identity(&entry.path, &meta);
                if self.find.get_checksum && meta.is_file() {
                    let sum = files::sha1(&entry.path).map_err(|error| error.to_string())?;
                    found.insert("checksum".to_owned(), sum.into());
                }
                self.files.push(Value::Object(found));
                if self.find.limit == i64::try_from(self.files.len()).ok() {
                    return Ok(false);
                }
            }
            if !self.find.recurse {
                break;
            }
            if self.cx.cancelled() {
                return Err("cancelled".to_owned());
            }
        }
        Ok(true)
    }

    fn skip(&mut self, path: &Path, problem: &str) {
        self.warned = true;
        self.cx.warn(format!(
            "Skipped '{}' path due to this access issue: {problem}",
            path.display()
        ));
        let path = path.to_string_lossy().into_owned();
        self.skipped.insert(path, problem.into());
    }
}
