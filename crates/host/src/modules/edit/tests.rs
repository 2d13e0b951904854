use crate::modules::test::{check, mode, run};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A file with this content, in a directory of its own.
struct Case {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Case {
    fn new(content: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, content).expect("written");
        Self { dir, file }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).expect("text")
    }

    fn args(&self, args: &Value) -> Value {
        let mut args = args.clone();
        args["path"] = self.file.to_string_lossy().into();
        args
    }
}

/// Check mode foretells, the run does it, a second run finds nothing to do.
fn edits(module: &str, before: &str, args: &Value, after: &str) {
    let case = Case::new(before);
    let args = case.args(args);
    let foretold = check(module, args.clone());
    assert_eq!(case.text(), before, "check mode of {args}");
    let done = run(module, args.clone());
    assert!(!done.failed, "{args}: {done:?}");
    assert_eq!(case.text(), after, "{args}");
    assert_eq!(done.changed, before != after, "{args}: {done:?}");
    assert_eq!(
        (
            foretold.changed,
            &foretold.data["diff"],
            &foretold.data["msg"]
        ),
        (done.changed, &done.data["diff"], &done.data["msg"]),
        "{args}"
    );
    let again = run(module, args.clone());
    assert!(!again.changed && !again.failed, "again {args}: {again:?}");
    assert_eq!(fs::read_dir(case.dir.path()).expect("there").count(), 1);
}

#[test]
fn a_line_is_put_where_it_belongs() {
    let line = |before: &str, args: Value, after: &str| edits("lineinfile", before, &args, after);
    line("a\nb\n", json!({"line": "c"}), "a\nb\nc\n");
    line("a\nb", json!({"line": "c"}), "a\nb\nc\n");
    line("a\nc\nb\n", json!({"line": "c"}), "a\nc\nb\n");
    line(
        "x=1\ny\nx=2\n",
        json!({"regexp": "^x=", "line": "x=3"}),
        "x=1\ny\nx=3\n",
    );
    line(
        "x=1\nx=2\n",
        json!({"regexp": "^x=", "line": "x=3", "firstmatch": true}),
        "x=3\nx=2\n",
    );
    line(
        "a\n",
        json!({"regexp": "^x=", "line": "x=3", "insertbefore": "BOF"}),
        "x=3\na\n",
    );
    line(
        "a\nb\na\n",
        json!({"line": "x", "insertafter": "^a"}),
        "a\nb\na\nx\n",
    );
    line(
        "a\nb\na\n",
        json!({"line": "x", "insertafter": "^a", "firstmatch": true}),
        "a\nx\nb\na\n",
    );
    line(
        "a\nb\na",
        json!({"line": "x", "insertbefore": "^a"}),
        "a\nb\nx\na",
    );
    line(
        "a\nb",
        json!({"line": "x", "insertafter": "b"}),
        "a\nb\nx\n",
    );
    line("a\n", json!({"line": "x", "insertafter": "none"}), "a\nx\n");
    line(
        "a.b\n",
        json!({"search_string": ".b", "line": "a.b c"}),
        "a.b c\n",
    );
    line(
        "k = 1 # c\n",
        json!({"regexp": "^(k\\s*=\\s*)\\d+(.*)$", "line": "\\g<1>2\\2", "backrefs": true}),
        "k = 2 # c\n",
    );
    line(
        "a\n",
        json!({"regexp": "^(k)$", "line": "\\1", "backrefs": true}),
        "a\n",
    );
    line("a\r\n", json!({"line": "a"}), "a\n");
}

#[test]
fn lines_go() {
    let absent = |before: &str, args: Value, after: &str| {
        let mut args = args;
        args["state"] = "absent".into();
        edits("lineinfile", before, &args, after);
    };
    absent("a\nb\na\n", json!({"line": "a"}), "b\n");
    absent("a1\nb\na2\n", json!({"regexp": "^a"}), "b\n");
    absent("a1\nb\n", json!({"search_string": "1"}), "b\n");
    absent("b\n", json!({"regexp": "^a"}), "b\n");
    let case = Case::new("a\na\n");
    let done = run(
        "lineinfile",
        case.args(&json!({"line": "a", "state": "absent"})),
    );
    assert_eq!(
        (&done.data["found"], &done.data["msg"]),
        (&json!(2), &json!("2 line(s) removed"))
    );
}

