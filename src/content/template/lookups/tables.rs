//! Lookups in files of entries: `csvfile` and `ini`.

use super::files::read_text_in;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::filters::{Flags, Pattern};
use crate::content::template::formats::{csv, ini};
use crate::content::value::Value;
use indexmap::IndexMap;

/// Options of a lookup: by name in the call, and once more as `name=value` in a term.
struct Options {
    given: IndexMap<&'static str, Value>,
}

impl Options {
    fn take(args: &mut Args, names: &[&'static str]) -> Outcome<Self> {
        let mut given = IndexMap::new();
        for name in names {
            if let Some(value) = args.take(name) {
                given.insert(*name, value);
            }
        }
        Ok(Self { given })
    }

    /// The key of a term; what it says about options counts for this term and those behind it.
    fn key(&mut self, what: &str, term: &Value, names: &[&'static str]) -> Outcome<String> {
        let term = text_of(term)?;
        let mut key = Vec::new();
        for word in term.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) => {
                    let Some(name) = names.iter().find(|known| **known == name) else {
                        return Err(TemplateError::new(format!(
                            "{what}: '{name}' is not a valid option"
                        ))
                        .hint(format!("It knows: {}.", names.join(", "))));
                    };
                    self.given
                        .insert(name, Value::from(value.trim_matches(['\'', '"'])));
                }
                None => key.push(word),
            }
        }
        if key.is_empty() {
            return Err(TemplateError::new(format!(
                "{what}: Search key is required but was not found"
            )));
        }
        Ok(key.join(" "))
    }

    fn text(&self, name: &str, default: &str) -> Outcome<String> {
        self.given
            .get(name)
            .map_or_else(|| Ok(default.to_owned()), |value| Ok(text_of(value)?))
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        match self.given.get(name) {
            None => default,
            Some(Value::Str(text)) => matches!(
                text.text.to_lowercase().as_str(),
                "yes" | "on" | "1" | "true" | "y" | "t"
            ),
            Some(other) => other.truthy(),
        }
    }

    fn column(&self, what: &str, name: &str, default: usize) -> Outcome<usize> {
        let text = self.text(name, &default.to_string())?;
        text.parse().map_err(|_| {
            TemplateError::new(format!("{what}: {name} must be a number, not '{text}'"))
        })
    }
}

const CSVFILE: [&str; 6] = ["col", "default", "delimiter", "file", "encoding", "keycol"];

/// The cell of the row whose first cell (or that of `keycol`) is the key.
pub(super) fn csvfile(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut options = Options::take(args, &CSVFILE)?;
    let mut found = Vec::new();
    for term in &args.positional {
        let key = options.key("csvfile", term, &CSVFILE)?;
        let delimiter = match options.text("delimiter", "TAB")?.as_str() {
            "TAB" | "\\t" => '\t',
            other if other.chars().count() == 1 => other.chars().next().unwrap_or(','),
            other => {
                return Err(TemplateError::new(format!(
                    "csvfile: \"delimiter\" must be a 1-character string, not '{other}'"
                )));
            }
        };
        let (key_column, column) = (
            options.column("csvfile", "keycol", 0)?,
            options.column("csvfile", "col", 1)?,
        );
        let encoding = options.text("encoding", "utf-8")?;
        let text = read_text_in(interp, &options.text("file", "ansible.csv")?, &encoding)?;
        let mut value = options
            .given
            .get("default")
            .cloned()
            .filter(|value| !matches!(value, Value::None));
        for row in csv::rows(&text, delimiter)
            .into_iter()
            .filter(|row| !row.is_empty())
        {
            let cell = |at: usize| {
                row.get(at)
                    .ok_or_else(|| TemplateError::new(format!("csvfile: there is no column {at}")))
            };
            if *cell(key_column)? == key {
                value = Some(Value::untrusted(cell(column)?.as_str()));
                break;
            }
        }
        found.extend(value);
    }
    Ok(found)
}

const INI: [&str; 10] = [
    "type",
    "file",
    "section",
    "re",
    "encoding",
    "default",
    "case_sensitive",
    "allow_no_value",
    "allow_none",
    "interpolation",
];

/// Entries of an INI file by their names, or by a pattern.
pub(super) fn entries(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut options = Options::take(args, &INI)?;
    let mut found = Vec::new();
    for term in &args.positional {
        let key = options.key("ini", term, &INI)?;
        let file = options.text("file", "ansible.ini")?;
        let mut text = read_text_in(interp, &file, &options.text("encoding", "utf-8")?)?;
        let mut section = options.text("section", "global")?;
        if options.text("type", "ini")? == "properties" {
            text = format!("[java_properties]\n{text}");
            "java_properties".clone_into(&mut section);
        }
        let reading = ini::Options {
            case_sensitive: options.flag("case_sensitive", false),
            no_value: options.flag("allow_no_value", false) || options.flag("allow_none", false),
        };
        let wrong = |problem: String| TemplateError::new(format!("ini: {file}: {problem}"));
        let ini = ini::read(&text, reading).map_err(wrong)?;
        let Some(entries) = ini.entries(&section) else {
            return Err(TemplateError::new(format!(
                "ini: No section '{section}' in {file}"
            )));
        };
        let value = |value: Option<&str>| match value {
            None => Ok(Value::None),
            Some(text) if options.flag("interpolation", true) => {
                ini::Ini::interpolated(&entries, text, 0)
                    .map(Value::untrusted)
                    .map_err(wrong)
            }
            Some(text) => Ok(Value::untrusted(text)),
        };
        if options.flag("re", false) {
            let pattern = Pattern::new(&key, Flags::default())?;
            for (name, text) in &entries {
                if pattern.is_at_start(name)? {
                    found.push(value(text.as_deref())?);
                }
            }
            continue;
        }
        let name = if reading.case_sensitive {
            key
        } else {
            key.to_lowercase()
        };
        found.push(match entries.get(&name) {
            Some(text) => value(text.as_deref())?,
            None => options
                .given
                .get("default")
                .cloned()
                .unwrap_or_else(|| Value::from("")),
        });
    }
    Ok(found)
}
