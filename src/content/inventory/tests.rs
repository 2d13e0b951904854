//! Against Ansible's own answers (tests/vectors), and what a person is told about wrong inventories.

use super::*;
use output::Shown;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::fs;

/// Files in a new directory.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(path, text).expect("file");
    }
    dir
}

fn loaded(name: &str, text: &str) -> Result<Inventory, Fault> {
    let dir = folder(&[(name, text)]);
    Inventory::load(&[dir.path().join(name)])
}

fn names(hosts: &[HostName]) -> Vec<&str> {
    hosts.iter().map(|host| &**host).collect()
}

struct Vector {
    dir: tempfile::TempDir,
    expect: Json,
    inventory: Inventory,
    patterns: Vec<(String, Option<String>)>,
    unordered: Vec<String>,
}

fn vector(case: &Json) -> Vector {
    let text = |value: &Json| value.as_str().expect("text").to_owned();
    let files: Vec<(&str, &str)> = case["files"]
        .as_object()
        .expect("files")
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str().expect("text")))
        .collect();
    let dir = folder(&files);
    let sources = case["sources"].as_array().expect("sources").iter();
    let sources: Vec<PathBuf> = sources
        .map(|source| match text(source) {
            list if list.contains(',') => list.into(),
            path => dir.path().join(path),
        })
        .collect();
    let mut inventory = Inventory::load(&sources).expect("loads");
    if let Some(playbook) = case["playbook"].as_str() {
        let playbook = dir.path().join(playbook);
        inventory = inventory.with_playbook_dir(&playbook).expect("loads");
    }
    let in_dir = |limit: String| match limit.rsplit_once('@') {
        Some((before, file)) => format!("{before}@{}", dir.path().join(file).display()),
        None => limit,
    };
    let patterns = case["patterns"].as_array().expect("patterns").iter();
    let patterns = patterns
        .map(|pair| {
            (
                text(&pair[0]),
                pair[1].as_str().map(|limit| in_dir(limit.to_owned())),
            )
        })
        .collect();
    let unordered = case["unordered"].as_array().expect("names").iter();
    Vector {
        expect: case["expect"].clone(),
        inventory,
        patterns,
        unordered: unordered.map(text).collect(),
        dir,
    }
}

/// Names as JSON, sorted where Ansible's order isn't fixed.
fn listed(names: &[HostName], unordered: bool) -> Json {
    let mut names: Vec<&str> = names.iter().map(|name| &**name).collect();
    if unordered {
        names.sort_unstable();
    }
    Json::from(names)
}

fn expected(names: &Json, unordered: bool) -> Json {
    let mut names = names.clone();
    if let (true, Some(names)) = (unordered, names.as_array_mut()) {
        names.sort_by_key(ToString::to_string);
    }
    names
}

#[test]
fn reads_and_selects_as_ansible() {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("../../../tests/vectors/inventory.json"))
            .expect("vectors");
    assert!(cases.len() > 20);
    for case in &cases {
        let title = &case["name"];
        let vector = vector(case);
        let inventory = &vector.inventory;
        assert_eq!(
            output::list(inventory, &Shown::default()),
            vector.expect["list"],
            "{title}"
        );
        let graph = inventory.graph("all", false).expect("graph");
        assert_eq!(graph, vector.expect["graph"], "{title}");
        let groups = vector.expect["groups"].as_object().expect("groups");
        let order: Vec<&str> = groups.keys().map(String::as_str).collect();
        assert_eq!(names(&inventory.groups()), order, "{title}");
        for (group, hosts) in groups {
            let unordered = vector.unordered.contains(group);
            let ours = inventory.group_hosts(group).expect("group");
            assert_eq!(
                listed(&ours, unordered),
                expected(hosts, unordered),
                "{title} {group}"
            );
        }
        let answers = vector.expect["select"].as_array().expect("answers");
        for ((pattern, limit), answer) in vector.patterns.iter().zip(answers) {
            let unordered = vector.unordered.contains(pattern);
            match inventory.select(pattern, limit.as_deref(), Unknown::Warn) {
                Ok(found) => assert_eq!(
                    listed(&found.hosts, unordered),
                    expected(answer, unordered),
                    "{title} {pattern} {limit:?}"
                ),
                Err(fault) => assert!(answer.is_string(), "{title} {pattern}: {fault}"),
            }
        }
        drop(vector.dir);
    }
}