#[test]
fn a_file_is_made_with_its_mode_and_directories() {
    let case = Case::new("");
    let path = case.dir.path().join("new/dir/file");
    let args = json!({"path": path, "line": "secret", "create": true, "mode": "0600"});
    assert!(check("lineinfile", args.clone()).changed && !path.exists());
    let done = run("lineinfile", args.clone());
    assert_eq!(
        done.data["msg"],
        "line added and ownership, perms or SE linux context changed"
    );
    assert_eq!(
        (fs::read(&path).expect("made"), mode(&path)),
        (b"secret\n".to_vec(), 0o600)
    );
    assert!(!run("lineinfile", args).changed);
    let missing = run("lineinfile", json!({"path": "/no/such", "line": "x"}));
    assert_eq!((missing.failed, &missing.data["rc"]), (true, &json!(257)));
    let directory = run("lineinfile", json!({"path": "/etc", "line": "x"}));
    assert_eq!(
        (directory.failed, &directory.data["rc"]),
        (true, &json!(256))
    );
}

#[test]
fn a_link_stays_one_and_a_backup_has_the_old_lines() {
    let case = Case::new("a\n");
    let link = case.dir.path().join("link");
    std::os::unix::fs::symlink("file", &link).expect("a link");
    let done = run(
        "lineinfile",
        json!({"path": link, "line": "b", "backup": true}),
    );
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(case.text(), "a\nb\n");
    let backup = done.data["backup"].as_str().expect("a path");
    assert_eq!(fs::read(backup).expect("there"), b"a\n");
}

#[test]
fn bytes_that_are_no_text_survive() {
    let case = Case::new("");
    fs::write(&case.file, b"\xff=1\nb\n").expect("written");
    let done = run(
        "lineinfile",
        case.args(&json!({"regexp": "^b", "line": "c"})),
    );
    assert!(done.changed, "{done:?}");
    assert_eq!(fs::read(&case.file).expect("there"), b"\xff=1\nc\n");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let case = Case::new("a\n");
    for (module, args, part) in [
        (
            "lineinfile",
            json!({"backrefs": true, "line": "x"}),
            "regexp is required",
        ),
        ("lineinfile", json!({"regexp": "x"}), "line is required"),
        ("lineinfile", json!({"state": "absent"}), "one of line"),
        (
            "lineinfile",
            json!({"regexp": "(", "line": "x"}),
            "no regular expression",
        ),
        (
            "lineinfile",
            json!({"regexp": "(a)", "line": "\\2", "backrefs": true}),
            "invalid group reference 2",
        ),
        (
            "lineinfile",
            json!({"line": "x", "insertafter": "a", "insertbefore": "b"}),
            "only one",
        ),
        (
            "replace",
            json!({"regexp": "a", "replace": "\\1"}),
            "invalid group reference",
        ),
        (
            "replace",
            json!({"regexp": "a", "encoding": "klingon"}),
            "klingon",
        ),
        (
            "blockinfile",
            json!({"block": "x", "validate": "true"}),
            "must contain %s",
        ),
    ] {
        let done = run(module, case.args(&args));
        let said = done.data["msg"].as_str().unwrap_or_default();
        assert!(
            done.failed && said.contains(part),
            "{module} {args}: {said}"
        );
        assert_eq!(case.text(), "a\n");
    }
}

const BLOCK: &str = "# BEGIN ANSIBLE MANAGED BLOCK\nx\ny\n# END ANSIBLE MANAGED BLOCK\n";

#[test]
fn a_block_is_put_where_it_belongs() {
    let block = |before: &str, args: Value, after: &str| {
        let mut args = args;
        args["block"] = "x\ny".into();
        edits("blockinfile", before, &args, after);
    };
    block("", json!({}), BLOCK);
    block("a", json!({}), &format!("a\n{BLOCK}"));
    block(
        "a\nb\n",
        json!({"insertafter": "^a"}),
        &format!("a\n{BLOCK}b\n"),
    );
    block(
        "a\nb\na\n",
        json!({"insertbefore": "^a"}),
        &format!("a\nb\n{BLOCK}a\n"),
    );
    block(
        "a\n",
        json!({"insertbefore": "BOF"}),
        &format!("{BLOCK}a\n"),
    );
    block(
        "a\nb\nc\n",
        json!({"insertafter": "(?m)^a\nb$"}),
        &format!("a\nb\n{BLOCK}c\n"),
    );
    block(
        "a\n# BEGIN ANSIBLE MANAGED BLOCK\nold\n# END ANSIBLE MANAGED BLOCK\nb\n",
        json!({"insertafter": "EOF"}),
        &format!("a\n{BLOCK}b\n"),
    );
    block(
        "a\nb\n",
        json!({"insertafter": "a", "append_newline": true, "prepend_newline": true}),
        &format!("a\n\n{BLOCK}\nb\n"),
    );
    block(
        "a\n",
        json!({"marker": "// {mark} k", "marker_begin": "<", "marker_end": ">"}),
        "a\n// < k\nx\ny\n// > k\n",
    );
}

