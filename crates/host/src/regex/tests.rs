use super::*;

fn text(pattern: &str) -> Regex {
    Regex::text(pattern, Flags::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn replace(pattern: &str, replacement: &str, all: &str) -> String {
    let flags = Flags {
        multi_line: true,
        ..Flags::default()
    };
    let regex = Regex::text(pattern, flags).expect("sound");
    let replacement = Replacement::parse(replacement, &regex).expect("sound");
    regex.replace_all(all, &replacement).expect("it ends").0
}

// What is expected here was printed by Python 3.11.

#[test]
fn searches_are_pythons() {
    for (pattern, subject, found) in [
        ("a{", "a{", true),
        ("a{,2}b", "aab", true),
        ("^a{,2}$", "aaa", false),
        ("{{.*}}", "{{ x }}", true),
        ("[[]x", "[x", true),
        ("[]a]+$", "]a", true),
        ("[^]]", "]", false),
        ("a$", "a\n", true),
        ("a$", "a\n\n", false),
        ("a\\Z", "a\n", false),
        ("^b", "a\nb", false),
        ("(?m)^b", "a\nb", true),
        ("(?m)a$", "a\nb", true),
        ("(?P<n>a)(?P=n)", "aa", true),
        ("(a)\\1", "aa", true),
        ("(a)\\141", "aa", true),
        ("(?<=a)b", "ab", true),
        ("(?<!a)b", "ab", false),
        ("\\<b\\>", "<b>", true),
        ("[[:alpha:]]", "a", false),
        ("[[:alpha:]]", "a]", true),
        ("[a&&b]", "&", true),
        ("[+--]", ",", true),
        ("[\\w-]+$", "a-b", true),
        ("[\\]-]", "-", true),
        ("(?i)ß|É", "é", true),
        ("(?x) a b # c", "ab", true),
        ("a(?#b)c", "ac", true),
        ("(?i:A)b", "aB", false),
        ("(?s).b", "\nb", true),
        (".b", "\nb", false),
        ("\\u00e9\\x41\\101", "éAA", true),
        ("(a)?(?(1)b|c)$", "c", true),
        ("(?>a+)ab", "aaab", false),
        ("\\.\\-\\/\\ \\#", ".-/ #", true),
        ("x|\\$HOME", "$HOME", true),
    ] {
        assert_eq!(
            text(pattern).is_in(subject),
            Ok(found),
            "{pattern} in {subject:?}"
        );
    }
}

#[test]
fn what_python_refuses_is_refused() {
    for pattern in [
        "\\q",
        "[a",
        "a(?i)",
        "(",
        ")",
        "\\",
        "[b-a]",
        "*a",
        "(?P<n>a",
        "\\u12",
        "(?L)a",
        "a**",
        "\\N{DASH}",
    ] {
        assert!(Regex::text(pattern, Flags::default()).is_err(), "{pattern}");
    }
}

#[test]
fn match_begins_at_the_start() {
    assert_eq!(text("b|ab").starts("ab"), Ok(true));
    assert_eq!(text("b|ab").starts("xab"), Ok(false));
    assert_eq!(text("a|ab").starts("ab"), Ok(true));
}

#[test]
fn bytes_are_searched_as_bytes() {
    let bytes = |pattern: &str| {
        Regex::bytes(pattern, Flags::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
    };
    let span = |pattern: &str, all: &[u8]| {
        bytes(pattern)
            .find(all)
            .expect("it ends")
            .and_then(|found| found.span(0))
    };
    assert_eq!(span("ü=.$", "xü=a\n".as_bytes()), Some((1, 5)));
    assert_eq!(span("a.b", b"\xffa\xfeb"), Some((1, 4)));
    assert_eq!(span("^\\w+$", "ü".as_bytes()), None);
    assert_eq!(span("[üö]", "x=ö".as_bytes()), Some((2, 4)));
    assert_eq!(span("[^aü]", "aüb".as_bytes()), Some((2, 3)));
    assert_eq!(span("[^ü]", "üa".as_bytes()), Some((1, 2)));
    assert_eq!(span("[aü]+$", "xaüa".as_bytes()), Some((1, 5)));
    assert!(Regex::bytes("\\xff", Flags::default()).is_err());
    assert_eq!(span("(.)\\1", b"\xfe\xfe"), Some((0, 2)));
    assert_eq!(span("(?i)a", b"A"), Some((0, 1)));
}

#[test]
fn replacements_are_pythons() {
    for (pattern, replacement, all, expected) in [
        ("x*", "-", "abxd", "-a-b--d-"),
        ("b*", "-", "abc", "-a--c-"),
        ("a*?", "-", "aa", "-----"),
        ("^", "> ", "a\nb\n", "> a\n> b\n> "),
        ("$", "!", "a\nb\n", "a!\nb!\n!"),
        ("(a)(b)?", "[\\1|\\2|\\g<0>]", "ab a", "[a|b|ab] [a||a]"),
        ("(?P<x>.)y", "\\g<x>\\n\\t\\\\", "ay", "a\n\t\\"),
        ("(a)", "\\g<1>0\\.\\101", "a", "a0\\.A"),
        ("é", "e", "été", "ete"),
        ("", "-", "éa", "-é-a-"),
    ] {
        assert_eq!(
            replace(pattern, replacement, all),
            expected,
            "{pattern} {replacement} {all}"
        );
    }
    let regex = text("(a)");
    for wrong in ["\\2", "\\g<n>", "\\q", "\\", "\\g1", "\\g<1"] {
        assert!(Replacement::parse(wrong, &regex).is_err(), "{wrong}");
    }
}

#[test]
fn a_search_without_end_ends() {
    let regex = text("(?=(a+)+b)(a|aa)+$\\1");
    let error = regex.is_in(&"a".repeat(40));
    assert!(error.is_err() || error == Ok(false));
}

proptest::proptest! {
    #[test]
    fn no_pattern_panics(pattern in "[\\\\\\[\\](){}^$.*+?|a-c0-9,<>P=!:#-]{0,14}", subject in "[a-c0-9\\n]{0,8}") {
        for bytes in [false, true] {
            if let Ok(regex) = Regex::build(&pattern, Flags::default(), bytes) {
                regex.find(subject.as_bytes()).ok();
            }
        }
        if let Ok(regex) = Regex::text(&pattern, Flags::default())
            && let Ok(replacement) = Replacement::parse("-\\g<0>", &regex)
        {
            regex.replace_all(&subject, &replacement).ok();
        }
    }

    #[test]
    fn a_text_with_every_letter_escaped_finds_itself(subject in "[ -~é]{1,12}") {
        let pattern: String = subject
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || !letter.is_ascii() { letter.to_string() } else { format!("\\{letter}") })
            .collect();
        let regex = Regex::bytes(&pattern, Flags::default()).expect("sound");
        let found = regex.find(subject.as_bytes()).expect("it ends").and_then(|found| found.span(0));
        proptest::prop_assert_eq!(found, Some((0, subject.len())));
    }
}
