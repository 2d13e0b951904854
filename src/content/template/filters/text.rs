//! Filters of text.

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of, optional_int, required, text_of};
use crate::content::template::eval::{Interp, Outcome, capitalize as capitalized, lines, parts};
use crate::content::value::{Mistake, Text, Value};

pub(super) const FILTERS: &[Filter] = &[
    filter("upper", upper, ("'abc' | upper", "'ABC'")),
    filter("lower", lower, ("'ABC' | lower", "'abc'")),
    filter(
        "capitalize",
        capitalize,
        ("'fOO bar' | capitalize", "'Foo bar'"),
    ),
    filter("title", title, ("\"it's a-day\" | title", "\"It's A-Day\"")),
    filter("trim", trim, ("' a ' | trim", "'a'")),
    filter("string", string, ("[1, 2] | string", "'[1, 2]'")),
    filter(
        "replace",
        replace,
        ("'aaa' | replace('a', 'b', 2)", "'bba'"),
    ),
    filter("format", format, ("'%s=%02d' | format('a', 5)", "'a=05'")),
    filter(
        "indent",
        indent,
        ("'a\\nb' | indent(2, first=true)", "'  a\\n  b'"),
    ),
    filter("center", center, ("'ab' | center(6)", "'  ab  '")),
    filter("wordcount", wordcount, ("'one two-three' | wordcount", "3")),
    filter(
        "truncate",
        truncate,
        ("'foo bar baz qux' | truncate(9)", "'foo...'"),
    ),
    filter(
        "striptags",
        striptags,
        ("'<b>a</b>  c' | striptags", "'a c'"),
    ),
    filter("escape", escape, ("'<a>' | e", "'&lt;a&gt;'")),
    filter(
        "forceescape",
        escape,
        ("'<a>' | forceescape", "'&lt;a&gt;'"),
    ),
    filter("safe", safe, ("'<a>' | safe", "'<a>'")),
    filter("split", split, ("'a,b' | split(',')", "['a', 'b']")),
    filter(
        "quote",
        quote,
        ("\"it's\" | quote", "'\\'it\\'\"\\'\"\\'s\\''"),
    ),
    filter("comment", comment, ("'a' | comment", "'#\\n# a\\n#'")),
];

/// Text that keeps the trust of what it was made from.
/// The text of a value that must be text.
pub(super) fn only_text<'v>(what: &str, value: &'v Value) -> Outcome<&'v str> {
    match value {
        Value::Str(text) => Ok(&text.text),
        Value::Undefined(missing) => Err(Mistake::undefined(missing).into()),
        other => Err(TemplateError::new(format!(
            "{what}: expected text, not {}",
            other.type_name()
        ))),
    }
}

pub(super) fn like(value: &Value, text: impl Into<std::sync::Arc<str>>) -> Value {
    Value::Str(Text::new(text, !value.holds_untrusted()))
}

fn upper(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("upper")?;
    Ok(like(value, text_of(value)?.to_uppercase()))
}

fn lower(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("lower")?;
    Ok(like(value, text_of(value)?.to_lowercase()))
}

fn capitalize(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("capitalize")?;
    Ok(like(value, capitalized(&text_of(value)?)))
}

/// Words begin after white space and `-`, `(`, `{`, `[`, `<`.
fn title(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("title")?;
    let mut out = String::new();
    let mut starts = true;
    for c in text_of(value)?.chars() {
        if c.is_whitespace() || "-({[<".contains(c) {
            starts = true;
            out.push(c);
        } else if starts {
            out.extend(c.to_uppercase());
            starts = false;
        } else {
            out.extend(c.to_lowercase());
        }
    }
    Ok(like(value, out))
}

fn trim(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [chars] = args.bind("trim", ["chars"])?;
    let text = text_of(value)?;
    let trimmed = match chars {
        None | Some(Value::None) => text.trim(),
        Some(chars) => {
            let chars = text_of(&chars)?;
            text.trim_matches(|c| chars.contains(c))
        }
    };
    Ok(like(value, trimmed))
}

fn string(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("string")?;
    Ok(like(value, text_of(value)?))
}

fn replace(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"])?;
    let new = required("replace", "new", new)?;
    let old = text_of(&required("replace", "old", old)?)?;
    let text = text_of(value)?;
    let new_text = text_of(&new)?;
    let count = optional_int("count", count)?.and_then(|count| usize::try_from(count).ok());
    let replaced = match count {
        Some(count) => text.replacen(&old, &new_text, count),
        None => text.replace(&old, &new_text),
    };
    let trusted = !value.holds_untrusted() && !new.holds_untrusted();
    Ok(Value::Str(Text::new(replaced, trusted)))
}

fn format(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let given = if args.named.is_empty() {
        Value::tuple(args.positional)
    } else if args.positional.is_empty() {
        let named = args.named.into_iter();
        let named = named.map(|(name, value)| (crate::content::value::Key::text(name), value));
        Value::dict(named.collect())
    } else {
        return Err(TemplateError::new(
            "can't handle positional and keyword arguments at the same time",
        ));
    };
    let format = Text::new(text_of(value)?, !value.holds_untrusted());
    Ok(crate::content::template::eval::percent(&format, &given)?)
}

