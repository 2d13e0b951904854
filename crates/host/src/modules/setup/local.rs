//! The administrator's own facts: JSON or INI files, and programs that print JSON. As in Ansible, one that can't be read
//! is a fact too: the text that says why.

use super::{Facts, put};
use crate::{Context, Failure, globs};
use rustix::fs::{Access, access};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

pub(super) fn collect(cx: &Context, dir: &str, facts: &mut Facts) -> Result<(), Failure> {
    let mut local = Map::new();
    let pattern = cx.expand(dir).join("*.fact");
    for path in globs::glob(&pattern.to_string_lossy()) {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let value = text_of(cx, &path)?.and_then(|text| parse(&text, &path));
        local.insert(
            name,
            value.unwrap_or_else(|why| {
                cx.warn(why.clone());
                why.into()
            }),
        );
    }
    put(facts, "local", local);
    Ok(())
}

/// What the file holds, or its program prints; else why not. A task that is cancelled fails.
fn text_of(cx: &Context, path: &Path) -> Result<Result<String, String>, Failure> {
    let shown = path.display();
    if let Err(error) = fs::metadata(path) {
        let code = error.raw_os_error().unwrap_or_default();
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        return Ok(Err(format!(
            "Could not stat fact ({shown}): [Errno {code}] {text}: '{shown}'"
        )));
    }
    if access(path, Access::EXEC_OK).is_err() {
        return Ok(fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| format!("error loading facts from {shown}: {error}")));
    }
    let output = match cx.process(path).system().run() {
        Ok(output) => output,
        Err(failure) => {
            cx.check_cancelled()?;
            return Ok(Err(format!(
                "Could not execute fact script ({shown}): {}",
                failure.message
            )));
        }
    };
    Ok(if output.ok() {
        Ok(output.stdout_text())
    } else {
        Err(format!(
            "Failure executing fact script ({shown}), rc: {}, err: {}",
            output.rc,
            output.stderr_text()
        ))
    })
}

fn parse(text: &str, path: &Path) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let content = path.display();
    let sections = sections(text).ok_or_else(|| {
        format!("error loading facts as JSON or ini - please check content: {content}")
    })?;
    let mut facts = Map::new();
    for (name, options) in &sections {
        if name == "DEFAULT" {
            continue;
        }
        let defaults = sections.iter().find(|(name, _)| name == "DEFAULT");
        let all: Options = defaults
            .map(|(_, options)| options.as_slice())
            .unwrap_or_default()
            .iter()
            .filter(|(key, _)| !options.iter().any(|(own, _)| own == key))
            .chain(options)
            .cloned()
            .collect();
        let mut section = Map::new();
        for (key, value) in &all {
            let value = interpolated(value, &all, 0).map_err(|why| {
                format!("error loading facts as ini - please check content: {content} ({why})")
            })?;
            section.insert(key.clone(), value.into());
        }
        facts.insert(name.clone(), section.into());
    }
    Ok(facts.into())
}

/// Names and values, in order.
type Options = Vec<(String, String)>;

/// Sections of options, by the rules of Python's configparser: names of options in small letters, lines that are
/// indented go on, nothing twice. `None` for what isn't of this form.
fn sections(text: &str) -> Option<Vec<(String, Options)>> {
    let mut sections: Vec<(String, Options)> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        if let (Some(known), Some((_, value))) = (
            indent,
            sections
                .last_mut()
                .and_then(|(_, options)| options.last_mut()),
        ) && depth > known
        {
            value.push('\n');
            value.push_str(bare);
            continue;
        }
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            if sections.iter().any(|(known, _)| known == name.0) {
                return None;
            }
            sections.push((name.0.to_owned(), Vec::new()));
            indent = None;
            continue;
        }
        let (name, value) = bare.split_once(['=', ':'])?;
        let name = name.trim().to_lowercase();
        let (_, options) = sections.last_mut()?;
        if name.is_empty() || options.iter().any(|(known, _)| *known == name) {
            return None;
        }
        options.push((name, value.trim().to_owned()));
        indent = Some(depth);
    }
    Some(sections)
}

/// `%%` is a percent sign, `%(name)s` the value of another option.
fn interpolated(value: &str, options: &Options, depth: u8) -> Result<String, String> {
    let mut done = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        done.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(after) = tail.strip_prefix("%%") {
            done.push('%');
            rest = after;
            continue;
        }
        let Some(inner) = tail.strip_prefix("%(") else {
            return Err(format!(
                "'%' must be followed by '%' or '(', found: '{tail}'"
            ));
        };
        let (name, after) = inner
            .split_once(")s")
            .ok_or_else(|| format!("bad interpolation variable reference '{tail}'"))?;
        let name = name.to_lowercase();
        let found = options.iter().find(|(key, _)| *key == name && depth < 10);
        let (_, found) = found.ok_or_else(|| format!("Bad value substitution: {name}"))?;
        done.push_str(&interpolated(found, options, depth + 1)?);
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn facts_of_the_administrator_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        };
        write("a.fact", "{\"rack\": 7}", 0o644);
        write("b.fact", "# x\n[general]\nRole = db\n", 0o644);
        write("d.fact", "what is this", 0o644);
        let outcome = run(
            "setup",
            json!({"fact_path": dir.path(), "gather_subset": "!all,!min,local"}),
        );
        let local = &outcome.data["ansible_facts"]["ansible_local"];
        assert_eq!(local["a"], json!({"rack": 7}));
        assert_eq!(local["b"], json!({"general": {"role": "db"}}));
        let why = local["d"].as_str().expect("a text");
        assert!(why.starts_with("error loading facts as JSON or ini - please check content: "));
        assert_eq!(
            outcome.data["warnings"].as_array().expect("a list").len(),
            1
        );
    }
    #[test]
    fn ini_files_are_pythons() {
        let parse = |text: &str| super::parse(text, std::path::Path::new("/x"));
        assert_eq!(
            parse("[DEFAULT]\nA = 1\n[b]\nlong = %(a)s\n  two %%\n; c\nk : v ; no comment\n"),
            Ok(json!({"b": {"a": "1", "long": "1\ntwo %", "k": "v ; no comment"}}))
        );
        for text in ["x", "[a]\nb=1\nb=2", "[a]\nnovalue", "[a]\n[a]"] {
            let why = parse(text).expect_err(text);
            assert!(
                why.starts_with("error loading facts as JSON or ini"),
                "{why}"
            );
        }
        assert_eq!(
            parse("[a]\nb = a % c"),
            Err("error loading facts as ini - please check content: /x ('%' must be followed by '%' or '(', found: '% c')".to_owned())
        );
    }
}
