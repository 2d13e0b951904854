//! Lookups of files and commands on the controller.

use super::words;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::filters;
use crate::content::template::syntax::{self, Options};
use crate::content::template::{TemplateError, about};
use crate::content::value::{Text, Value};
use indexmap::IndexMap;
use std::path::PathBuf;

/// The text of files, without white space at the end.
pub(super) fn file(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let rstrip = args.take_flag("rstrip", true);
    let lstrip = args.take_flag("lstrip", false);
    let mut found = Vec::new();
    for name in words(args)? {
        let text = read_text(interp, &name)?;
        let text = if rstrip { text.trim_end() } else { &text };
        let text = if lstrip { text.trim_start() } else { text };
        found.push(Value::untrusted(text));
    }
    Ok(found)
}

fn locate(interp: &Interp, kind: &str, name: &str) -> Outcome<PathBuf> {
    let settings = interp.templar.settings();
    settings.find(kind, name).ok_or_else(|| {
        let dirs: Vec<String> = settings
            .search
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        TemplateError::new(format!("could not locate file in lookup: {name}")).hint(format!(
            "Searched in {kind}/ of, and in: {}.",
            dirs.join(", ")
        ))
    })
}

/// The text of a file of the task, decrypted when it is a vault.
pub(super) fn read_text(interp: &Interp, name: &str) -> Outcome<String> {
    read_text_in(interp, name, "utf-8")
}

/// The same of a file in an encoding, by Python's name for it.
pub(super) fn read_text_in(interp: &Interp, name: &str, encoding: &str) -> Outcome<String> {
    let encoding = host::encoding::Encoding::named(encoding)
        .map_err(|failure| TemplateError::new(failure.message))?;
    let path = locate(interp, "files", name)?;
    let bytes = interp.templar.settings().vault.read(&path);
    let bytes = bytes
        .map_err(|error| TemplateError::new(format!("{} can't be read: {error}", path.display())))?
        .map_err(|fault| TemplateError::new(format!("{}: {}", path.display(), fault.message)))?;
    encoding
        .decode(&bytes)
        .map_err(|wrong| TemplateError::new(format!("{}: {wrong}", path.display())))
}

/// The text of files that may be encrypted, as it is.
pub(super) fn unvault(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for name in words(args)? {
        found.push(Value::untrusted(read_text(interp, &name)?));
    }
    Ok(found)
}

/// How Jinja2 reads a template, as the lookup `template` may be told.
const OPTIONS: [&str; 8] = [
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "block_start_string",
    "block_end_string",
    "trim_blocks",
    "lstrip_blocks",
];

/// Other templates, rendered with the same variables.
pub(super) fn template(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let convert = args.take_flag("convert_data", true);
    let vars = args
        .take("template_vars")
        .and_then(|vars| vars.entries())
        .unwrap_or_default();
    let native = args.take_flag("jinja2_native", false);
    // In native mode what a file gives is text that stays so, unless it is asked for natively.
    let stays_text = interp.templar.settings().native && !native;
    let mut options = Options::file();
    for name in OPTIONS {
        if let Some(value) = args.take(name) {
            options.set(name, &value.to_text())?;
        }
    }
    let given: IndexMap<String, Value> = vars
        .into_iter()
        .map(|(name, value)| (name.0.to_text(), value))
        .collect();
    let managed = interp.templar.settings().managed();
    let mut found = Vec::new();
    for name in words(args)? {
        let path = locate(interp, "templates", &name)?;
        let text = std::fs::read_to_string(&path).map_err(|error| {
            TemplateError::new(format!("{} can't be read: {error}", path.display()))
        })?;
        let mut vars = about(&name, &path, None, managed.as_deref());
        vars.extend(given.clone());
        let in_file = |mut error: TemplateError| {
            let at = error
                .span
                .take()
                .map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
            error.message = format!("{}{at}: {}", path.display(), error.message);
            error
        };
        let mut options = options.clone();
        let body = options.header(&text).map_err(in_file)?;
        let parsed = syntax::template(body, &options).map_err(in_file)?;
        let value = interp
            .other(&vars, &parsed, body, convert)
            .map_err(in_file)?;
        found.push(if stays_text {
            let mut text = Text::new(value.to_text(), !value.holds_untrusted());
            text.stays_text = true;
            Value::Str(text)
        } else {
            value
        });
    }
    Ok(found)
}

