//! The administrator's own facts: JSON or INI files, and programs that print JSON.

use super::{Facts, put};
use crate::{Context, Failure, globs};
use rustix::fs::{Access, access};
use serde_json::{Map, Value};
use std::fs;

pub(super) fn collect(cx: &Context, dir: &str, facts: &mut Facts) -> Result<(), Failure> {
    let mut local = Map::new();
    let pattern = cx.expand(dir).join("*.fact");
    for path in globs::glob(&pattern.to_string_lossy()) {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = if access(&path, Access::EXEC_OK).is_ok() {
            match cx.process(&path).system().run() {
                Ok(output) if output.ok() => output.stdout_text(),
                Ok(output) => {
                    cx.warn(format!(
                        "{} ended with {}: {}",
                        path.display(),
                        output.rc,
                        output.stderr_text().trim()
                    ));
                    continue;
                }
                Err(failure) => {
                    cx.check_cancelled()?;
                    cx.warn(failure.message);
                    continue;
                }
            }
        } else {
            match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) => {
                    cx.warn(format!("cannot read {}: {error}", path.display()));
                    continue;
                }
            }
        };
        match parse(&text) {
            Some(value) => {
                local.insert(name, value);
            }
            None => cx.warn(format!("{} is neither JSON nor INI", path.display())),
        }
    }
    put(facts, "local", local);
    Ok(())
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| parse_ini(text))
}

/// Sections of `name=value` lines; names in small letters, as Python's configparser does.
fn parse_ini(text: &str) -> Option<Value> {
    let mut sections: Map<String, Value> = Map::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            sections.entry(name).or_insert_with(|| Map::new().into());
            current = Some(name.to_owned());
            continue;
        }
        let (name, value) = line.split_once(['=', ':'])?;
        let section = sections.get_mut(current.as_ref()?)?.as_object_mut()?;
        section.insert(name.trim().to_lowercase(), value.trim().into());
    }
    (!sections.is_empty()).then_some(sections.into())
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
        assert!(local.get("d").is_none());
        assert_eq!(
            outcome.data["warnings"].as_array().expect("a list").len(),
            1
        );
    }
}
