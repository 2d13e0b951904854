//! Argument specifications: looking one up, and bringing arguments into the types that it gives.
//!
//! Conversions are those of Ansible's argument specifications (`ansible.module_utils.common.validation`).

use crate::modules::TABLE;
use crate::{Arg, ArgError, Kind, Rule, Spec};
use serde_json::{Map, Number, Value};

/// The collections whose modules are ours under their short names.
const PREFIXES: &[&str] = &[
    "ansible.builtin.",
    "ansible.legacy.",
    "ansible.posix.",
    "community.general.",
];

/// The argument that holds a free-form command line.
const RAW_PARAMS: &str = "_raw_params";

impl Arg {
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            elements: Kind::Str,
            required: false,
            default: None,
            choices: &[],
            doc,
        }
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The value of an absent argument, as a person would write it (`"no"`, `"5"`, `"a,b"`).
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    #[must_use]
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// The type of each element of a list; strings if not said.
    #[must_use]
    pub const fn of(mut self, elements: Kind) -> Self {
        self.elements = elements;
        self
    }

    fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// Arguments of a module and those that it shares with others, in one list of `ALL`.
pub(crate) const fn join<const A: usize, const B: usize, const ALL: usize>(
    own: [Arg; A],
    shared: [Arg; B],
) -> [Arg; ALL] {
    assert!(A + B == ALL, "the length of the list is that of both");
    let mut all = [own[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < A { own[at] } else { shared[at - A] };
        at += 1;
    }
    all
}

impl Spec {
    pub const fn new(name: &'static str, doc: &'static str, args: &'static [Arg]) -> Self {
        Self {
            name,
            aliases: &[],
            args,
            free_form: false,
            rules: &[],
            check_mode: true,
            doc,
        }
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Takes a command line (`command: uptime`), found in `_raw_params`.
    #[must_use]
    pub const fn free_form(mut self) -> Self {
        self.free_form = true;
        self
    }

    #[must_use]
    pub const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// The module is skipped in check mode.
    #[must_use]
    pub const fn without_check_mode(mut self) -> Self {
        self.check_mode = false;
        self
    }

    fn known(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.args.iter().map(|arg| arg.name).collect();
        names.sort_unstable();
        names
    }
}

/// `ansible.builtin.copy` → `copy`; a name of an unknown collection stays as it is.
pub(crate) fn short_name(name: &str) -> &str {
    PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// The specification of a module, by name or alias, with or without the name of its collection. Private modules, whose
/// names begin with an underscore, are not found: nobody can write them into a playbook.
pub fn spec(name: &str) -> Option<&'static Spec> {
    let short = short_name(name);
    specs().find(|spec| spec.name == short || spec.aliases.contains(&short))
}

/// All specifications but those of private modules, in the order of the table.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    TABLE
        .iter()
        .map(|entry| entry.spec)
        .filter(|spec| !spec.name.starts_with('_'))
}

/// Checks arguments before anything is connected. Values that still hold templates are accepted for any type.
pub fn validate(spec: &Spec, args: &Map<String, Value>) -> Result<(), ArgError> {
    check(spec, args, Templates::Accepted).map(drop)
}

/// The same check on rendered arguments, and the arguments as [`crate::Module`] takes them: real names instead of
/// aliases, values of the specified types, defaults filled in, null left out.
pub fn normalise(spec: &Spec, args: &Map<String, Value>) -> Result<Map<String, Value>, ArgError> {
    check(spec, args, Templates::Rendered)
}

#[derive(Clone, Copy, PartialEq)]
enum Templates {
    Accepted,
    Rendered,
}

fn check(
    spec: &Spec,
    args: &Map<String, Value>,
    templates: Templates,
) -> Result<Map<String, Value>, ArgError> {
    let mut typed = Map::new();
    for (name, value) in args {
        if spec.free_form && name == RAW_PARAMS {
            typed.insert(name.clone(), convert_at(name, Kind::Str, value)?);
            continue;
        }
        let arg = spec
            .args
            .iter()
            .find(|arg| arg.answers_to(name))
            .ok_or_else(|| unknown(spec, name))?;
        if value.is_null() {
            continue;
        }
        let value = if templates == Templates::Accepted && is_template(value) {
            value.clone()
        } else {
            convert_arg(arg, name, value, templates)?
        };
        if typed.insert(arg.name.to_owned(), value).is_some() {
            return Err(error(
                name,
                format!("{} is given twice: {name} is another name of it", arg.name),
            ));
        }
    }
    for arg in spec.args {
        if typed.contains_key(arg.name) {
            continue;
        }
        if arg.required {
            return Err(error(
                arg.name,
                format!(
                    "{}: the argument {} is missing ({})",
                    spec.name, arg.name, arg.doc
                ),
            ));
        }
    }
    for rule in spec.rules {
        check_rule(spec, rule, &typed)?;
    }
    for arg in spec.args {
        if let (false, Some(default)) = (typed.contains_key(arg.name), arg.default) {
            typed.insert(
                arg.name.to_owned(),
                convert_arg(arg, arg.name, &Value::from(default), templates)?,
            );
        }
    }
    Ok(typed)
}

fn check_rule(spec: &Spec, rule: &Rule, args: &Map<String, Value>) -> Result<(), ArgError> {
    let given = |names: &[&str]| {
        names
            .iter()
            .filter(|name| args.contains_key(**name))
            .count()
    };
    let fault = |name: &str, text: String| Err(error(name, format!("{}: {text}", spec.name)));
    match *rule {
        Rule::OneOf(names) if given(names) == 0 => fault(
            names[0],
            format!("one of these arguments is needed: {}", names.join(", ")),
        ),
        Rule::Exclusive(names) if given(names) > 1 => fault(
            names[0],
            format!(
                "only one of these arguments can be given: {}",
                names.join(", ")
            ),
        ),
        Rule::Together(names) if given(names) > 0 && given(names) < names.len() => fault(
            names[0],
            format!("these arguments belong together: {}", names.join(", ")),
        ),
        Rule::If(name, value, needed)
            if given_value(spec, args, name) == Some(value) && given(needed) < needed.len() =>
        {
            fault(
                needed[0],
                format!("{name}={value} needs {}", needed.join(" and ")),
            )
        }
        _ => Ok(()),
    }
}

fn given_value<'a>(spec: &Spec, args: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    match args.get(name) {
        Some(value) => value.as_str(),
        None => spec.args.iter().find(|arg| arg.name == name)?.default,
    }
}