#[test]
fn the_example_is_one_inventory_in_two_forms() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory.example");
    let load = |name: &str| Inventory::load(&[example.join(name)]).expect("loads");
    let (yaml, ini) = (load("hosts.yml"), load("hosts.ini"));
    assert!(yaml.warnings.is_empty() && ini.warnings.is_empty());
    let variables =
        |inventory: &Inventory| output::list(inventory, &Shown::default())["_meta"].clone();
    assert_eq!(variables(&yaml), variables(&ini));
    for group in [
        "all",
        "kube_control_plane",
        "etcd",
        "kube_node",
        "k8s_cluster",
    ] {
        assert!(yaml.group_hosts(group).is_some(), "{group}");
        assert_eq!(yaml.group_hosts(group), ini.group_hosts(group), "{group}");
    }
    for host in yaml.hosts() {
        assert_eq!(yaml.groups_of(&host), ini.groups_of(&host));
    }
    assert_eq!(yaml.hosts(), ini.hosts());
    assert_eq!(yaml.hosts().len(), 6);
    assert_eq!(
        names(&yaml.group_hosts("etcd").expect("etcd")),
        ["node1", "node2", "node3"]
    );
    assert!(yaml.vars("node6").contains_key("kube_version"));
}

/// A wrong inventory, where the fault must point to, and words of the message or its hints.
#[test]
fn wrong_inventories_are_explained() {
    for (name, text, place, words) in [
        (
            "h.yml",
            "all:\n  host:\n    a:\n",
            "2:3",
            "did you mean `hosts`?",
        ),
        (
            "h.yml",
            "all:\n  node1:\n    a: 1\n",
            "2:3",
            "below `children:`",
        ),
        ("h.yml", "all:\n  hosts: [a, b]\n", "2:10", "write `a:`"),
        (
            "h.yml",
            "all:\n  hosts:\n    a: 5\n",
            "3:8",
            "must be a mapping",
        ),
        (
            "h.yml",
            "all:\n  hosts:\n    1: {}\n",
            "3:5",
            "quotation marks",
        ),
        ("h.yml", "- a\n- b\n", "1:1", "start it with `all:`"),
        (
            "h.yml",
            "plugin: aws_ec2\n",
            "1:1",
            "the inventory plugin `aws_ec2` isn't supported",
        ),
        ("h.yml", "[web]\nnode1\n", "2:1", "extension .ini"),
        (
            "h.yml",
            "a:\n  hosts:\n    n[1:x]:\n",
            "3:5",
            "neither a number nor a letter",
        ),
        (
            "h.yml",
            "a:\n  children:\n    b:\n      children:\n        a:\n",
            "3:5",
            "a → b → a",
        ),
        ("h.ini", "[a]\nh1 x\n", "2:4", "name=value"),
        ("h.ini", "[a]\nh1 x='y\n", "2:6", "never closed"),
        ("h.ini", "[a:kids]\n", "1:1", "[group:children]"),
        ("h.ini", "[a b]\n", "1:1", "without spaces"),
        ("h.ini", "[a:children]\nb\n[bb]\n", "2:1", "bb?"),
        ("h.ini", "[a:vars]\nx=1\n", "1:1", "isn't defined"),
        ("h.ini", "[a]\n[a:vars]\nx: 1\n", "3:1", "write `x=1`"),
        ("h.ini", "---\nall:\n", "1:1", "extension .yml"),
        ("h.ini", "[a]\nh1:\n", "2:1", "extension .yml"),
        (
            "h.ini",
            "[a:children]\nb\n[b:children]\na\n",
            "4:1",
            "contain each other",
        ),
        ("h.ini", "h1:99999\n", "1:1", "1..65535"),
        (
            "h",
            "#!/bin/sh\necho {}\n",
            "",
            "executable inventories can't be run",
        ),
        (
            "h",
            "$ANSIBLE_VAULT;1.1;AES256\n61\n",
            "",
            "no vault secrets",
        ),
        ("h.toml", "[all]\n", "", "TOML"),
    ] {
        let Err(fault) = loaded(name, text) else {
            panic!("not refused: {text:?}");
        };
        let shown = fault.place.as_ref().expect("place").to_string();
        assert!(
            shown.ends_with(&format!("{name}:{place}").trim_end_matches(':')),
            "{text:?}: {fault:?}"
        );
        let said = format!("{}\n{}", fault.message, fault.hints.join("\n"));
        assert!(said.contains(words), "{text:?}: {fault:?}");
    }
    let missing = Inventory::load(&["nowhere/hosts.yml".into()])
        .err()
        .expect("missing");
    assert!(missing.message.contains("nowhere/hosts.yml"));
}

