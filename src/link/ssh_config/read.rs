//! Reading files: Host, Match and Include.

use super::Options;
use super::words::split_line;
use crate::link::pattern;
use std::path::{Path, PathBuf};

/// As OpenSSH.
const MAX_DEPTH: usize = 16;

/// Whom the files are asked about.
#[derive(Debug, Clone)]
pub(in crate::link) struct Query<'a> {
    /// The name as somebody wrote it.
    pub original: &'a str,
    pub local_user: &'a str,
    pub home: &'a Path,
}

struct Reader<'a> {
    query: &'a Query<'a>,
    options: &'a mut Options,
    /// Where relative includes are looked up.
    folder: &'a Path,
}

/// Adds what a file says to `options`. A missing file says nothing, unless it is `required`. Errors name file and line.
pub(in crate::link) fn read(
    file: &Path,
    required: bool,
    folder: &Path,
    query: &Query<'_>,
    options: &mut Options,
) -> Result<(), String> {
    Reader {
        query,
        options,
        folder,
    }
    .file(file, required, 0)
}

impl Reader<'_> {
    fn file(&mut self, file: &Path, required: bool, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "{}: includes are nested more than {MAX_DEPTH} deep",
                file.display()
            ));
        }
        let text = match std::fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
                return Ok(());
            }
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        let mut active = true;
        for (index, line) in text.lines().enumerate() {
            self.line(line, &mut active, depth)
                .map_err(|message| at(file, index + 1, &message))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, active: &mut bool, depth: usize) -> Result<(), String> {
        let Some((keyword, args)) = split_line(line)? else {
            return Ok(());
        };
        match keyword.as_str() {
            "host" => {
                *active =
                    pattern::list_matches(args.iter().map(String::as_str), self.query.original);
            }
            "match" => *active = self.matches(&args)?,
            _ if !*active => {}
            "include" => {
                for pattern in &args {
                    self.include(pattern, depth)?;
                }
            }
            _ => self.options.set(&keyword, args),
        }
        Ok(())
    }

    fn include(&mut self, pattern: &str, depth: usize) -> Result<(), String> {
        let path = match pattern.strip_prefix("~/") {
            Some(rest) => self.query.home.join(rest),
            None => self.folder.join(pattern),
        };
        let found = glob::glob(&path.to_string_lossy())
            .map_err(|error| format!("Include {pattern}: {error}"))?;
        let mut files: Vec<PathBuf> = found.filter_map(Result::ok).collect();
        files.sort();
        for file in files {
            self.file(&file, false, depth + 1)?;
        }
        Ok(())
    }

    fn matches(&mut self, args: &[String]) -> Result<bool, String> {
        let mut args = args.iter().flat_map(|arg| split_assignment(arg));
        let mut result = true;
        let mut any = false;
        while let Some(criterion) = args.next() {
            any = true;
            let (negated, name) = match criterion.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, criterion),
            };
            let name = name.to_ascii_lowercase();
            if name == "all" {
                result &= !negated;
                continue;
            }
            if matches!(name.as_str(), "canonical" | "final") {
                result &= self.beyond_us(&name, result);
                continue;
            }
            let value = args
                .next()
                .ok_or_else(|| format!("Match {criterion} has no value"))?;
            result &= self.criterion(&name, value, result)? != negated;
        }
        if any {
            Ok(result)
        } else {
            Err("Match has no criterion".to_owned())
        }
    }

    fn criterion(&mut self, name: &str, value: &str, still: bool) -> Result<bool, String> {
        let host = self.options.one("hostname").unwrap_or(self.query.original);
        let user = self.options.one("user").unwrap_or(self.query.local_user);
        let text = match name {
            "host" => host,
            "originalhost" => self.query.original,
            "user" => user,
            "localuser" => self.query.local_user,
            "exec" | "localnetwork" | "tagged" | "command" | "version" | "sessiontype" => {
                return Ok(self.beyond_us(name, still));
            }
            _ => return Err(format!("Match doesn't know {name}")),
        };
        Ok(pattern::list_matches(value.split(','), text))
    }

    /// Only the ssh program can tell whether this matches; it has to, if everything before did.
    fn beyond_us(&mut self, name: &str, still: bool) -> bool {
        if still {
            self.options.unhonoured.push(format!("Match {name}"));
        }
        false
    }
}

fn split_assignment(arg: &str) -> Vec<&str> {
    match arg.split_once('=') {
        Some((name, value))
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '!') =>
        {
            vec![name, value]
        }
        _ => vec![arg],
    }
}

/// Puts file and line before a message that has none yet.
fn at(file: &Path, line: usize, message: &str) -> String {
    format!("{}:{line}: {message}", file.display())
}