fn is_template(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{") || text.contains("{%"),
        _ => false,
    }
}

fn convert_arg(
    arg: &Arg,
    name: &str,
    value: &Value,
    templates: Templates,
) -> Result<Value, ArgError> {
    // The choices of a mode are words that can stand in its place (`preserve`).
    if arg.kind == Kind::Mode
        && value
            .as_str()
            .is_some_and(|word| arg.choices.contains(&word))
    {
        return Ok(value.clone());
    }
    let mut value = convert_at(name, arg.kind, value)?;
    if let (Kind::List, Value::Array(items)) = (arg.kind, &mut value) {
        for item in items.iter_mut() {
            if templates == Templates::Rendered || !is_template(item) {
                *item = convert_at(name, arg.elements, item)?;
            }
        }
    }
    check_choice(arg, name, value)
}

/// Checks the choices; as in Ansible, a YAML boolean means the choice that is spelled like it (`state: yes`).
fn check_choice(arg: &Arg, name: &str, value: Value) -> Result<Value, ArgError> {
    if arg.choices.is_empty() || arg.kind == Kind::Mode {
        return Ok(value);
    }
    let wrong = |given: &str| {
        let near = nearest(given, arg.choices)
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        error(
            name,
            format!(
                "{name} must be one of {}; got {given:?}{near}",
                arg.choices.join(", ")
            ),
        )
    };
    let fits = |item: &Value| {
        item.as_str()
            .is_none_or(|text| arg.choices.contains(&text) || is_template(item))
    };
    match &value {
        Value::String(text) if !fits(&value) => {
            let spelled: &[&str] = match text.as_str() {
                "True" => &["yes", "true", "on"],
                "False" => &["no", "false", "off"],
                _ => &[],
            };
            match spelled.iter().find(|word| arg.choices.contains(word)) {
                Some(word) => Ok(Value::from(*word)),
                None => Err(wrong(text)),
            }
        }
        Value::Array(items) => match items.iter().find(|item| !fits(item)) {
            Some(item) => Err(wrong(item.as_str().unwrap_or_default())),
            None => Ok(value),
        },
        _ => Ok(value),
    }
}

fn convert_at(name: &str, kind: Kind, value: &Value) -> Result<Value, ArgError> {
    convert(kind, value).ok_or_else(|| {
        error(
            name,
            format!("{name} must be {}; got {}", describe(kind), show(value)),
        )
    })
}

fn convert(kind: Kind, value: &Value) -> Option<Value> {
    match kind {
        Kind::Raw => Some(value.clone()),
        Kind::Str | Kind::Path => Some(Value::String(text_of(value))),
        Kind::Bool => to_bool(value).map(Value::Bool),
        Kind::Int => to_int(value).map(Value::from),
        Kind::Float => match value {
            Value::Number(number) => Some(Value::from(number.as_f64()?)),
            Value::String(text) => Number::from_f64(text.trim().parse().ok()?).map(Value::Number),
            _ => None,
        },
        Kind::List => Some(Value::Array(match value {
            Value::Array(items) => items.clone(),
            Value::String(text) => text
                .split(',')
                .map(|item| Value::from(item.trim()))
                .collect(),
            Value::Number(_) | Value::Bool(_) => vec![Value::String(text_of(value))],
            Value::Object(_) => vec![value.clone()],
            Value::Null => Vec::new(),
        })),
        Kind::Dict => match value {
            Value::Object(_) => Some(value.clone()),
            Value::String(text) => to_dict(text),
            _ => None,
        },
        Kind::Mode => match value {
            Value::String(text) if crate::files::Mode::parse(text).is_some() => Some(value.clone()),
            // YAML has already read 0644 as the number 420.
            Value::Number(number) => {
                let bits = number.as_u64().filter(|bits| *bits <= 0o7777)?;
                Some(Value::String(format!("{bits:04o}")))
            }
            _ => None,
        },
    }
}

/// Text as Python's `str()` gives it for scalars; containers as JSON, as Ansible does for `content:`.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn to_bool(value: &Value) -> Option<bool> {
    let text = match value {
        Value::Bool(known) => return Some(*known),
        Value::Number(number) => {
            return match number.as_f64()? {
                0.0 => Some(false),
                1.0 => Some(true),
                _ => None,
            };
        }
        Value::String(text) => text.trim().to_lowercase(),
        _ => return None,
    };
    match text.as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
        _ => None,
    }
}

