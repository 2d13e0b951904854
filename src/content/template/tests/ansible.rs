//! Tests of Ansible: results of tasks, versions, patterns, sets, files of the controller.

use super::{Comparison, Test, both, holds, in_list, one, truths, version};
use crate::content::template::TemplateError;
use crate::content::template::eval::Outcome;
use crate::content::template::eval::args::{Args, flag, required, text_of, truth};
use crate::content::template::filters::{Flags, Pattern, is_address};
use crate::content::value::{Mistake, Value};
use std::path::Path;

pub(super) const TESTS: &[Test] = &[
    ("failed", |_, value, args| {
        args.none("failed").and_then(|()| result(value, "failed"))
    }),
    ("success", |_, value, args| {
        args.none("success")
            .and_then(|()| result(value, "failed"))
            .map(|failed| !failed)
    }),
    ("skipped", |_, value, args| {
        args.none("skipped").and_then(|()| result(value, "skipped"))
    }),
    ("changed", |_, value, args| {
        args.none("changed").and_then(|()| changed(value))
    }),
    ("unreachable", |_, value, args| {
        args.none("unreachable")
            .and_then(|()| result(value, "unreachable"))
    }),
    ("reachable", |_, value, args| {
        args.none("reachable")
            .and_then(|()| result(value, "unreachable"))
            .map(|lost| !lost)
    }),
    ("timedout", |_, value, args| {
        args.none("timedout")
            .and_then(|()| result(value, "timedout"))
    }),
    ("started", |_, value, args| {
        args.none("started")
            .and_then(|()| counted(value, "started"))
    }),
    ("finished", |_, value, args| {
        args.none("finished")
            .and_then(|()| counted(value, "finished"))
    }),
    ("match", |_, value, args| pattern("match", value, args)),
    ("search", |_, value, args| pattern("search", value, args)),
    ("regex", |_, value, args| pattern("regex", value, args)),
    ("version", |_, value, args| version::test(value, args)),
    ("subset", |_, value, args| {
        both("subset", value, args).map(|(own, other)| own.iter().all(|item| in_list(&other, item)))
    }),
    ("superset", |_, value, args| {
        both("superset", value, args)
            .map(|(own, other)| other.iter().all(|item| in_list(&own, item)))
    }),
    ("contains", |_, value, args| {
        let item = one("contains", args)?;
        Ok(holds(Comparison::In, &item, value)?)
    }),
    ("any", |_, value, args| {
        args.none("any")
            .and_then(|()| truths(value))
            .map(|all| all.contains(&true))
    }),
    ("all", |_, value, args| {
        args.none("all")
            .and_then(|()| truths(value))
            .map(|all| !all.contains(&false))
    }),
    ("truthy", |_, value, args| {
        convertible("truthy", value, args, true)
    }),
    ("falsy", |_, value, args| {
        convertible("falsy", value, args, false)
    }),
    ("nan", |_, value, args| {
        args.none("nan")?;
        text_of(value)?;
        Ok(matches!(value, Value::Float(float) if float.is_nan()))
    }),
    ("vault_encrypted", |_, value, args| {
        let sealed = matches!(value, Value::Str(text) if text.from_vault);
        args.none("vault_encrypted").map(|()| sealed)
    }),
    ("abs", |_, value, args| {
        path("abs", value, args, Path::is_absolute)
    }),
    ("exists", |_, value, args| {
        path("exists", value, args, Path::exists)
    }),
    ("file", |_, value, args| {
        path("file", value, args, Path::is_file)
    }),
    ("directory", |_, value, args| {
        path("directory", value, args, Path::is_dir)
    }),
    ("link", |_, value, args| {
        path("link", value, args, Path::is_symlink)
    }),
    ("mount", |_, value, args| {
        path("mount", value, args, is_mount)
    }),
    ("vaulted_file", |_, value, args| {
        path("vaulted_file", value, args, is_vaulted)
    }),
    ("same_file", same_file),
    ("uri", |_, value, args| scheme("uri", value, args, false)),
    ("url", |_, value, args| scheme("url", value, args, true)),
    ("urn", |_, value, args| {
        args.none("urn")
            .map(|()| value.to_text().to_lowercase().starts_with("urn:"))
    }),
    ("ip", |_, value, args| address("ip", value, args, None)),
    ("ipv4", |_, value, args| {
        address("ipv4", value, args, Some(false))
    }),
    ("ipv6", |_, value, args| {
        address("ipv6", value, args, Some(true))
    }),
];

/// A field of a task's result.
fn field(value: &Value, name: &str) -> Outcome<Option<Value>> {
    if let Value::Undefined(missing) = value {
        return Err(Mistake::undefined(missing).into());
    }
    if !value.is_mapping() {
        return Err(TemplateError::new(format!(
            "the '{name}' test expects a dictionary: the result of a task, not {}",
            value.type_name()
        ))
        .hint("Give it the variable that `register` set."));
    }
    Ok(value.get(name))
}

fn result(value: &Value, name: &str) -> Outcome<bool> {
    Ok(field(value, name)?.is_some_and(|found| found.truthy()))
}

