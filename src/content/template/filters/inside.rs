//! Filters that look into values by paths and places, change them there, and name them.

use super::encoding::digest;
use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, required, text_of};
use crate::content::template::eval::json::{Style, dump};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::template::{syntax, tests};
use crate::content::value::{Key, Mistake, Value};
use indexmap::IndexMap;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

pub(super) const FILTERS: &[Filter] = &[
    filter("index_of", index_of, ("[4, 5] | index_of('eq', 5)", "1")),
    filter(
        "get_path",
        get_path,
        ("{'a': [{'b': 1}]} | get_path('a[0].b')", "'1'"),
    ),
    filter(
        "to_paths",
        to_paths,
        (
            "{'a': [{'b': 1}, []]} | to_paths",
            "{'a[0].b': 1, 'a[1]': []}",
        ),
    ),
    filter(
        "unicode_normalize",
        unicode_normalize,
        ("'e\\u0301' | unicode_normalize | length", "1"),
    ),
    filter("xmlattr", xmlattr, ("{'id': 5} | xmlattr", "' id=\"5\"'")),
    filter(
        "k8s_config_resource_name",
        k8s_config_resource_name,
        (
            "{'kind': 'ConfigMap', 'metadata': {'name': 'x'}, 'data': {'a': '1'}} | k8s_config_resource_name",
            "'x-m8mt92gg65'",
        ),
    ),
];

/// Where the items of a list are for which a test holds: a list, or the only place itself.
pub(in crate::content::template) fn index_of(
    interp: &mut Interp,
    value: &Value,
    args: Args,
) -> Outcome {
    let names = ["test", "value", "key", "fail_on_missing", "wantlist"];
    let [test, wanted, key, strict, list] = args.bind("index_of", names)?;
    let test = text_of(&required("index_of", "test", test)?)?;
    let given = |value: Option<Value>| value.filter(|value| !matches!(value, Value::None));
    let (wanted, key) = (given(wanted), given(key));
    let strict = strict.is_some_and(|strict| strict.truthy());
    let items = match value {
        Value::List(_) | Value::Tuple(_) => value.iterate()?,
        Value::Str(text) => text.text.split(',').map(Value::from).collect(),
        other => {
            return Err(TemplateError::new(format!(
                "index_of() takes a list, not {}",
                other.type_name()
            )));
        }
    };
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let item = match &key {
            None => item.clone(),
            Some(key) => match item.get_item(key) {
                Some(inner) => inner,
                None if strict => {
                    return Err(TemplateError::new(format!(
                        "'{}' was not found in '{}' at [{at}]. fail_on_missing=True",
                        key.to_text(),
                        item.repr()
                    )));
                }
                None => continue,
            },
        };
        let args = Args::of(wanted.iter().cloned().collect());
        if tests::apply(interp, &test, &item, args)? {
            found.push(Value::Int(i64::try_from(at).unwrap_or(i64::MAX)));
        }
    }
    let whole = list.is_some_and(|list| list.truthy());
    Ok(match found.len() {
        1 if !whole => found.remove(0),
        _ => Value::list(found),
    })
}

/// What a path leads to that is written as in an expression: `a.b[0]['c']`.
pub(in crate::content::template) fn get_path(
    interp: &mut Interp,
    value: &Value,
    args: Args,
) -> Outcome {
    let [path, list] = args.bind("get_path", ["path", "wantlist"])?;
    let path = text_of(&required("get_path", "path", path)?)?;
    let dot = if path.starts_with('[') { "" } else { "." };
    let text = format!("{{{{ whole{dot}{path} }}}}");
    let parsed = syntax::template(&text, &syntax::Options::default())?;
    let vars = IndexMap::from([("whole".to_owned(), value.clone())]);
    let found = interp.other(&vars, &parsed, &text, true)?;
    Ok(match list.is_some_and(|list| list.truthy()) {
        true => Value::list(vec![found]),
        false => found,
    })
}

/// A nested value as one dictionary of paths and leaves.
pub(in crate::content::template) fn to_paths(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [prepend, list] = args.bind("to_paths", ["prepend", "wantlist"])?;
    let begin = match prepend {
        Some(prepend) if !matches!(prepend, Value::None) => text_of(&prepend)?,
        _ => String::new(),
    };
    let mut found = IndexMap::new();
    walk(&begin, value, &mut found)?;
    let found = Value::dict(found);
    Ok(match list.is_some_and(|list| list.truthy()) {
        true => Value::list(vec![found]),
        false => found,
    })
}

