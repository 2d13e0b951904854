//! Filters of the collection `community.general` that read and write tables and INI files.

use super::text::{like, only_text};
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::formats::{csv, ini};
use crate::content::value::{Key, Value};
use indexmap::IndexMap;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "from_csv",
        from_csv,
        (
            "'a,b\\n1,2\\n' | community.general.from_csv",
            "[{'a': '1', 'b': '2'}]",
        ),
    ),
    filter(
        "from_ini",
        from_ini,
        (
            "'[s]\\nk = v\\n' | community.general.from_ini",
            "{'s': {'k': 'v'}}",
        ),
    ),
    filter(
        "to_ini",
        to_ini,
        (
            "{'s': {'k': 1}} | community.general.to_ini",
            "'[s]\\nk = 1\\n'",
        ),
    ),
];

fn from_csv(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let names = [
        "dialect",
        "fieldnames",
        "delimiter",
        "skipinitialspace",
        "strict",
    ];
    let [dialect, fields, delimiter, skip, _strict] = args.bind("from_csv", names)?;
    let dialect = dialect.map_or_else(|| Ok("excel".to_owned()), |dialect| text_of(&dialect))?;
    let default = match dialect.as_str() {
        "excel" | "unix" => ",",
        "excel-tab" => "\t",
        other => {
            return Err(TemplateError::new(format!(
                "from_csv: Dialect '{other}' is not supported"
            )));
        }
    };
    let delimiter = match delimiter {
        None | Some(Value::None) => default.to_owned(),
        Some(delimiter) => text_of(&delimiter)?,
    };
    let Some(delimiter) = delimiter.chars().next() else {
        return Err(TemplateError::new(
            "from_csv: the delimiter is one character",
        ));
    };
    let skip = skip.is_some_and(|skip| skip.truthy());
    let mut rows = csv::rows(only_text("from_csv", value)?, delimiter);
    rows.retain(|row| !row.is_empty());
    if skip {
        for cell in rows.iter_mut().flatten() {
            *cell = cell.trim_start().to_owned();
        }
    }
    let mut rows = rows.into_iter();
    let fields: Vec<String> = match fields {
        None | Some(Value::None) => rows.next().unwrap_or_default(),
        Some(fields) => fields.iterate()?.iter().map(Value::to_text).collect(),
    };
    let found = rows.map(|row| {
        let cell = |at: usize| match row.get(at) {
            Some(cell) => like(value, cell.as_str()),
            None => Value::None,
        };
        Value::record(
            fields
                .iter()
                .enumerate()
                .map(|(at, name)| (name.as_str(), cell(at))),
        )
    });
    Ok(Value::list(found.collect()))
}

fn from_ini(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("from_ini")?;
    let options = ini::Options {
        case_sensitive: true,
        no_value: false,
    };
    let ini = ini::read(only_text("from_ini", value)?, options).map_err(|problem| {
        TemplateError::new(format!("from_ini failed to parse given string: {problem}"))
    })?;
    let entries = |name: &str| {
        let entries = ini.entries(name).unwrap_or_default().into_iter();
        let entries = entries.map(|(name, text)| {
            (
                Key::text(name),
                text.map_or(Value::None, |text| like(value, text)),
            )
        });
        Value::dict(entries.collect())
    };
    let mut found: IndexMap<Key, Value> = IndexMap::new();
    for name in ini.sections.keys() {
        found.insert(Key::from(name.as_str()), entries(name));
    }
    if !ini.defaults().is_empty() {
        found.insert(Key::from("DEFAULT"), entries("DEFAULT"));
    }
    Ok(Value::dict(found))
}

fn to_ini(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("to_ini")?;
    let Some(sections) = value.entries().filter(|sections| !sections.is_empty()) else {
        return Err(TemplateError::new(
            "to_ini takes a dictionary with at least one section",
        ));
    };
    let mut out = String::new();
    for (name, section) in sections {
        let Some(entries) = section.entries() else {
            return Err(TemplateError::new(format!(
                "to_ini failed to parse given dict: section {} is no dictionary",
                name.0.repr()
            )));
        };
        out.push_str(&format!("[{}]\n", text_of(&name.0)?));
        for (name, value) in entries {
            let text = text_of(&value)?.replace('\n', "\n\t");
            out.push_str(&format!("{} = {text}\n", text_of(&name.0)?));
        }
        out.push('\n');
    }
    out.pop();
    Ok(like(value, out))
}
