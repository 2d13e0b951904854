//! The rules of ARCHITECTURE.md that a program can check: which room may use which, and who reads the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Which rooms a room may use, as the table in ARCHITECTURE.md says; `None` means all.
type Table = BTreeMap<String, Option<BTreeSet<String>>>;

/// Rows like "| `src/play/` | purpose | content link (why) |". Whoever prints nothing may use `secret`.
fn table(text: &str) -> Table {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, room, _, may, ..] = cells[..] else {
                return None;
            };
            let room = room.strip_prefix("`src/")?.strip_suffix("/`")?.to_owned();
            if may == "all below" {
                return Some((room, None));
            }
            let mut rooms: BTreeSet<String> = without_parentheses(may)
                .split([' ', ','])
                .filter(|word| !word.is_empty())
                .map(ToOwned::to_owned)
                .collect();
            rooms.insert("secret".to_owned());
            rooms.insert(room.clone());
            Some((room, Some(rooms)))
        })
        .collect()
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0;
    text.chars()
        .filter(|letter| {
            match letter {
                '(' => depth += 1,
                ')' => {
                    depth -= 1;
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rooms that a source names as `crate::ROOM`, with the line, outside of comments.
fn uses(text: &str) -> Vec<(usize, String)> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n")
        .collect();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        // `$crate::` and `crate::` behind a letter belong to something else.
        if code[..at].ends_with(|letter: char| is_word(letter) || letter == '$') {
            continue;
        }
        let rest = &code[at + path.len()..];
        let line = code[..at].lines().count().max(1);
        for name in heads(rest) {
            let room: String = name
                .trim_start()
                .chars()
                .take_while(|letter| is_word(*letter))
                .collect();
            found.push((line, room));
        }
    }
    found
}

/// What follows `crate::`: itself, or each member of `{a::{b, c}, d}`.
fn heads(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![rest];
    };
    let (mut depth, mut start) = (0, 0);
    let mut members = Vec::new();
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.retain(|member| !member.trim().is_empty());
    members
}

fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside
        .components()
        .next()?
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    (inside.components().count() > 1).then_some(first)
}

#[test]
fn arrows_only_point_down() {
    let table = table(&fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there"));
    assert!(
        table.len() >= 8,
        "the table of rooms in ARCHITECTURE.md can't be read: {table:?}"
    );
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let Some(room) = room_of(&path) else { continue };
        let Some(allowed) = table.get(&room) else {
            wrong.push(format!(
                "{}: the room {room} is not in the table of ARCHITECTURE.md",
                path.display()
            ));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        let text = fs::read_to_string(&path).expect("readable");
        for (line, used) in uses(&text) {
            if table.contains_key(&used) && !allowed.contains(&used) {
                wrong.push(format!(
                    "{}:{line}: {room} may not use {used}",
                    path.display()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that ARCHITECTURE.md doesn't allow:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn only_cli_reads_the_environment_and_the_terminal() {
    let forbidden = [
        "env::var",
        "env::home_dir",
        "io::stdin(",
        "io::stdout(",
        "process::exit",
    ];
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        if room_of(&path).is_none_or(|room| room == "cli") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        // Tests stand at the end of a file, or in files of their own.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem == "test")
        {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            if let Some(word) = forbidden
                .iter()
                .find(|word| line.split("//").next().unwrap_or_default().contains(**word))
            {
                wrong.push(format!(
                    "{}:{}: {word} belongs to cli",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tables_and_uses_are_read() {
    let table = table(
        "| room | purpose | may use |\n| `src/a/` | x | b (only types) c |\n| `src/z/` | x | all below |\n",
    );
    let allowed = table["a"].as_ref().expect("limited");
    assert!(allowed.contains("b") && allowed.contains("c") && !allowed.contains("only"));
    assert!(table["z"].is_none());
    let found = uses(
        "use crate::{\n    b::{X, d},\n    c,\n};\nlet x = crate::d::f(); // crate::e\n$crate::f\n",
    );
    let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["b", "c", "d"]);
}

/// `kopsrun config` shows the settings of the table as honoured: each must be read somewhere.
#[test]
fn settings_that_are_honoured_are_read() {
    let of_config = root().join("src/cli/config/table.rs");
    let table = std::fs::read_to_string(&of_config).expect("the table");
    let others: String = sources(&root().join("src"))
        .into_iter()
        .filter(|path| *path != of_config)
        .map(|path| std::fs::read_to_string(path).expect("a source"))
        .collect();
    let names: Vec<&str> = table
        .split("setting(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(names.len() > 30, "the table is read: {names:?}");
    for name in names {
        assert!(
            others.contains(&format!("\"{name}\"")),
            "nothing reads {name}"
        );
    }
}