fn to_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 9e15)
                .map(|float| float as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `{"a": 1}` as JSON, else `a=1, b=2` or `a=1 b=2`.
fn to_dict(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).ok().filter(Value::is_object);
    }
    text.split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=')?;
            Some((key.trim().to_owned(), Value::from(value.trim())))
        })
        .collect::<Option<Map<_, _>>>()
        .map(Value::Object)
}

fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Str => "a string",
        Kind::Path => "a path",
        Kind::Bool => "a boolean (yes or no)",
        Kind::Int => "a whole number",
        Kind::Float => "a number",
        Kind::List => "a list",
        Kind::Dict => "a dictionary",
        Kind::Raw => "anything",
        Kind::Mode => {
            "a file mode (\"0644\" or u=rw,g=r,o=r; octal numbers need quotes or a leading zero)"
        }
    }
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}

fn unknown(spec: &Spec, name: &str) -> ArgError {
    let known = spec.known();
    let near = spec
        .args
        .iter()
        .flat_map(|arg| std::iter::once(arg.name).chain(arg.aliases.iter().copied()))
        .collect::<Vec<_>>();
    let hint = nearest(name, &near)
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    let list = if known.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it takes {}", known.join(", "))
    };
    error(
        name,
        format!("{} has no argument {name}{hint} ({list})", spec.name),
    )
}

fn error(arg: &str, message: String) -> ArgError {
    ArgError {
        arg: Some(arg.to_owned()),
        message,
    }
}

