//! Against PyYAML's own answers (tests/vectors), and what a person is told about wrong YAML.

use super::*;
use crate::content::value::{Key, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::RwLock;

fn file() -> Arc<Path> {
    Arc::from(Path::new("site.yml"))
}

fn parsed(text: &str) -> Node {
    parse_one(text, &file(), &mut Vec::new()).expect("parses")
}

fn fault(text: &str) -> Fault {
    parse(text, &file()).expect_err("refused")
}

/// A node in the notation of the vectors.
fn notation(node: &Node) -> Json {
    if node.tag.as_deref() == Some(Node::VAULT) {
        return json!(["v", node.as_str()]);
    }
    let value = match &node.kind {
        Kind::Null => json!(["n"]),
        Kind::Bool(value) => json!(["b", value]),
        Kind::Int(value) => json!(["i", value.to_string()]),
        Kind::BigInt(value) => json!(["i", value.to_string()]),
        Kind::Float(value) if value.is_nan() => json!(["f", "nan"]),
        Kind::Float(value) => json!(["f", format!("{:016x}", value.to_bits())]),
        Kind::Str(text) => json!(["s", &**text]),
        Kind::Seq(items) => json!(["l", items.iter().map(notation).collect::<Vec<_>>()]),
        Kind::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| json!([notation(key), notation(value)]));
            json!(["m", entries.collect::<Vec<_>>()])
        }
    };
    match node.tag.as_deref() {
        Some(Node::UNSAFE) => json!(["u", value]),
        _ => value,
    }
}

#[test]
fn reads_as_pyyaml() {
    let vectors: Vec<(String, Json)> =
        serde_json::from_str(include_str!("../../../tests/vectors/yaml.json")).expect("vectors");
    assert!(vectors.len() > 200);
    for (text, expected) in vectors {
        let ours = match parse(&text, &file()) {
            Ok(documents) => documents.iter().map(notation).collect(),
            Err(_) => Json::Null,
        };
        // `!unsafe [a, {b: c}]`: PyYAML's answer wraps the whole, ours too.
        assert_eq!(ours, expected, "{text:?}");
    }
}

/// A value from the notation of the vectors.
fn built(notation: &Json, shared: &mut HashMap<u64, Value>) -> Value {
    let parts = notation.as_array().expect("array");
    let text = || parts[1].as_str().expect("text");
    let list = || parts[1].as_array().expect("list").iter();
    match parts[0].as_str().expect("kind") {
        "n" => Value::None,
        "b" => Value::Bool(parts[1].as_bool().expect("boolean")),
        "i" => match text().parse() {
            Ok(value) => Value::Int(value),
            Err(_) => Value::BigInt(Arc::new(text().parse().expect("integer"))),
        },
        "f" => Value::Float(text().parse().expect("float")),
        "s" => Value::from(text()),
        "l" => Value::List(Arc::new(RwLock::new(
            list().map(|item| built(item, shared)).collect(),
        ))),
        "t" => Value::Tuple(list().map(|item| built(item, shared)).collect()),
        "m" => {
            let mut entry = |pair: &Json| (Key(built(&pair[0], shared)), built(&pair[1], shared));
            Value::Dict(Arc::new(RwLock::new(list().map(&mut entry).collect())))
        }
        "&" => {
            let value = built(&parts[2], shared);
            shared.insert(parts[1].as_u64().expect("number"), value.clone());
            value
        }
        "*" => shared[&parts[1].as_u64().expect("number")].clone(),
        other => panic!("unknown kind {other}"),
    }
}

fn style(arguments: &Json) -> Style {
    let mut style = if arguments["nice"] == true {
        Style::NICE
    } else {
        Style::YAML
    };
    let number = |name: &str| {
        let value = arguments[name].as_i64()?;
        Some(i32::try_from(value).expect("small"))
    };
    style.indent = number("indent").or(style.indent);
    style.width = number("width");
    style.sort_keys = arguments["sort_keys"] != false;
    style.flow = arguments["default_flow_style"].as_bool().or(style.flow);
    style.explicit_start = arguments["explicit_start"] == true;
    style.explicit_end = arguments["explicit_end"] == true;
    style.scalars = arguments["default_style"]
        .as_str()
        .and_then(|text| text.chars().next());
    style
}

