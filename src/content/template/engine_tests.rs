//! What the vectors of Ansible can't say: messages, places, sharing, files and bounds.

use super::testing::{templar, templar_in};
use super::{Scope, Templar, TemplateSettings};
use crate::content::place::Place;
use crate::content::value::Value;
use indexmap::IndexMap;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn text(templar: &Templar, template: &str) -> String {
    match templar.render_text(template) {
        Ok(value) => value.to_text(),
        Err(error) => panic!("{template}: {error}"),
    }
}

fn error(templar: &Templar, template: &str) -> super::TemplateError {
    match templar.render_text(template) {
        Ok(value) => panic!("{template} gives {value:?}"),
        Err(error) => error,
    }
}

#[test]
fn an_undefined_variable_is_named_with_its_place_and_its_neighbours() {
    let templar = templar(&json!({"etcd_version": 1, "etcd": {"member_name": "a"}}));
    let found = error(&templar, "a\n  {{ etcd_verson }}");
    assert_eq!(found.message, "'etcd_verson' is undefined");
    assert_eq!(found.name.as_deref(), Some("etcd_verson"));
    assert_eq!(found.at(), Some((2, 6)));
    assert_eq!(
        found.hints,
        ["Defined, with a similar name: `etcd_version`."]
    );
    let found = error(&templar, "{{ etcd.membername | upper }}");
    assert_eq!(found.message, "'dict object' has no attribute 'membername'");
    assert_eq!(
        found.hints,
        ["Defined, with a similar name: `etcd.member_name`."]
    );
    let found = error(&templar, "{{ etcd.port }}");
    assert_eq!(found.hints, ["`etcd` has: member_name."]);
}

#[test]
fn a_variable_that_needs_an_undefined_one_says_so() {
    let templar = templar(&json!({"a": "{{ b }}", "b": "x{{ nothing_there }}"}));
    let found = error(&templar, "{{ a }}");
    assert_eq!(
        found.message,
        "'nothing_there' is undefined (needed by 'b', by 'a')"
    );
    assert_eq!(found.name.as_deref(), Some("nothing_there"));
}

#[test]
fn places_inside_templates_become_places_in_files() {
    let file: Arc<Path> = Arc::from(Path::new("play.yml"));
    let scalar = Place::new(&file, 10, 7);
    let templar = templar(&json!({}));
    let fault = error(&templar, "one\ntwo\n{{ nothing_there }}").in_scalar(&scalar);
    assert_eq!(
        fault.place.map(|place| place.to_string()).as_deref(),
        Some("play.yml:13:1")
    );
    let fault = error(&templar, "{{ nothing_there }}").in_scalar(&scalar);
    assert_eq!(fault.place, Some(scalar));
}

#[test]
fn loops_of_variables_are_named() {
    let templar = templar(&json!({"a": "{{ b }}", "b": "{{ c }}", "c": "{{ a }}"}));
    assert_eq!(
        error(&templar, "{{ a }}").message,
        "recursive loop detected in template string: a -> b -> c -> a"
    );
    // An error is not "undefined": a default doesn't hide it.
    assert!(templar.render_text("{{ a | default(1) }}").is_err());
}

#[test]
fn endless_macros_end() {
    let templar = templar(&json!({}));
    let found = error(
        &templar,
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    );
    assert!(found.message.contains("nested too deeply"), "{found}");
    // Deep, but with an end.
    let deep = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}.{% endmacro %}{{ m(900) }}";
    assert_eq!(text(&templar, deep).len(), 901);
}

#[test]
fn what_a_template_changes_it_changes_for_itself() {
    let templar = templar(&json!({"list": [1], "deep": {"list": ["{{ list }}"]}}));
    assert_eq!(
        text(&templar, "{% set _ = list.append(2) %}{{ list }}"),
        "[1, 2]"
    );
    assert_eq!(text(&templar, "{{ list }}"), "[1]");
    assert_eq!(
        text(&templar, "{% do deep.list.append(3) %}{{ deep }}"),
        "{'list': [[1], 3]}"
    );
    assert_eq!(text(&templar, "{{ deep }}"), "{'list': [[1]]}");
}