#[test]
fn unknown_names_are_faults_or_warnings() {
    let inventory = loaded("h", "[etcd]\nnode1\nnode2\n").expect("loads");
    let fault = inventory
        .select("etdc", None, Unknown::Fault)
        .expect_err("unknown");
    assert!(fault.hints[0].contains("etcd"), "{fault:?}");
    let found = inventory
        .select("etdc", None, Unknown::Warn)
        .expect("warned");
    assert_eq!(
        found.warnings,
        ["Could not match supplied host pattern, ignoring: etdc"]
    );
    assert!(found.hosts.is_empty());
    let fault = inventory
        .select("all", Some("!nod1"), Unknown::Fault)
        .expect_err("limit");
    assert!(fault.hints[0].contains("node1"), "{fault:?}");
    assert!(inventory.select("web*", None, Unknown::Fault).is_ok());
    assert!(inventory.select("etcd[5]", None, Unknown::Fault).is_err());
    assert!(inventory.select("~(", None, Unknown::Fault).is_err());
}

#[test]
fn variables_know_their_places() {
    let dir = folder(&[
        ("hosts.ini", "[a]\nh1 x=1\n"),
        ("group_vars/a.yml", "y: 1\nz:\n  - 1\n"),
    ]);
    let inventory = Inventory::load(&[dir.path().join("hosts.ini")]).expect("loads");
    let vars = inventory.vars("h1");
    let place = |name: &str| {
        let shown = vars[name].place.to_string();
        shown.rsplit('/').next().unwrap_or_default().to_owned()
    };
    assert_eq!(place("x"), "hosts.ini:2:4");
    assert_eq!(place("y"), "a.yml:1:4");
    assert_eq!(place("z"), "a.yml:3:3");
}

#[test]
fn the_implicit_localhost_has_variables_of_all() {
    let inventory = loaded("h", "h1\n[all:vars]\nx=1\n").expect("loads");
    let vars = inventory.vars("localhost");
    assert!(vars.contains_key("x") && vars.contains_key("ansible_connection"));
    assert!(!inventory.has_host("localhost"));
    let found = inventory
        .select("localhost", None, Unknown::Fault)
        .expect("found");
    assert_eq!(names(&found.hosts), ["localhost"]);
}

#[test]
fn groups_made_at_run_time_get_their_files() {
    let dir = folder(&[("hosts", "h1\n"), ("group_vars/made.yml", "from: file\n")]);
    let mut inventory = Inventory::load(&[dir.path().join("hosts")]).expect("loads");
    assert!(inventory.add_to_group("made", "h1").expect("added"));
    assert!(!inventory.add_to_group("made", "h1").expect("added"));
    assert!(inventory.vars("h1").contains_key("from"));
    inventory.add_host("h2", IndexMap::new()).expect("added");
    inventory.add_child("parent", "made").expect("added");
    assert_eq!(
        names(&inventory.group_hosts("parent").expect("group")),
        ["h1"]
    );
    assert_eq!(names(&inventory.groups_of("h1")), ["made", "parent"]);
    assert!(inventory.add_child("made", "parent").is_err());
    assert!(inventory.add_to_group("made", "h9").is_err());
}

#[test]
fn a_broken_file_of_variables_is_named() {
    for (text, words) in [
        ("- a\n", "must be a mapping"),
        ("1: a\n", "must be text"),
        ("$ANSIBLE_VAULT;1.1;AES256\n61\n", "no vault secrets"),
    ] {
        let dir = folder(&[("hosts", "h1\n"), ("host_vars/h1.yml", text)]);
        let fault = Inventory::load(&[dir.path().join("hosts")])
            .err()
            .expect("refused");
        assert!(fault.message.contains(words), "{fault:?}");
        let place = fault.place.expect("place").to_string();
        assert!(place.contains("host_vars/h1.yml"), "{place}");
    }
}

proptest! {
    #[test]
    fn any_ini_is_read_or_refused(text in "(\\PC|[\\[\\]:=#'\"\\\\\\n ]){0,120}") {
        let mut inventory = Inventory::default();
        let file: Arc<Path> = Arc::from(Path::new("hosts.ini"));
        let settings = Settings::default();
        let mut reader = Reader::new(&mut inventory.graph, &mut inventory.warnings, &settings);
        let _result = ini::read(&mut reader, &text, &file);
    }

    #[test]
    fn ini_values_never_panic(text in "[\\[\\](){}'\",:a-z0-9_.+\\\\ #-]{0,24}|\\PC{0,16}") {
        let place = Place::file(Path::new("hosts.ini"));
        let _value = literal::value(&text, &place).value();
    }

    #[test]
    fn any_pattern_is_answered(pattern in "[a-z*?\\[\\]!&:,~0-9 ()|^-]{0,16}") {
        let inventory = {
            let mut inventory = Inventory::default();
            for host in ["a", "b1", "b2"] {
                inventory.add_host(host, IndexMap::new()).expect("added");
            }
            inventory
        };
        let _answer = inventory.select(&pattern, None, Unknown::Warn);
        let _answer = inventory.select("all", Some(&pattern.replace('@', "")), Unknown::Fault);
    }
}
