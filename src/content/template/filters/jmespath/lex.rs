//! Words of JMESPath.

use crate::content::template::eval::json;
use crate::content::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Name(String),
    Quoted(String),
    Literal(Value),
    Number(i64),
    /// Signs of one or two characters, as they are written.
    Sign(&'static str),
    End,
}

impl Token {
    pub fn shown(&self) -> String {
        match self {
            Self::Name(name) | Self::Quoted(name) => format!("'{name}'"),
            Self::Literal(value) => value.repr(),
            Self::Number(number) => format!("'{number}'"),
            Self::Sign(sign) => format!("'{sign}'"),
            Self::End => "the end".to_owned(),
        }
    }
}

const SIGNS: [&str; 25] = [
    "[?", "[]", "||", "&&", "==", "!=", "<=", ">=", ".", "*", "[", "]", "{", "}", "(", ")", ",",
    ":", "|", "&", "!", "<", ">", "@", "-",
];

/// All words, with `End` after them.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text;
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            found.push(Token::End);
            return Ok(found);
        };
        let (token, after) = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (Token::Name(rest[..end].to_owned()), &rest[end..])
            }
            '0'..='9' => number(rest)?,
            '-' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest)?,
            '\'' => {
                let (inner, after) = closed(rest, '\'')?;
                (
                    Token::Literal(Value::from(inner.replace("\\'", "'"))),
                    after,
                )
            }
            '"' => {
                let (inner, after) = closed(rest, '"')?;
                let name = json::load(&format!("\"{inner}\""))
                    .map_err(|_| format!("\"{inner}\" isn't a name"))?;
                (Token::Quoted(name.to_text()), after)
            }
            '`' => {
                let (inner, after) = closed(rest, '`')?;
                let inner = inner.replace("\\`", "`");
                (Token::Literal(literal(inner.trim_start())), after)
            }
            _ => {
                let sign = SIGNS
                    .iter()
                    .find(|sign| rest.starts_with(**sign) && **sign != "-");
                let sign = sign.ok_or_else(|| format!("'{first}' means nothing"))?;
                (Token::Sign(sign), &rest[sign.len()..])
            }
        };
        found.push(token);
        rest = after;
    }
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let end = text[1..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(text.len(), |at| at + 1);
    let number = text[..end]
        .parse()
        .map_err(|_| format!("{} is too large", &text[..end]))?;
    Ok((Token::Number(number), &text[end..]))
}

/// What stands between two quotes, which a backslash protects inside.
fn closed(text: &str, quote: char) -> Result<(&str, &str), String> {
    let inner = &text[1..];
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        if !escaped && c == quote {
            return Ok((&inner[..at], &inner[at + 1..]));
        }
        escaped = !escaped && c == '\\';
    }
    Err(format!("it ends inside {quote}…{quote}"))
}

/// JSON; what isn't JSON is text, as in the first versions of the language.
fn literal(text: &str) -> Value {
    json::load(text).unwrap_or_else(|_| Value::from(text))
}