/// The candidate that a person most likely meant: at most a third of its letters differ.
fn nearest<'a>(given: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (distance(given, candidate), *candidate))
        .filter(|(distance, candidate)| {
            *distance
                <= candidate
                    .chars()
                    .count()
                    .max(given.chars().count())
                    .div_ceil(3)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance of Levenshtein, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ALL: Spec = Spec::new(
        "demo",
        "For tests.",
        &[
            Arg::new("path", Kind::Path, "Where.")
                .aliases(&["dest", "name"])
                .required(),
            Arg::new("state", Kind::Str, "What.")
                .choices(&["present", "absent"])
                .default("present"),
            Arg::new("force", Kind::Bool, "Also when.").default("no"),
            Arg::new("count", Kind::Int, "How many."),
            Arg::new("items", Kind::List, "Which."),
            Arg::new("mode", Kind::Mode, "Mode."),
            Arg::new("env", Kind::Dict, "More."),
            Arg::new("content", Kind::Str, "Text."),
        ],
    )
    .rules(&[
        Rule::Exclusive(&["content", "items"]),
        Rule::If("state", "absent", &["count"]),
    ]);

    fn args(value: Value) -> Map<String, Value> {
        let Value::Object(args) = value else {
            panic!("a dictionary")
        };
        args
    }

    fn fault(value: Value) -> String {
        normalise(&ALL, &args(value))
            .expect_err("it is wrong")
            .message
    }

    #[test]
    fn values_take_the_types_that_ansible_gives_them() {
        let typed = normalise(
            &ALL,
            &args(json!({"dest": "/a", "force": "Yes", "count": "5", "items": "a, b", "mode": 420, "env": "a=1 b=2", "state": null})),
        )
        .expect("all fine");
        assert_eq!(
            Value::Object(typed),
            json!({"path": "/a", "force": true, "count": 5, "items": ["a", "b"], "mode": "0644", "env": {"a": "1", "b": "2"}, "state": "present"})
        );
        let typed =
            normalise(&ALL, &args(json!({"path": 5, "items": [1, true]}))).expect("all fine");
        assert_eq!(typed["path"], "5");
        assert_eq!(typed["items"], json!(["1", "True"]));
        assert_eq!(typed["force"], false);
    }

    #[test]
    fn refusals_teach() {
        assert_eq!(
            fault(json!({"pth": "/a"})),
            "demo has no argument pth; did you mean path? (it takes content, count, env, force, items, mode, path, state)"
        );
        assert_eq!(
            fault(json!({})),
            "demo: the argument path is missing (Where.)"
        );
        assert_eq!(
            fault(json!({"path": "/a", "state": "presnt"})),
            "state must be one of present, absent; got \"presnt\"; did you mean present?"
        );
        assert_eq!(
            fault(json!({"path": "/a", "force": "maybe"})),
            "force must be a boolean (yes or no); got \"maybe\""
        );
        assert_eq!(
            fault(json!({"path": "/a", "count": 1.5})),
            "count must be a whole number; got 1.5"
        );
        assert_eq!(
            fault(json!({"path": "/a", "dest": "/b"})),
            "path is given twice: dest is another name of it"
        );
        assert!(
            fault(json!({"path": "/a", "mode": 644_000})).starts_with("mode must be a file mode")
        );
        assert!(
            fault(json!({"path": "/a", "content": "a", "items": "b"}))
                .contains("only one of these")
        );
        assert_eq!(
            fault(json!({"path": "/a", "state": "absent"})),
            "demo: state=absent needs count"
        );
    }

    #[test]
    fn templates_are_accepted_before_they_are_rendered_only() {
        let given = args(
            json!({"path": "{{ p }}", "force": "{{ f }}", "count": "{% if a %}1{% endif %}", "state": "{{ s }}"}),
        );
        assert_eq!(validate(&ALL, &given), Ok(()));
        assert!(normalise(&ALL, &given).is_err());
        assert!(validate(&ALL, &args(json!({"path": "{{ p }}", "frce": "{{ f }}"}))).is_err());
    }

    #[test]
    fn modules_are_found_by_any_of_their_names() {
        for name in ["ping", "ansible.builtin.ping", "ansible.legacy.ping"] {
            assert_eq!(spec(name).map(|spec| spec.name), Some("ping"));
        }
        assert!(spec("other.collection.ping").is_none());
    }

    #[test]
    fn every_default_and_every_name_of_the_table_is_sound() {
        let mut names = std::collections::HashSet::new();
        for spec in specs() {
            for name in std::iter::once(&spec.name).chain(spec.aliases) {
                assert!(names.insert(*name), "two modules are named {name}");
            }
            let mut known = std::collections::HashSet::new();
            for arg in spec.args {
                for name in std::iter::once(&arg.name).chain(arg.aliases) {
                    assert!(
                        known.insert(*name),
                        "{}: two arguments are named {name}",
                        spec.name
                    );
                }
                if let Some(default) = arg.default {
                    convert_arg(arg, arg.name, &Value::from(default), Templates::Rendered)
                        .unwrap_or_else(|error| {
                            panic!("{}: the default of {}: {error}", spec.name, arg.name)
                        });
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn distance_is_a_metric(a in "[a-c]{0,6}", b in "[a-c]{0,6}", c in "[a-c]{0,6}") {
            proptest::prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            proptest::prop_assert_eq!(distance(&a, &b) == 0, a == b);
            proptest::prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }
    }
}
