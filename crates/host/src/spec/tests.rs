use super::check::Templates;
use super::convert::convert_arg;
use super::near::distance;
use super::{normalise, spec, specs, validate};
use crate::modules::{Entry, TABLE};
use crate::{Arg, Kind, Rule, Spec};
use serde_json::{Map, Value, json};

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
    let typed = normalise(&ALL, &args(json!({"path": 5, "items": [1, true]}))).expect("all fine");
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
    assert!(fault(json!({})).starts_with("demo: the argument path is missing"));
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
    assert!(fault(json!({"path": "/a", "mode": 644_000})).starts_with("mode must be a file mode"));
    assert!(
        fault(json!({"path": "/a", "content": "a", "items": "b"})).contains("only one of these")
    );
    assert_eq!(
        fault(json!({"path": "/a", "state": "absent"})),
        "demo: state=absent needs count"
    );
}

#[test]
fn an_alias_wins_over_the_name_that_it_stands_for() {
    for given in [
        json!({"path": "/a", "dest": "/b"}),
        json!({"dest": "/b", "path": "/a"}),
    ] {
        let typed = normalise(&ALL, &args(given)).expect("all fine");
        assert_eq!(typed["path"], "/b");
    }
}

#[test]
fn failures_that_are_expected_have_ansibles_words() {
    let words = |value| {
        normalise(&ALL, &args(value))
            .expect_err("it is wrong")
            .words
    };
    assert_eq!(
        words(json!({"frce": 1})),
        "missing required arguments: path"
    );
    assert_eq!(
        words(json!({"path": "/a", "state": "presnt"})),
        "value of state must be one of: present, absent, got: presnt"
    );
    assert_eq!(
        words(json!({"path": "/a", "count": "z", "frce": 1})),
        "argument 'count' is of type <class 'str'> and we were unable to convert to int: \"'z'\" cannot be converted to an int"
    );
    assert!(
        words(json!({"path": "/a", "frce": 1}))
            .starts_with("Unsupported parameters for (demo) module: frce. ")
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
fn a_template_may_leave_an_argument_out() {
    let spec = spec("pip").expect("it is there");
    let both = |executable: &str| {
        args(
            json!({"name": "x", "virtualenv": "{{ v | default(omit) }}", "executable": executable}),
        )
    };
    assert_eq!(validate(spec, &both("pip3")), Ok(()));
    assert!(normalise(spec, &both("pip3")).is_err());
    let sure = args(json!({"name": "x", "virtualenv": "/v", "executable": "pip3"}));
    assert!(validate(spec, &sure).is_err());
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
                        panic!(
                            "{}: the default of {}: {}",
                            spec.name, arg.name, error.error
                        )
                    });
            }
        }
    }
}

/// A value that an argument takes.
fn sample(kind: Kind, elements: Kind) -> Value {
    match kind {
        Kind::Str | Kind::Raw => json!("x"),
        Kind::Path => json!("/x"),
        Kind::Bool => json!(true),
        Kind::Int => json!(1),
        Kind::Float => json!(1.5),
        // What a dictionary must hold the specification doesn't say.
        Kind::List if elements == Kind::Dict => json!([]),
        Kind::List => json!([sample(elements, Kind::Str)]),
        Kind::Dict => json!({}),
        Kind::Mode => json!("0644"),
    }
}

/// What a specification promises (an argument may be left out, these are its choices) the type of the module keeps.
#[test]
fn every_module_reads_the_arguments_that_it_specifies() {
    let mut wrong = Vec::new();
    let mut read = |entry: &Entry, args: Map<String, Value>| {
        let shown = Value::Object(args.clone()).to_string();
        if let Err(error) = (entry.read)(args)
            && ["missing field", "unknown variant", "invalid type"]
                .iter()
                .any(|start| error.starts_with(start))
        {
            wrong.push(format!("{}: {error}: {shown}", entry.spec.name));
        }
    };
    // The others are parts of actions, whose arguments nobody writes.
    for entry in TABLE
        .iter()
        .filter(|entry| !entry.spec.name.starts_with('_'))
    {
        let mut least = Map::new();
        for arg in entry.spec.args {
            let value = match (arg.default, arg.choices.first()) {
                (Some(text), _) => {
                    convert_arg(arg, arg.name, &Value::from(text), Templates::Rendered)
                        .unwrap_or_else(|_| panic!("{}: default of {}", entry.spec.name, arg.name))
                }
                (None, Some(choice)) if arg.required => json!(choice),
                (None, None) if arg.required => sample(arg.kind, arg.elements),
                _ => continue,
            };
            least.insert(arg.name.to_owned(), value);
        }
        read(entry, least.clone());
        for arg in entry.spec.args {
            let choices: Vec<Value> = match (arg.choices, arg.kind) {
                ([], _) => vec![sample(arg.kind, arg.elements)],
                (choices, Kind::List) => vec![json!(choices)],
                (choices, Kind::Bool) => vec![json!(!choices.is_empty())],
                (choices, _) => choices.iter().map(|choice| json!(choice)).collect(),
            };
            for choice in choices {
                let mut args = least.clone();
                args.insert(arg.name.to_owned(), choice);
                read(entry, args);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest::proptest! {
    #[test]
    fn distance_is_a_metric(a in "[a-c]{0,6}", b in "[a-c]{0,6}", c in "[a-c]{0,6}") {
        proptest::prop_assert_eq!(distance(&a, &b), distance(&b, &a));
        proptest::prop_assert_eq!(distance(&a, &b) == 0, a == b);
        proptest::prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
    }
}