/// A number in the result of a task in the background; a result without it is done.
fn counted(value: &Value, name: &str) -> Outcome<bool> {
    Ok(field(value, name)?.is_none_or(|found| found.truthy()))
}

/// The result of a loop has changed when one of its items has.
fn changed(value: &Value) -> Outcome<bool> {
    if let Some(found) = field(value, "changed")? {
        return Ok(found.truthy());
    }
    let items = match value.get("results") {
        Some(items @ Value::List(_)) => items.iterate()?,
        _ => return Ok(false),
    };
    Ok(items
        .iter()
        .any(|item| item.get("changed").is_some_and(|changed| changed.truthy())))
}

fn pattern(name: &str, value: &Value, args: Args) -> Outcome<bool> {
    let [pattern, ignore_case, multi_line, kind] = if name == "regex" {
        args.bind(name, ["pattern", "ignorecase", "multiline", "match_type"])?
    } else {
        let [pattern, ignore_case, multi_line] =
            args.bind(name, ["pattern", "ignorecase", "multiline"])?;
        [pattern, ignore_case, multi_line, Some(name.into())]
    };
    let flags = Flags {
        ignore_case: flag(ignore_case.as_ref(), false)?,
        multi_line: flag(multi_line.as_ref(), false)?,
    };
    let pattern = match pattern {
        Some(pattern) => text_of(&pattern)?,
        None => String::new(),
    };
    let pattern = Pattern::new(&pattern, flags)?;
    let text = text_of(value)?;
    match kind.as_ref().and_then(Value::as_str) {
        Some("match") => pattern.is_at_start(&text),
        Some("fullmatch") => Err(TemplateError::new("match_type fullmatch isn't supported")
            .hint("End the pattern with `$`.")),
        _ => pattern.is_found(&text),
    }
}

/// With `convert_bool`, text as `yes` and `off` counts for what it says.
fn convertible(name: &str, value: &Value, args: Args, wanted: bool) -> Outcome<bool> {
    let [convert] = args.bind(name, ["convert_bool"])?;
    let holds = truth(value)?;
    if !flag(convert.as_ref(), false)? {
        return Ok(holds == wanted);
    }
    let said = match value {
        Value::Str(text) => match text.text.to_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "t" | "y" => true,
            "no" | "off" | "0" | "false" | "f" | "n" => false,
            _ => holds,
        },
        _ => holds,
    };
    Ok(said == wanted)
}

fn path(name: &str, value: &Value, args: Args, is: fn(&Path) -> bool) -> Outcome<bool> {
    args.none(name)?;
    match value {
        Value::Str(text) => Ok(is(Path::new(&*text.text))),
        Value::Undefined(missing) => Err(Mistake::undefined(missing).into()),
        other => Err(TemplateError::new(format!(
            "the '{name}' test expects a path, not {}",
            other.type_name()
        ))),
    }
}

/// True for a file that ansible-vault encrypted.
fn is_vaulted(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| crate::content::vault::is_encrypted(&bytes))
}

fn is_mount(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(own), Ok(parent)) = (path.symlink_metadata(), path.join("..").symlink_metadata())
    else {
        return false;
    };
    own.dev() != parent.dev() || own.ino() == parent.ino()
}

fn same_file(
    _: &mut crate::content::template::eval::Interp,
    value: &Value,
    args: Args,
) -> Outcome<bool> {
    use std::os::unix::fs::MetadataExt;
    let [other] = args.bind("same_file", ["other"])?;
    let other = text_of(&required("same_file", "other", other)?)?;
    let own = text_of(value)?;
    let identity = |path: &str| {
        std::fs::metadata(path)
            .map(|found| (found.dev(), found.ino()))
            .map_err(|error| TemplateError::new(format!("{path}: {error}")))
    };
    Ok(identity(&own)? == identity(&other)?)
}

/// What Python's `urlparse` takes for a scheme, and for the host behind `//`.
fn url_parts(text: &str) -> (String, &str) {
    let text = text.trim_start_matches(|c: char| c <= ' ');
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_lowercase(), rest),
        _ => (String::new(), text),
    };
    let host = rest.strip_prefix("//").unwrap_or("");
    (scheme, host.split(['/', '?', '#']).next().unwrap_or(""))
}

/// Every text is a URI; a URL has a host or is about a file.
fn scheme(name: &str, value: &Value, args: Args, with_host: bool) -> Outcome<bool> {
    let [schemes] = args.bind(name, ["schemes"])?;
    let schemes: Vec<String> = match schemes {
        Some(schemes) => schemes.iterate()?.iter().map(Value::to_text).collect(),
        None => Vec::new(),
    };
    let text = match value {
        Value::Str(text) => &*text.text,
        other if !other.is_undefined() && !other.truthy() => "",
        _ => return Ok(false),
    };
    let (scheme, host) = url_parts(text);
    let known = schemes.is_empty() || schemes.contains(&scheme);
    Ok(known && (!with_host || !host.is_empty() || scheme == "file"))
}

fn address(name: &str, value: &Value, args: Args, v6: Option<bool>) -> Outcome<bool> {
    args.none(name)?;
    Ok(is_address(&text_of(value)?, v6))
}