fn walk(path: &str, value: &Value, found: &mut IndexMap<Key, Value>) -> Outcome<()> {
    if let Value::List(_) = value
        && value.truthy()
    {
        for (at, item) in value.iterate()?.iter().enumerate() {
            walk(&format!("{path}[{at}]"), item, found)?;
        }
        return Ok(());
    }
    let Some(entries) = value.entries().filter(|entries| !entries.is_empty()) else {
        found.insert(Key(path.into()), value.clone());
        return Ok(());
    };
    for (key, item) in &entries {
        let Value::Str(name) = &key.0 else {
            return Err(TemplateError::new(format!(
                "to_paths() takes dictionaries whose keys are text, not {}",
                key.0.type_name()
            )));
        };
        let plain = name.text.chars().all(|c| c.is_alphanumeric() || c == '_');
        let inner = match (plain, path.is_empty()) {
            (true, true) => name.text.to_string(),
            (true, false) => format!("{path}.{}", name.text),
            (false, _) => format!("{path}['{}']", name.text),
        };
        walk(&inner, item, found)?;
    }
    Ok(())
}

/// Text in one of the normal forms of Unicode.
fn unicode_normalize(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [form] = args.bind("unicode_normalize", ["form"])?;
    let form = form.map_or_else(|| Ok("NFC".to_owned()), |form| text_of(&form))?;
    let Value::Str(text) = value else {
        return Err(TemplateError::new(format!(
            "unicode_normalize() takes text, not {}",
            value.type_name()
        )));
    };
    let normal: String = match form.as_str() {
        "NFC" => text.text.nfc().collect(),
        "NFD" => text.text.nfd().collect(),
        "NFKC" => text.text.nfkc().collect(),
        "NFKD" => text.text.nfkd().collect(),
        other => {
            return Err(
                TemplateError::new(format!("unicode_normalize() has no form '{other}'"))
                    .hint("Known: NFC, NFD, NFKC, NFKD."),
            );
        }
    };
    Ok(like(value, normal))
}

/// Attributes of HTML and XML: ` name="value"` of each that is neither nothing nor undefined.
fn xmlattr(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [space] = args.bind("xmlattr", ["autospace"])?;
    let Some(entries) = value.entries() else {
        return Err(TemplateError::new(format!(
            "xmlattr() takes a dictionary, not {}",
            value.type_name()
        )));
    };
    let mut parts = Vec::new();
    for (name, value) in entries {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let name = name.0.to_text();
        if name.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '=')) {
            return Err(TemplateError::new(format!(
                "Invalid character in attribute name: '{name}'"
            )));
        }
        let mut escaped = |text: Value| -> Outcome<String> {
            let escaped = super::apply(interp, "escape", text, Args::default())?;
            Ok(escaped.to_text())
        };
        let value = escaped(Value::from(text_of(&value)?))?;
        parts.push(format!("{}=\"{value}\"", escaped(Value::from(name))?));
    }
    let joined = parts.join(" ");
    let space = space.is_none_or(|space| space.truthy()) && !joined.is_empty();
    Ok(Value::from(match space {
        true => format!(" {joined}"),
        false => joined,
    }))
}

/// Keys of a `ConfigMap` and of a `Secret` that name it.
const NAMED_BY: [&str; 4] = ["data", "kind", "name", "type"];

/// The name of a `ConfigMap` or `Secret` with a sum of what it holds, as kustomize makes it.
fn k8s_config_resource_name(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("k8s_config_resource_name")?;
    static COMPACT: LazyLock<Style> = LazyLock::new(|| Style {
        indent: None,
        sort_keys: true,
        ensure_ascii: true,
        separators: Some((",".to_owned(), ":".to_owned())),
    });
    let name = value.get("metadata").and_then(|meta| meta.get("name"));
    let Some(name) = name.filter(|name| !name.is_undefined()) else {
        return Err(Mistake::new(
            "resource must have a metadata.name key to generate a resource name",
        )
        .into());
    };
    let kind = value.get("kind").map(|kind| kind.to_text());
    let count = if kind.as_deref() == Some("Secret") {
        4
    } else {
        3
    };
    let entries = NAMED_BY[..count].iter().map(|key| {
        let value = match *key {
            "name" => Some(name.clone()),
            key => value.get(key).filter(|value| !value.is_undefined()),
        };
        (Key::from(*key), value.unwrap_or_else(|| "".into()))
    });
    let text = dump(&Value::dict(entries.collect()), &COMPACT)?;
    let sum = digest("sha256", text.as_bytes()).unwrap_or_default();
    // Digits and vowels that could make a word are letters that can't.
    let sum = sum.chars().take(10).map(|c| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        c => c,
    });
    let sum: String = sum.collect();
    Ok(Value::from(format!("{}-{sum}", name.to_text())))
}