#[test]
fn writes_as_pyyaml() {
    let vectors: Vec<Json> =
        serde_json::from_str(include_str!("../../../tests/vectors/to_yaml.json")).expect("vectors");
    assert!(vectors.len() > 700);
    for vector in vectors {
        let value = built(&vector["value"], &mut HashMap::new());
        let text = dump(&value, &style(&vector["style"])).expect("written");
        assert_eq!(text, vector["text"].as_str().expect("text"), "{vector}");
    }
}

#[test]
fn places_of_keys_and_values() {
    let root = parsed("a:\n  - x\n  - b: |\n      text\n    'c': !unsafe y\n");
    let at = |node: &Node| (node.place.line, node.place.column);
    let (key, list) = root.entry("a").expect("a");
    assert_eq!((at(key), at(list)), ((1, 1), (2, 3)));
    let map = &list.as_seq().expect("list")[1];
    assert_eq!(at(map), (3, 5));
    assert_eq!(at(map.get("b").expect("b")), (3, 8));
    assert_eq!(at(&map.entry("c").expect("c").0), (5, 5));
    assert_eq!(at(map.get("c").expect("c")), (5, 10));
    assert_eq!(root.place.to_string(), "site.yml:1:1");
}

#[test]
fn duplicate_keys_warn_with_both_places() {
    let mut warnings = Vec::new();
    let text = "base: &b {x: 1}\nmore:\n  <<: *b\n  x: 2\ntwice: 1\ntwice: 2\n";
    let root = parse_one(text, &file(), &mut warnings).expect("parses");
    assert_eq!(root.get("twice").and_then(Node::as_int), Some(2));
    assert_eq!(warnings.len(), 1, "overriding a merged key is no mistake");
    assert_eq!(
        warnings[0].place.as_ref().map(ToString::to_string),
        Some("site.yml:6:1".to_owned())
    );
    assert!(warnings[0].hints[0].contains("site.yml:5:1"));
}