#[test]
fn a_block_goes() {
    let whole = format!("a\n{BLOCK}b\n");
    edits("blockinfile", &whole, &json!({"state": "absent"}), "a\nb\n");
    edits("blockinfile", &whole, &json!({"block": ""}), "a\nb\n");
    edits(
        "blockinfile",
        "a\n",
        &json!({"state": "absent", "block": "x"}),
        "a\n",
    );
    let case = Case::new(&whole);
    let done = run(
        "blockinfile",
        case.args(&json!({"state": "absent", "backup": true})),
    );
    assert_eq!(done.data["msg"], "Block removed");
    assert!(done.data["backup_file"].is_string());
}

#[test]
fn everything_that_fits_is_replaced() {
    let replace = |before: &str, args: Value, after: &str| edits("replace", before, &args, after);
    replace(
        "a1\na2\n",
        json!({"regexp": "^a(\\d)$", "replace": "b\\1"}),
        "b1\nb2\n",
    );
    replace("a\nb\n", json!({"regexp": "a\n"}), "b\n");
    replace(
        "<x>1</x><y>1</y>",
        json!({"regexp": "1", "replace": "2", "after": "<y>", "before": "</y>"}),
        "<x>1</x><y>2</y>",
    );
    replace(
        "1 # 1",
        json!({"regexp": "1", "replace": "2", "before": "#"}),
        "2 # 1",
    );
    replace(
        "1 # 1",
        json!({"regexp": "1", "replace": "2", "after": "#"}),
        "1 # 2",
    );
    replace("a\n", json!({"regexp": "x", "replace": "y"}), "a\n");
    let case = Case::new("a");
    let done = run(
        "replace",
        case.args(&json!({"regexp": "a", "after": "none"})),
    );
    assert_eq!(
        done.data["msg"],
        "Pattern for before/after params did not match the given file: none(?P<subsection>.*)"
    );
    fs::write(&case.file, b"\xe9a").expect("written");
    let done = run(
        "replace",
        case.args(&json!({"regexp": "é", "replace": "è", "encoding": "latin-1"})),
    );
    assert_eq!(
        (done.changed, fs::read(&case.file).expect("there")),
        (true, b"\xe8a".to_vec())
    );
    let done = run("replace", case.args(&json!({"regexp": "a"})));
    assert!(done.changed, "bytes that are no UTF-8 are left alone");
    assert_eq!(fs::read(&case.file).expect("there"), b"\xe8");
}

#[test]
fn an_option_is_kept_in_its_section() {
    let ini = |before: &str, args: Value, after: &str| edits("ini_file", before, &args, after);
    let option = |value: &str| json!({"section": "a", "option": "k", "value": value});
    ini("", option("1"), "\n[a]\nk = 1\n");
    ini(
        "[a]\nk=1\n\n[b]\nk = 2\n",
        option("3"),
        "[a]\nk = 3\n\n[b]\nk = 2\n",
    );
    ini(
        "[a]\nx = 1\n\n[b]\nk = 2\n",
        option("3"),
        "[a]\nx = 1\nk = 3\n\n[b]\nk = 2\n",
    );
    ini("[a]\n#k = 1\n", option("3"), "[a]\nk = 3\n");
    ini("[a]\nk = 1\nk = 2\n", option("2"), "[a]\nk = 2\n");
    ini("[a]\nkey = 1\n", option("2"), "[a]\nkey = 1\nk = 2\n");
    ini(
        "x = 1\n[a]\n",
        json!({"option": "y", "value": "2", "no_extra_spaces": true}),
        "x = 1\ny=2\n[a]\n",
    );
    ini(
        "[a]\nk=1\n",
        json!({"section": "a", "option": "k", "value": "1", "ignore_spaces": true}),
        "[a]\nk=1\n",
    );
    ini(
        "[a]\nk = 1\n",
        json!({"section": "a", "option": "k", "values": ["1", "2"]}),
        "[a]\nk = 1\nk = 2\n",
    );
    ini(
        "[a]\nk = 1\n",
        json!({"section": "a", "option": "k", "value": "2", "exclusive": false}),
        "[a]\nk = 1\nk = 2\n",
    );
    ini(
        "[a]\n",
        json!({"section": "a", "option": "k", "allow_no_value": true}),
        "[a]\nk\n",
    );
    ini(
        "[a]\nk = 1\nx = 2\n",
        json!({"section": "a", "option": "k", "state": "absent"}),
        "[a]\nx = 2\n",
    );
    ini(
        "[a]\nk = 1\n[b]\n",
        json!({"section": "a", "state": "absent"}),
        "[b]\n",
    );
    ini("[b]\n", json!({"section": "a", "state": "absent"}), "[b]\n");
    let case = Case::new("");
    assert!(
        run(
            "ini_file",
            case.args(&json!({"section": "a", "option": "k"}))
        )
        .failed
    );
}