fn indent(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"])?;
    let indention = match width {
        None => "    ".to_owned(),
        Some(Value::Str(text)) => text.text.to_string(),
        Some(other) => " ".repeat(
            usize::try_from(int_of("width", &other)?)
                .unwrap_or(0)
                .min(1 << 16),
        ),
    };
    let blank = blank.is_some_and(|blank| blank.truthy());
    let text = only_text("indent", value)?.to_owned() + "\n";
    let mut out = String::new();
    let text_lines = lines(&text, false);
    if blank {
        out = text_lines.join(&format!("\n{indention}"));
    } else {
        for (at, line) in text_lines.iter().enumerate() {
            if at > 0 {
                out.push('\n');
                if !line.is_empty() {
                    out.push_str(&indention);
                }
            }
            out.push_str(line);
        }
    }
    if first.is_some_and(|first| first.truthy()) {
        out.insert_str(0, &indention);
    }
    Ok(like(value, out))
}

fn center(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [width] = args.bind("center", ["width"])?;
    let width = width.unwrap_or(Value::Int(80));
    let text = Value::Str(Text::new(text_of(value)?, !value.holds_untrusted()));
    crate::content::template::eval::call_method(&text, "center", Args::of(vec![width]))
}

fn wordcount(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("wordcount")?;
    let text = text_of(value)?;
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let count = words.filter(|word| !word.is_empty()).count();
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// Breaks lines at white space so that none is wider than the width; words that are wider are cut.
fn truncate(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [length, kill, end, leeway] =
        args.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = usize::try_from(optional_int("length", length)?.unwrap_or(255)).unwrap_or(0);
    let leeway = usize::try_from(optional_int("leeway", leeway)?.unwrap_or(5)).unwrap_or(0);
    let end = match end {
        Some(end) => text_of(&end)?,
        None => "...".to_owned(),
    };
    let text = text_of(value)?;
    let count = text.chars().count();
    if count <= length + leeway {
        return Ok(like(value, text));
    }
    let kept: String = text
        .chars()
        .take(length.saturating_sub(end.chars().count()))
        .collect();
    let kept = if kill.is_some_and(|kill| kill.truthy()) {
        kept.as_str()
    } else {
        kept.rsplit_once(' ')
            .map_or(kept.as_str(), |(before, _)| before)
    };
    Ok(like(value, format!("{kept}{end}")))
}

fn striptags(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("striptags")?;
    let text = text_of(value)?;
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('>').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split_whitespace().collect();
    Ok(like(value, words.join(" ")))
}

fn escape(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("escape")?;
    let mut out = String::new();
    for c in text_of(value)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    Ok(like(value, out))
}

fn safe(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("safe")?;
    Ok(like(value, text_of(value)?))
}

fn split(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [separator, limit] = args.bind("split", ["sep", "maxsplit"])?;
    let separator = match separator {
        None | Some(Value::None) => None,
        Some(separator) => Some(text_of(&separator)?),
    };
    let limit = optional_int("maxsplit", limit)?.and_then(|limit| usize::try_from(limit).ok());
    let Value::Str(text) = value else {
        return Err(TemplateError::new(format!(
            "'{}' object has no attribute 'split'",
            value.type_name()
        )));
    };
    let pieces = parts(&text.text, separator.as_deref(), limit, false)?;
    Ok(Value::list(
        pieces.into_iter().map(|piece| like(value, piece)).collect(),
    ))
}

/// Text as one word of a shell.
fn quote(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("quote")?;
    let text = match value {
        Value::None => String::new(),
        other => text_of(other)?,
    };
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return Ok(like(value, text));
    }
    Ok(like(value, format!("'{}'", text.replace('\'', "'\"'\"'"))))
}

fn comment(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let style = args
        .take("style")
        .or_else(|| (!args.positional.is_empty()).then(|| args.positional.remove(0)));
    let style = match style {
        Some(style) => text_of(&style)?,
        None => "plain".to_owned(),
    };
    let (beginning, decoration, end) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => {
            return Err(
                TemplateError::new(format!("comment() has no style '{other}'"))
                    .hint("Known: plain, erlang, c, cblock, xml."),
            );
        }
    };
    let known = [
        "newline",
        "beginning",
        "prefix",
        "prefix_count",
        "decoration",
        "postfix",
        "postfix_count",
        "end",
    ];
    let mut text = |name: &str, default: &str| -> Outcome<String> {
        match args.take(name) {
            Some(value) => Ok(text_of(&value)?),
            None => Ok(default.to_owned()),
        }
    };
    let decoration = text("decoration", decoration)?;
    let newline = text("newline", "\n")?;
    let beginning = text("beginning", beginning)?;
    let mut prefix = text("prefix", decoration.trim_end())?;
    let postfix = text("postfix", decoration.trim_end())?;
    let end = text("end", end)?;
    let mut count = |name: &str| -> Outcome<usize> {
        let count = optional_int(name, args.take(name))?.unwrap_or(1);
        Ok(usize::try_from(count).unwrap_or(0).min(1000))
    };
    let (prefix_count, postfix_count) = (count("prefix_count")?, count("postfix_count")?);
    args.no_more_names("comment", &known)?;
    let mut out = String::new();
    if !beginning.is_empty() {
        out += &format!("{beginning}{newline}");
    }
    if !prefix.is_empty() {
        if prefix != newline {
            prefix.push_str(&newline);
        }
        out += &prefix.repeat(prefix_count);
    }
    let body = only_text("comment", value)?.replace(&newline, &format!("{newline}{decoration}"));
    out += &format!("{decoration}{body}").replace(
        &format!("{decoration}{newline}"),
        &format!("{}{newline}", decoration.trim_end()),
    );
    out += &format!("{newline}{postfix}").repeat(postfix_count);
    if !end.is_empty() {
        out += &format!("{newline}{end}");
    }
    Ok(like(value, out))
}