#[test]
fn without_templates_containers_are_shared_and_not_copied() {
    let templar = templar(&json!({"plain": {"a": [1, "b"]}}));
    let (Ok(Value::Dict(one)), Ok(Value::Dict(other))) =
        (templar.render_text("{{ plain }}"), templar.expr("plain"))
    else {
        panic!("both are dictionaries");
    };
    assert!(Arc::ptr_eq(&one, &other));
}

/// Counts how often a variable is asked for.
struct Counting(AtomicUsize);

impl Scope for Counting {
    fn get(&self, name: &str) -> Option<Value> {
        match name {
            "costly" => {
                self.0.fetch_add(1, Ordering::Relaxed);
                Some(Value::from("{{ other }}!"))
            }
            "other" => Some(Value::from("o")),
            "with_item" => Some(Value::from("<{{ item | default('-') }}>")),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        vec!["costly".to_owned()]
    }
}

#[test]
fn a_variable_is_rendered_once_for_all_items_of_a_loop() {
    let scope = Arc::new(Counting(AtomicUsize::new(0)));
    let host = Templar::new(Arc::clone(&scope) as Arc<dyn Scope>, Arc::default());
    for item in 0..5 {
        let locals = IndexMap::from([("item".to_owned(), Value::Int(item))]);
        let templar = host.with(locals);
        assert_eq!(
            text(&templar, "{{ costly }}{{ item }}{{ with_item }}"),
            format!("o!{item}<{item}>")
        );
    }
    assert_eq!(scope.0.load(Ordering::Relaxed), 1);
    assert_eq!(text(&host, "{{ with_item }}"), "<->");
    // A name that another variable is made from wins over what was rendered without it.
    let locals = IndexMap::from([("other".to_owned(), Value::from("changed"))]);
    assert_eq!(text(&host.with(locals), "{{ costly }}"), "changed!");
}

#[test]
fn chance_is_taken_anew() {
    let templar = templar(&json!({"dice": "{{ 1000000000 | random }}"}));
    let found: Vec<String> = (0..3).map(|_| text(&templar, "{{ dice }}")).collect();
    assert!(found[0] != found[1] || found[1] != found[2], "{found:?}");
}

#[test]
fn conditions_from_hosts_are_refused() {
    let templar = templar(&json!({"said": {"__unsafe": "true"}}));
    assert!(templar.condition(&Value::untrusted("true")).is_err());
    assert!(
        templar
            .condition(&Value::from("{{ said }} or true"))
            .is_err()
    );
    assert!(templar.condition(&Value::from("said == 'true'")).unwrap());
}

#[test]
fn text_of_hosts_stays_data_through_everything() {
    let vars = json!({
        "said": {"__unsafe": "{{ secret }}"}, "secret": "s",
        "made": "{{ said }}", "joined": "{{ said ~ '' }}", "listed": ["{{ said }}"],
        "shouted": "{{ said | replace('x', 'y') }}", "each": "{% for c in [said] %}{{ c }}{% endfor %}",
        "via_macro": "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(said) }}",
        "via_set": "{% set x %}{{ said }}{% endset %}{{ x }}", "formatted": "{{ '%s' % said }}",
        "braced": "{{ '{}'.format(said) }}", "b64": "{{ said | b64encode | b64decode }}",
        "json": "{{ (said | to_json | from_json) }}", "dict": "{{ {'k': said}.k }}",
    });
    let templar = templar(&vars);
    for name in vars
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| *name != "secret")
    {
        let found = templar.render_text(&format!("{{{{ {name} }}}}")).unwrap();
        assert!(found.repr().contains("{{ secret }}"), "{name}: {found:?}");
        assert!(found.holds_untrusted(), "{name}");
    }
}

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