/// Files that fit a pattern, in the first directory of the search path that has any.
pub(super) fn fileglob(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let settings = interp.templar.settings();
    let mut found = Vec::new();
    for pattern in words(args)? {
        let path = settings.expand_home(&pattern);
        let dirs: Vec<PathBuf> = if path.is_absolute() {
            vec![PathBuf::new()]
        } else {
            let dirs = settings.search.iter().chain([&settings.playbook_dir]);
            dirs.flat_map(|dir| [dir.join("files"), dir.clone()])
                .collect()
        };
        for dir in dirs {
            let files = filters::files(&dir.join(&path).to_string_lossy())?;
            if !files.is_empty() {
                found.extend(files.into_iter().map(Value::from));
                break;
            }
        }
    }
    Ok(found)
}

/// The first of several files that exists: names, or `{files: […], paths: […], skip: true}`.
/// The argument that says where `first_found` looks; only a loop gives it.
pub(in super::super) const FOLDER: &str = "_subdir";

pub(super) fn first_found(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut skip = args.take_flag("skip", false);
    let files = args.take("files");
    let paths = args.take("paths");
    let folder = args
        .take(FOLDER)
        .map_or_else(|| "files".to_owned(), |folder| folder.to_text());
    let mut names = candidates(files.as_ref(), paths.as_ref())?;
    let mut terms = Vec::new();
    for term in &args.positional {
        match term {
            Value::List(_) | Value::Tuple(_) => terms.extend(term.iterate()?),
            other => terms.push(other.clone()),
        }
    }
    for term in terms {
        if term.is_mapping() {
            skip |= term.get("skip").is_some_and(|skip| skip.truthy());
            names.extend(candidates(
                term.get("files").as_ref(),
                term.get("paths").as_ref(),
            )?);
        } else if !term.is_undefined() {
            names.extend(candidates(Some(&Value::list(vec![term])), paths.as_ref())?);
        }
    }
    let settings = interp.templar.settings();
    for name in &names {
        if let Some(path) = settings.find(&folder, name) {
            return Ok(vec![Value::from(path.to_string_lossy().into_owned())]);
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    Err(
        TemplateError::new("No file was found when using first_found.")
            .hint(format!("Looked for: {}.", names.join(", ")))
            .hint("With `skip: true` nothing found is no error."),
    )
}

/// Names of one term: each file in each path; text may hold several with commas, semicolons or colons between.
fn candidates(files: Option<&Value>, paths: Option<&Value>) -> Outcome<Vec<String>> {
    let names = |value: Option<&Value>, separators: &[char]| -> Outcome<Vec<String>> {
        let items = match value {
            None | Some(Value::None) => Vec::new(),
            Some(Value::Str(text)) => vec![Value::Str(text.clone())],
            Some(other) => other.iterate()?,
        };
        let mut found = Vec::new();
        for item in items.iter().filter(|item| !item.is_undefined()) {
            let text = text_of(item)?;
            found.extend(
                text.split(separators)
                    .map(str::to_owned)
                    .filter(|name| !name.is_empty()),
            );
        }
        Ok(found)
    };
    let files = names(files, &[',', ';'])?;
    let paths = names(paths, &[',', ';', ':'])?;
    if paths.is_empty() {
        return Ok(files);
    }
    let in_each = |path: &String| -> Vec<String> {
        files
            .iter()
            .map(|file| format!("{}/{file}", path.trim_end_matches('/')))
            .collect()
    };
    if files.is_empty() {
        return Ok(paths);
    }
    Ok(paths.iter().flat_map(in_each).collect())
}

/// What a command on the controller prints, without white space at the end.
pub(super) fn pipe(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    interp.trail.changing = true;
    let mut found = Vec::new();
    for command in words(args)? {
        let text = output(interp, &command)?;
        found.push(Value::untrusted(text.trim_end()));
    }
    Ok(found)
}

/// The same, by lines.
pub(super) fn lines(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    interp.trail.changing = true;
    let mut found = Vec::new();
    for command in words(args)? {
        let text = output(interp, &command)?;
        found.extend(text.lines().map(Value::untrusted));
    }
    Ok(found)
}

fn output(interp: &Interp, command: &str) -> Outcome<String> {
    match &interp.templar.settings().command {
        Some(run) => {
            run(command, &interp.templar.settings().playbook_dir).map_err(TemplateError::new)
        }
        None => Err(
            TemplateError::new("commands of the controller can't be run here")
                .hint("Use a task with `delegate_to: localhost` and `register`."),
        ),
    }
}
