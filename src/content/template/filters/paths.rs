//! Filters of paths on the controller.

use super::text::{like, only_text};
use super::{Filter, filter};
use crate::content::path::{normalize, real};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use std::path::Path;

pub(super) const FILTERS: &[Filter] = &[
    filter("basename", basename, ("'/a/b.c' | basename", "'b.c'")),
    filter("dirname", dirname, ("'/a/b.c' | dirname", "'/a'")),
    filter(
        "splitext",
        splitext,
        ("'/a/b.tar.gz' | splitext", "('/a/b.tar', '.gz')"),
    ),
    filter("normpath", normpath, ("'/a/./b/../c' | normpath", "'/a/c'")),
    filter("realpath", realpath, ("'/proc/../' | realpath", "'/'")),
    filter("relpath", relpath, ("'/a/b' | relpath('/a/c')", "'../b'")),
    filter("expanduser", expanduser, ("'/a' | expanduser", "'/a'")),
    filter(
        "expandvars",
        expandvars,
        ("'a$NOT_SET_ANYWHERE' | expandvars", "'a$NOT_SET_ANYWHERE'"),
    ),
    filter(
        "path_join",
        path_join,
        ("['/a', 'b', 'c'] | path_join", "'/a/b/c'"),
    ),
    filter(
        "commonpath",
        commonpath,
        ("['/a/b/c', '/a/b/d'] | commonpath", "'/a/b'"),
    ),
    filter("fileglob", fileglob, ("'/nowhere/*.x' | fileglob", "[]")),
];

fn basename(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("basename")?;
    let path = only_text("a path", value)?;
    Ok(like(value, path.rsplit('/').next().unwrap_or("")))
}

fn dirname(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("dirname")?;
    let path = only_text("a path", value)?;
    let head = path.rfind('/').map_or("", |at| &path[..=at]);
    let trimmed = head.trim_end_matches('/');
    Ok(like(value, if trimmed.is_empty() { head } else { trimmed }))
}

fn splitext(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("splitext")?;
    let path = only_text("a path", value)?;
    let name = path.rfind('/').map_or(0, |at| at + 1);
    let begin = name + path[name..].len() - path[name..].trim_start_matches('.').len();
    let at = path[begin..].rfind('.').map_or(path.len(), |at| begin + at);
    Ok(Value::tuple(vec![
        like(value, &path[..at]),
        like(value, &path[at..]),
    ]))
}

fn normpath(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("normpath")?;
    Ok(like(value, normalize(&text_of(value)?)))
}

/// An absolute path, from the directory of the command when it is relative.
fn absolute(path: &str) -> String {
    let path = Path::new(path);
    match std::path::absolute(path) {
        Ok(absolute) => normalize(&absolute.to_string_lossy()),
        Err(_) => normalize(&path.to_string_lossy()),
    }
}

fn realpath(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("realpath")?;
    let path = real(Path::new(&text_of(value)?));
    Ok(like(value, path.to_string_lossy()))
}

fn relpath(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [start] = args.bind("relpath", ["start"])?;
    let start = match start {
        Some(start) => text_of(&start)?,
        None => ".".to_owned(),
    };
    let (path, start) = (absolute(&text_of(value)?), absolute(&start));
    let split = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (path, start) = (split(&path), split(&start));
    let common = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let mut parts = vec!["..".to_owned(); start.len() - common];
    parts.extend_from_slice(&path[common..]);
    let joined = parts.join("/");
    Ok(like(
        value,
        if joined.is_empty() {
            ".".to_owned()
        } else {
            joined
        },
    ))
}

fn expanduser(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("expanduser")?;
    let settings = interp.templar.settings();
    let path = settings.expand_home(&text_of(value)?);
    Ok(like(value, path.to_string_lossy()))
}

fn expandvars(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("expandvars")?;
    let environment = &interp.templar.settings().environment;
    let text = text_of(value)?;
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, len) = match after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        {
            Some((name, _)) => (name, name.len() + 3),
            None => {
                let end = after.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                let name = &after[..end.unwrap_or(after.len())];
                (name, name.len() + 1)
            }
        };
        let whole = &rest[at..at + len.min(rest.len() - at)];
        out.push_str(environment.get(name).map_or(whole, String::as_str));
        rest = &rest[at + whole.len()..];
    }
    out.push_str(rest);
    Ok(like(value, out))
}

fn path_join(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("path_join")?;
    let parts = match value {
        Value::Str(_) => vec![value.clone()],
        other => other.iterate()?,
    };
    let mut out = String::new();
    for part in &parts {
        let part = text_of(part)?;
        if part.starts_with('/') || out.is_empty() {
            out = part;
        } else {
            if !out.ends_with('/') {
                out.push('/');
            }
            out.push_str(&part);
        }
    }
    Ok(like(value, out))
}

fn commonpath(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("commonpath")?;
    let mut common: Option<Vec<String>> = None;
    let mut absolute = false;
    for path in value.iterate()? {
        let path = text_of(&path)?;
        absolute = path.starts_with('/');
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect();
        common = Some(match common {
            None => parts,
            Some(known) => {
                let len = known.iter().zip(&parts).take_while(|(a, b)| a == b).count();
                known[..len].to_vec()
            }
        });
    }
    let Some(common) = common else {
        return Err(TemplateError::new("commonpath() arg is an empty sequence"));
    };
    let root = if absolute { "/" } else { "" };
    Ok(like(value, format!("{root}{}", common.join("/"))))
}

/// Files on the controller that fit a pattern.
fn fileglob(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("fileglob")?;
    let found = files(&text_of(value)?)?;
    Ok(Value::list(
        found.into_iter().map(|path| like(value, path)).collect(),
    ))
}

/// Regular files that fit a pattern, sorted.
pub fn files(pattern: &str) -> Outcome<Vec<String>> {
    let paths = glob::glob(pattern)
        .map_err(|error| TemplateError::new(format!("'{pattern}' isn't a pattern: {error}")))?;
    let files = paths.filter_map(Result::ok).filter(|path| path.is_file());
    Ok(files
        .map(|path| path.to_string_lossy().into_owned())
        .collect())
}
