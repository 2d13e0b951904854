use super::*;

fn fails(text: &str) -> String {
    match template(text, &Options::default()) {
        Ok(_) => panic!("{text} parses"),
        Err(error) => format!("{error} at {:?}", error.span),
    }
}

#[test]
fn mistakes_are_found_with_their_place() {
    assert_eq!(
        fails("{{ a + }}"),
        "unexpected the end of the print tag, expected an expression at Some((1, 8))"
    );
    assert_eq!(
        fails("x\n{{ [1, 2 }}"),
        "unexpected '}', expected ']' at Some((2, 10))"
    );
    assert_eq!(
        fails("{% for x in y %}"),
        "the template ends where `endfor` or `else` is expected at Some((1, 17))"
    );
    assert_eq!(
        fails("{% endif %}"),
        "'endif' has no begin here at Some((1, 4))"
    );
    assert_eq!(fails("{{ 'abc }}"), "this ' isn't closed at Some((1, 4))");
    assert_eq!(fails("{# abc"), "this comment has no end at Some((1, 1))");
    assert_eq!(
        fails("{{ a ? b }}"),
        "the character '?' has no meaning here at Some((1, 6))"
    );
}

#[test]
fn a_text_is_parsed_once() {
    let one = template("{{ once }}", &Options::default()).unwrap();
    let other = template("{{ once }}", &Options::default()).unwrap();
    assert!(Arc::ptr_eq(&one, &other));
    let file = template("{{ once }}", &Options::file()).unwrap();
    assert!(!Arc::ptr_eq(&one, &file));
}

#[test]
fn nesting_has_a_bound() {
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(fails(&deep).starts_with("this expression is nested too deeply"));
    let minus = format!("{{{{ {}1 }}}}", "-".repeat(5000));
    assert!(fails(&minus).starts_with("this expression is nested too deeply"));
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "([{}%# |().,'\"a1=\\[\\]\n-]|if|for|in|endif|set){0,40}") {
        let _parsed = template(&text, &Options::default());
        let _parsed = expression(&text);
    }
}
