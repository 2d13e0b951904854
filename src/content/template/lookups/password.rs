//! The lookup `password`: made once, kept in a file of the controller.

use super::words;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use rand::seq::IndexedRandom;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a password is made of, as the term says after its path.
struct Wanted {
    path: PathBuf,
    length: usize,
    chars: Vec<char>,
}

fn alphabet(name: &str) -> String {
    let lower: String = ('a'..='z').collect();
    let upper: String = ('A'..='Z').collect();
    let digits: String = ('0'..='9').collect();
    let punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    match name {
        "ascii_lowercase" => lower,
        "ascii_uppercase" => upper,
        "ascii_letters" => lower + &upper,
        "digits" => digits,
        "hexdigits" => digits + "abcdefABCDEF",
        "octdigits" => "01234567".to_owned(),
        "punctuation" => punctuation.to_owned(),
        other => other.to_owned(),
    }
}

/// The characters of sets and letters with commas between; `,,` is a comma.
fn characters(spec: &[String]) -> Vec<char> {
    let mut chars: Vec<char> = spec
        .iter()
        .flat_map(|part| alphabet(part).chars().collect::<Vec<_>>())
        .collect();
    chars.sort_unstable();
    chars.dedup();
    chars.retain(|c| !matches!(c, '"' | '\''));
    chars
}

fn split_chars(spec: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let spec = if spec.contains(",,") {
        parts.push(",".to_owned());
        spec.replace(",,", ",")
    } else {
        spec.to_owned()
    };
    parts.extend(
        spec.split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned),
    );
    parts
}

fn wanted(term: &str, args: &Args) -> Outcome<Wanted> {
    let default = ["ascii_letters", "digits", ".,:-_"]
        .map(str::to_owned)
        .to_vec();
    let mut length = 20;
    let mut chars = default;
    let mut path = Vec::new();
    let mut set = |name: &str, value: &str| -> Outcome<bool> {
        match name {
            "length" => {
                length = value
                    .parse()
                    .ok()
                    .filter(|length| (1..=4096).contains(length))
                    .ok_or_else(|| {
                        TemplateError::new(format!("password: length can't be {value}"))
                    })?;
            }
            "chars" => chars = split_chars(value),
            "encrypt" if matches!(value, "" | "None" | "false" | "False" | "no") => {}
            "encrypt" | "ident" | "seed" => {
                return Err(TemplateError::new(format!(
                    "password: '{name}' isn't supported"
                )));
            }
            _ => return Ok(false),
        }
        Ok(true)
    };
    for word in term.split(' ') {
        let known = match word.split_once('=') {
            Some((name, value)) => set(name, value)?,
            None => false,
        };
        if !known {
            path.push(word);
        }
    }
    for (name, value) in &args.named {
        let value = match value {
            Value::List(_) | Value::Tuple(_) => {
                let parts: Vec<String> = value.iterate()?.iter().map(Value::to_text).collect();
                parts.join(",")
            }
            Value::None => String::new(),
            other => text_of(other)?,
        };
        if !set(name, &value)? {
            return Err(
                TemplateError::new(format!("password: unknown option '{name}'"))
                    .hint("Known: length, chars."),
            );
        }
    }
    Ok(Wanted {
        path: PathBuf::from(path.join(" ")),
        length,
        chars: characters(&chars),
    })
}

fn make(wanted: &Wanted) -> Outcome<String> {
    let mut random = rand::rng();
    let mut password = String::new();
    for _ in 0..wanted.length {
        let Some(c) = wanted.chars.choose(&mut random) else {
            return Err(TemplateError::new(
                "password: there are no characters to choose from",
            ));
        };
        password.push(*c);
    }
    Ok(password)
}

/// The password in the file; a new one when there is no file or nothing in it.
fn kept(wanted: &Wanted, path: &Path) -> Outcome<String> {
    let failed = |error: std::io::Error| {
        TemplateError::new(format!("password: {}: {error}", path.display()))
    };
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => {
            let line = text.trim_end_matches('\n');
            let password = line
                .split_once(" salt=")
                .map_or(line, |(password, _)| password);
            return Ok(password.to_owned());
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let password = make(wanted)?;
    // Beside the file and moved there, so that there is never half a password, and a second run that is at it at the
    // same time finds this one.
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mark: u64 = rand::random();
    let beside = dir.join(format!(".{name}.{mark:016x}"));
    let write = || -> std::io::Result<bool> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        writeln!(file, "{password}")?;
        file.sync_all()?;
        let linked = match std::fs::hard_link(&beside, path) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let empty = std::fs::metadata(path)?.len() == 0;
                if empty {
                    std::fs::rename(&beside, path)?;
                }
                empty
            }
            Err(error) => return Err(error),
        };
        std::fs::File::open(dir)?.sync_all()?;
        Ok(linked)
    };
    let written = write();
    if beside.exists() {
        std::fs::remove_file(&beside).map_err(failed)?;
    }
    if written.map_err(failed)? {
        return Ok(password);
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(text.trim_end_matches('\n').to_owned())
}

pub(super) fn password(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for term in words(args)? {
        let wanted = wanted(&term, args)?;
        if wanted.path == Path::new("/dev/null") {
            interp.trail.changing = true;
            found.push(Value::untrusted(make(&wanted)?));
            continue;
        }
        let settings = interp.templar.settings();
        let path = settings.expand_home(&wanted.path.to_string_lossy());
        let path = if path.is_absolute() {
            path
        } else {
            settings.playbook_dir.join(path)
        };
        found.push(Value::untrusted(kept(&wanted, &path)?));
    }
    Ok(found)
}