#[test]
fn templates_use_other_templates() {
    let dir = tree(&[
        ("templates/part.j2", "[{{ x }}{{ y | default('-') }}]\n"),
        ("blind.j2", "[{{ x | default('-') }}{{ y | default('-') }}]"),
        (
            "lib.j2",
            "{% macro twice(a) %}{{ a }}{{ a }}{{ x | default('') }}{% endmacro %}{% set z = 9 %}",
        ),
        (
            "base.j2",
            "A{% block one %}base{% endblock %}B{% block two %}2{% endblock %}C",
        ),
        (
            "child.j2",
            "{% extends 'base.j2' %}{% set q = 5 %}{% block one %}<{{ super() }}{{ q }}>{% endblock %}ignored",
        ),
    ]);
    let templar = templar_in(&json!({"x": "v"}), vec![dir.path().to_path_buf()]);
    let cases = [
        ("{% include 'part.j2' %}", "[v-]"),
        ("{% set y = 1 %}{% include 'part.j2' %}!", "[v1]!"),
        (
            "{% set y = 1 %}{% include 'blind.j2' without context %}",
            "[--]",
        ),
        ("{% include ['none.j2', 'part.j2'] %}", "[v-]"),
        ("{% include 'none.j2' ignore missing %}x", "x"),
        (
            "{% import 'lib.j2' as lib %}{{ lib.twice('a') }}{{ lib.z }}",
            "aa9",
        ),
        (
            "{% from 'lib.j2' import twice as t, z with context %}{{ t(1) }}-{{ z }}",
            "11v-9",
        ),
        ("{% include 'child.j2' %}", "A<base5>B2C"),
        (
            "{% extends 'base.j2' %}{% block two %}{{ x }}{% endblock %}",
            "AbaseBvC",
        ),
        ("{{ lookup('template', 'part.j2') }}", "[v-]\n"),
        (
            "{{ lookup('template', 'part.j2', template_vars={'y': 7}) }}",
            "[v7]\n",
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(
            templar.render_file(template).unwrap(),
            expected,
            "{template}"
        );
    }
}

#[test]
fn includes_in_a_circle_are_refused() {
    let dir = tree(&[
        ("a.j2", "{% include 'b.j2' %}"),
        ("b.j2", "{% include 'a.j2' %}"),
    ]);
    let templar = templar_in(&json!({}), vec![dir.path().to_path_buf()]);
    let found = templar.render_file("{% include 'a.j2' %}").unwrap_err();
    assert!(
        found.message.starts_with("templates include each other: "),
        "{found}"
    );
    assert!(found.message.ends_with("a.j2"), "{found}");
}

#[test]
fn an_error_in_another_template_names_its_file() {
    let dir = tree(&[("bad.j2", "one\n{{ nothing_there }}\n")]);
    let templar = templar_in(&json!({}), vec![dir.path().to_path_buf()]);
    let found = templar.render_file("{% include 'bad.j2' %}").unwrap_err();
    let fault = crate::content::place::Fault::from(found);
    let place = fault.place.unwrap().to_string();
    assert!(place.ends_with("bad.j2:2:4"), "{place}");
    let found = templar.render_file("x{% include 'none.j2' %}").unwrap_err();
    assert_eq!(found.message, "template not found: none.j2");
    assert!(found.hints[0].contains(&*dir.path().to_string_lossy()));
}

#[test]
fn headers_of_files_set_how_blocks_are_trimmed() {
    let templar = templar(&json!({}));
    let body = "  {% if true %}\nx\n  {% endif %}\ny\n";
    let rendered = |header: &str| templar.render_file(&format!("{header}{body}")).unwrap();
    assert_eq!(rendered(""), "  x\n  y\n");
    assert_eq!(rendered("#jinja2: lstrip_blocks: True\n"), "x\ny\n");
    assert_eq!(
        rendered("#jinja2: trim_blocks: False, lstrip_blocks: True\n"),
        "\nx\n\ny\n"
    );
    let other =
        "#jinja2: variable_start_string: '[[', variable_end_string: ']]'\n[[ 1 + 1 ]] {{ x }}";
    assert_eq!(templar.render_file(other).unwrap(), "2 {{ x }}");
    let broken = templar
        .render_file("#jinja2: trim_blocks: True\na\n{{ nothing_there }}")
        .unwrap_err();
    assert_eq!(broken.at().map(|(line, _)| line), Some(3));
}

#[test]
fn lookups_read_files_of_the_search_path() {
    let dir = tree(&[
        ("files/a.txt", "text \n\n"),
        ("files/b.conf", "b"),
        ("c.conf", "c"),
    ]);
    let templar = templar_in(&json!({}), vec![dir.path().to_path_buf()]);
    assert_eq!(text(&templar, "{{ lookup('file', 'a.txt') }}"), "text");
    let globbed = text(
        &templar,
        "{{ query('fileglob', '*.conf') | map('basename') | list }}",
    );
    assert_eq!(globbed, "['b.conf']");
    let first = text(
        &templar,
        "{{ lookup('first_found', ['x.txt', 'c.conf']) | basename }}",
    );
    assert_eq!(first, "c.conf");
    let found = error(&templar, "{{ lookup('file', 'nope.txt') }}");
    assert_eq!(
        found.message,
        "lookup 'file': could not locate file in lookup: nope.txt"
    );
    assert_eq!(text(&templar, "{{ lookup('env', 'HOME') }}"), "/home/op");
    assert!(
        error(&templar, "{{ lookup('pipe', 'true') }}")
            .message
            .contains("can't be run here")
    );
}

#[test]
fn commands_run_through_the_one_who_allows_them() {
    let settings = TemplateSettings {
        command: Some(Arc::new(|command, _| match command {
            "two" => Ok("a\nb\n".to_owned()),
            other => Err(format!("{other} failed")),
        })),
        ..TemplateSettings::default()
    };
    let scope = Arc::new(super::testing::scope(&json!({})));
    let templar = Templar::new(scope, Arc::new(settings));
    assert_eq!(text(&templar, "{{ lookup('pipe', 'two') }}"), "a\nb");
    assert_eq!(text(&templar, "{{ query('lines', 'two') }}"), "['a', 'b']");
    assert_eq!(
        error(&templar, "{{ lookup('pipe', 'x') }}").message,
        "lookup 'pipe': x failed"
    );
}

#[test]
fn a_password_is_made_once_and_kept_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials/key.creds");
    let templar = templar(&json!({"path": path.to_string_lossy()}));
    let lookup = "{{ lookup('password', path ~ ' length=64 chars=hexdigits') | lower }}";
    let password = text(&templar, lookup);
    assert_eq!(password.len(), 64);
    assert!(password.chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!(text(&templar, lookup), password);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let kept = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(kept, 1, "nothing is left beside it");
    std::fs::write(&path, "given salt=abc\n").unwrap();
    assert_eq!(text(&templar, lookup), "given");
}

#[test]
fn omit_survives_alone() {
    let templar =
        templar(&json!({"args": {"mode": "{{ m | default(omit) }}", "list": ["{{ omit }}"]}}));
    let args = templar.variable("args").unwrap().unwrap();
    assert!(Templar::is_omit(&args.get("mode").unwrap()));
    assert!(Templar::is_omit(
        &args.get("list").unwrap().iterate().unwrap()[0]
    ));
    assert!(!Templar::is_omit(&Value::from("x")));
}

#[test]
fn loops_with_lookups_get_lists() {
    let templar = templar(&json!({}));
    let terms = vec![Value::list(vec!["a".into()])];
    let found = templar.lookup("indexed_items", terms, "files").unwrap();
    assert_eq!(found[0].repr(), "[0, 'a']");
    assert!(templar.lookup("no_such", Vec::new(), "files").is_err());
}

#[test]
fn variables_that_are_missing_are_none_and_those_that_fail_are_errors() {
    let templar = templar(&json!({"broken": "{{ nothing_there }}", "fine": "{{ 1 }}"}));
    assert_eq!(templar.variable("fine").unwrap().unwrap().to_text(), "1");
    assert!(templar.variable("nope").unwrap().is_none());
    assert!(templar.variable("broken").unwrap_err().is_undefined());
    assert!(templar.expr("broken").unwrap().is_undefined());
    assert!(
        !templar
            .condition(&Value::from("broken is defined"))
            .unwrap()
    );
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_written_breaks_the_engine(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "{{", "}}", "{%", "%}", " a ", "b", ".", "|", "upper", "(", ")", "[", "]", "1", "'x'",
                "if", "for", "in", "endif", "endfor", "set", "=", "+", "*", "is", "defined", "not", ",",
                "{", "}", ":", "-", "join", "list", "map", "~", "//", "0", "loop", "a.append(a)", "**",
            ]),
            0..14,
        ),
    ) {
        let templar = templar(&json!({"a": [1, "x"], "b": {"c": "{{ a }}"}}));
        let template = words.join(" ");
        let _rendered = templar.render_text(&template);
        let _rendered = templar.expr(&template);
    }
}