#[test]
fn aliases_are_shared_and_bombs_are_free() {
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..60 {
        let below = level - 1;
        text.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    let root = parsed(&text);
    let Value::Dict(dict) = root.value().expect("converts") else {
        panic!("a mapping");
    };
    assert_eq!(dict.read().expect("lock").len(), 60);
    for level in 60..300 {
        let below = level - 1;
        text.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    assert!(fault(&text).message.contains("nested"));
}

#[test]
fn json_is_read_as_json() {
    let root = parsed("{\"a\": 1e3, \"b\": [true, null]}");
    assert!(matches!(root.get("a").expect("a").kind, Kind::Float(value) if value == 1000.0));
    assert_eq!(root.get("b").expect("b").place.column, 17);
    let root = parsed("{\n\t\"a\":\t\"\\ud83d\\ude00\"\n}");
    assert_eq!(root.get("a").and_then(Node::as_str), Some("😀"));
}

#[test]
fn one_document_only() {
    let fault = parse_one("a: 1\n---\nb: 2\n", &file(), &mut Vec::new()).expect_err("two");
    assert_eq!(fault.place.expect("place").line, 3);
    assert!(parsed("").is_null());
}

/// Wrong text, where the fault must point to, and words of its hint.
#[test]
fn classic_mistakes_have_hints() {
    for (text, place, words) in [
        ("app: {{ base }}/foo\n", "1:6", "\"{{ base }}/foo\""),
        ("app: {{ base }}\n", "1:6", "\"{{ base }}\""),
        ("- {{ item }}\n", "1:3", "quoted as a whole"),
        ("name: a: b\n", "1:8", "`name: \"a: b\"`"),
        // The parser's library panics here.
        ("a: [!b,c]\n", "1:5", "followed by a space"),
        ("a:\n\tb: 1\n", "2:1", "tab"),
        ("key: 1\nhosts:all\nother: 2\n", "2:1", "hosts: all"),
        ("a: 1\n  b: 2\n", "2:4", "indented too deep"),
        ("a:\n    b: 1\n  c: 2\n", "3:3", "one column"),
        ("when: \"ok\" in x\n", "1:12", "quote the whole value"),
        ("a: 'open\n", "1:4", "never closed"),
        ("a: @home\n", "1:4", "quote"),
        ("a: \"C:\\dir\"\n", "1:7", "single quotes"),
        ("a: [1, 2\nb: 3\n", "2:2", "bracket"),
        ("a: *home\n", "1:4", "must be quoted"),
        ("a: !foo x\n", "1:4", "!unsafe"),
        ("a: !!int x\n", "1:4", ""),
        ("a: &x [*x]\n", "1:8", "contain itself"),
        ("a: \u{1}\n", "1:4", "escape"),
        ("? [a]\n: b\n", "1:3", ""),
    ] {
        let fault = fault(text);
        let place = format!("site.yml:{place}");
        let shown = fault.place.as_ref().map(ToString::to_string);
        assert_eq!(shown.as_deref(), Some(&*place), "{text:?}: {fault:?}");
        let hints = fault.hints.join("\n");
        assert!(hints.contains(words), "{text:?}: {fault:?}");
    }
}

#[test]
fn unsafe_text_is_not_trusted() {
    let root = parsed("a: !unsafe [ '{{ x }}' ]\n");
    let Value::List(items) = root.get("a").expect("a").value().expect("converts") else {
        panic!("a list");
    };
    let items = items.read().expect("lock");
    assert!(matches!(&items[0], Value::Str(text) if !text.trusted));
}

/// Values that YAML can say and that are read back as they were.
fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[ -~\u{a0}-\u{ff}\n]{0,24}".prop_map(Json::from),
        "[0-9:._exob+-]{1,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[ -~]{0,10}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// What PyYAML's C loader reads, for each text. Files whose last line isn't ended are common.
#[test]
fn a_text_may_end_without_a_newline() {
    for (text, expected) in [
        ("a: |\n  x", "x"),
        ("a: >\n  x\n  y", "x y"),
        ("a: |+\n  x", "x"),
        ("a: |-\n  x", "x"),
        ("a: |\n  x\n  ", "x\n"),
        ("a: >\n  x\n\n  y", "x\ny"),
        ("a: |", ""),
        ("a: >-", ""),
        ("a: |\n  ", ""),
        ("a: |2\n   x", " x"),
        ("a: >\n\n   x", "\nx"),
        ("a: x", "x"),
        ("a: 'x'", "x"),
        ("a: x # y", "x"),
    ] {
        let read = parse(text, &file()).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
        assert_eq!(
            notation(&read[0]),
            json!(["m", [[["s", "a"], ["s", expected]]]]),
            "{text:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "(\\PC|[\\n\\t:{}\\[\\]&*!|>'\"%@#-]){0,80}") {
        let _result = parse(&text, &file());
    }

    #[test]
    fn yaml_like_text_is_parsed_or_refused(
        lines in prop::collection::vec("[ \t]{0,4}(- |\\? |: )?[a-z<&*!'\"{}\\[\\],|>#]{0,4}(: ?|)[a-z0-9'\"{}|>*&]{0,5}", 0..12)
    ) {
        if let Ok(documents) = parse(&lines.join("\n"), &file()) {
            for document in documents {
                let _value = document.value();
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(value in any_value()) {
        let node = json::node(&value, &Place::file(&file()));
        for style in [Style::YAML, Style::NICE] {
            let text = dump(&node.value().expect("converts"), &style).expect("written");
            let read = parse(&text, &file()).expect("parses");
            prop_assert_eq!(sorted(notation(&read[0])), sorted(notation(&node)), "{}", text);
        }
    }
}

/// Entries of mappings in order of their keys: writing sorts them.
fn sorted(mut notation: Json) -> Json {
    if let Some(parts) = notation.as_array_mut() {
        for part in parts.iter_mut() {
            *part = sorted(part.take());
        }
        if parts.first() == Some(&json!("m"))
            && let Some(entries) = parts[1].as_array_mut()
        {
            entries.sort_by_key(|entry| entry[0].to_string());
        }
    }
    notation
}
