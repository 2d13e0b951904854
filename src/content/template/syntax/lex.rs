//! From text to tokens: Jinja2's own rules for delimiters, white space and literals.

use super::Options;
use super::ast::Span;
use crate::content::template::TemplateError;
use num_bigint::BigInt;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Text outside of tags.
    Text(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Str(String),
    Int(BigInt),
    Float(f64),
    /// `==`, `(`, `|` and so on.
    Op(&'static str),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("text outside of tags"),
            Self::VariableBegin => f.write_str("the begin of a print tag"),
            Self::VariableEnd => f.write_str("the end of the print tag"),
            Self::BlockBegin => f.write_str("the begin of a statement"),
            Self::BlockEnd => f.write_str("the end of the statement"),
            Self::Name(name) => write!(f, "'{name}'"),
            Self::Str(text) => write!(f, "the text '{text}'"),
            Self::Int(value) => write!(f, "the number {value}"),
            Self::Float(value) => write!(f, "the number {value}"),
            Self::Op(op) => write!(f, "'{op}'"),
            Self::End => f.write_str("the end of the template"),
        }
    }
}

/// Operators, longest first.
const OPERATORS: [&str; 25] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",",
];

pub type Tokens = Vec<(Token, Span)>;

/// All tokens of a template, with `End` last.
pub fn template(text: &str, options: &Options) -> Result<Tokens, TemplateError> {
    let text = unify_newlines(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut lexer = Lexer::new(text, options);
    lexer.root()?;
    Ok(lexer.finish())
}

/// The tokens of a bare expression.
pub fn expression(text: &str, options: &Options) -> Result<Tokens, TemplateError> {
    let text = unify_newlines(text);
    let mut lexer = Lexer::new(&text, options);
    lexer.code(None)?;
    Ok(lexer.finish())
}

fn unify_newlines(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    options: &'a Options,
    tokens: Tokens,
    /// Where `counted` lies, so that places are found without counting from the start again.
    counted: (usize, Span),
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, options: &'a Options) -> Self {
        Self {
            text,
            at: 0,
            options,
            tokens: Vec::new(),
            counted: (0, Span { line: 1, column: 1 }),
        }
    }

    fn finish(mut self) -> Tokens {
        let span = self.span(self.text.len());
        self.tokens.push((Token::End, span));
        self.tokens
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The place of a byte; places are asked for in growing order.
    fn span(&mut self, at: usize) -> Span {
        let (from, mut span) = self.counted;
        let (from, skipped) = if at < from {
            span = Span { line: 1, column: 1 };
            (0, &self.text[..at])
        } else {
            (from, &self.text[from..at])
        };
        debug_assert!(from <= at);
        for c in skipped.chars() {
            if c == '\n' {
                span = Span {
                    line: span.line + 1,
                    column: 1,
                };
            } else {
                span.column += 1;
            }
        }
        self.counted = (at, span);
        span
    }

    fn push(&mut self, token: Token, at: usize) {
        let span = self.span(at);
        self.tokens.push((token, span));
    }

    fn error(&mut self, at: usize, message: impl Into<String>) -> TemplateError {
        let span = self.span(at);
        TemplateError::new(message).on(span.line, span.column)
    }

    /// Text and tags, to the end.
    fn root(&mut self) -> Result<(), TemplateError> {
        let options = self.options;
        let starts = [
            (&options.block.0, Tag::Block),
            (&options.variable.0, Tag::Variable),
            (&options.comment.0, Tag::Comment),
        ];
        loop {
            let rest = self.rest();
            let next = starts
                .iter()
                .filter_map(|(start, tag)| Some((rest.find(start.as_str())?, start.len(), *tag)))
                .min_by_key(|(at, len, _)| (*at, usize::MAX - len));
            let Some((offset, len, tag)) = next else {
                self.text_up_to(self.text.len(), None);
                return Ok(());
            };
            let begin = self.at + offset;
            let after = begin + len;
            let sign = self.text[after..]
                .chars()
                .next()
                .filter(|c| matches!(c, '-' | '+'));
            self.text_up_to(begin, Some((tag, sign)));
            self.at = after + usize::from(sign.is_some());
            match tag {
                Tag::Comment => self.comment(begin)?,
                Tag::Variable => {
                    self.push(Token::VariableBegin, begin);
                    self.code(Some((begin, Tag::Variable)))?;
                }
                Tag::Block => {
                    if self.raw(begin)? {
                        continue;
                    }
                    self.push(Token::BlockBegin, begin);
                    self.code(Some((begin, Tag::Block)))?;
                }
            }
        }
    }

    /// The text before a tag, without what the tag strips.
    fn text_up_to(&mut self, end: usize, tag: Option<(Tag, Option<char>)>) {
        let begin = self.at;
        let text = &self.text[begin..end];
        let kept = match tag {
            Some((_, Some('-'))) => text.trim_end(),
            Some((Tag::Block | Tag::Comment, None)) if self.options.lstrip_blocks => {
                self.without_indent(text, begin)
            }
            _ => text,
        };
        if !kept.is_empty() {
            self.push(Token::Text(kept.to_owned()), begin);
        }
    }

    /// Without the blanks before a tag that stands first in its line.
    fn without_indent(&self, text: &'a str, begin: usize) -> &'a str {
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let starts_line = line > 0 || begin == 0 || self.text[..begin].ends_with('\n');
        if starts_line && text[line..].chars().all(char::is_whitespace) {
            &text[..line]
        } else {
            text
        }
    }

    /// What follows the end of a tag: white space after a minus, one newline where blocks are trimmed.
    fn after_tag(&mut self, sign: Option<char>, trims: bool) {
        match sign {
            Some('-') => {
                let rest = self.rest();
                self.at += rest.len() - rest.trim_start().len();
            }
            None if trims && self.options.trim_blocks && self.rest().starts_with('\n') => {
                self.at += 1;
            }
            _ => {}
        }
    }

    fn comment(&mut self, begin: usize) -> Result<(), TemplateError> {
        let end = self.options.comment.1.as_str();
        let Some(offset) = self.rest().find(end) else {
            return Err(self.error(begin, "this comment has no end"));
        };
        let sign = self.rest()[..offset]
            .chars()
            .next_back()
            .filter(|c| matches!(c, '-' | '+'));
        self.at += offset + end.len();
        self.after_tag(sign, true);
        Ok(())
    }

    /// `{% raw %}` up to `{% endraw %}`, as text. False: this block is another one.
    fn raw(&mut self, begin: usize) -> Result<bool, TemplateError> {
        let Some((after, sign)) = self.tag_alone(self.at, "raw") else {
            return Ok(false);
        };
        self.at = after;
        if sign == Some('-') {
            self.after_tag(sign, false);
        }
        let start = self.options.block.0.as_str();
        let mut from = self.at;
        while let Some(offset) = self.text[from..].find(start) {
            let tag = from + offset;
            let inside = tag + start.len();
            let open = self.text[inside..]
                .chars()
                .next()
                .filter(|c| matches!(c, '-' | '+'));
            let name = inside + usize::from(open.is_some());
            if let Some((after, close)) = self.tag_alone(name, "endraw") {
                self.text_up_to(tag, Some((Tag::Block, open)));
                self.at = after;
                self.after_tag(close, true);
                return Ok(true);
            }
            from = inside;
        }
        Err(self.error(begin, "`raw` has no `endraw`"))
    }

    /// The end of a block tag that holds nothing but the word, and the sign before that end.
    fn tag_alone(&self, at: usize, word: &str) -> Option<(usize, Option<char>)> {
        let rest = self.text[at..]
            .trim_start()
            .strip_prefix(word)?
            .trim_start();
        let sign = rest.chars().next().filter(|c| matches!(c, '-' | '+'));
        let rest = &rest[usize::from(sign.is_some())..];
        let rest = rest.strip_prefix(self.options.block.1.as_str())?;
        Some((self.text.len() - rest.len(), sign))
    }

    /// Tokens of code up to the end of its tag; without a tag up to the end of the text.
    fn code(&mut self, tag: Option<(usize, Tag)>) -> Result<(), TemplateError> {
        let mut open: Vec<(char, usize)> = Vec::new();
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if let Some((_, tag)) = tag
                && open.is_empty()
                && self.end_of_tag(tag)
            {
                return Ok(());
            }
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                break;
            };
            if c == '_' || c.is_alphabetic() {
                let len = rest
                    .find(|c: char| c != '_' && !c.is_alphanumeric())
                    .unwrap_or(rest.len());
                self.push(Token::Name(rest[..len].to_owned()), self.at);
                self.at += len;
            } else if c.is_ascii_digit() {
                self.number()?;
            } else if c == '"' || c == '\'' {
                self.string(c, matches!(tag, Some((_, Tag::Variable))))?;
            } else {
                self.operator(c, &mut open)?;
            }
        }
        if let Some((c, at)) = open.pop() {
            return Err(self.error(at, format!("this '{c}' isn't closed")));
        }
        match tag {
            None => Ok(()),
            Some((begin, tag)) => {
                let (start, end) = match tag {
                    Tag::Variable => self.options.variable.clone(),
                    Tag::Block | Tag::Comment => self.options.block.clone(),
                };
                Err(self.error(begin, format!("this `{start}` has no `{end}`")))
            }
        }
    }

    /// Takes the end of the tag when it is here.
    fn end_of_tag(&mut self, tag: Tag) -> bool {
        let (end, token) = match tag {
            Tag::Variable => (&self.options.variable.1, Token::VariableEnd),
            Tag::Block | Tag::Comment => (&self.options.block.1, Token::BlockEnd),
        };
        let rest = self.rest();
        let sign = rest
            .chars()
            .next()
            .filter(|c| *c == '-' || (*c == '+' && tag == Tag::Block));
        let signed = &rest[usize::from(sign.is_some())..];
        let (sign, len) = if sign.is_some() && signed.starts_with(end.as_str()) {
            (sign, end.len() + 1)
        } else if rest.starts_with(end.as_str()) {
            (None, end.len())
        } else {
            return false;
        };
        self.push(token, self.at);
        self.at += len;
        self.after_tag(sign, tag == Tag::Block);
        true
    }

    fn operator(&mut self, c: char, open: &mut Vec<(char, usize)>) -> Result<(), TemplateError> {
        let Some(op) = OPERATORS.into_iter().find(|op| self.rest().starts_with(op)) else {
            let at = self.at;
            return Err(self.error(at, format!("the character '{c}' has no meaning here")));
        };
        match op {
            "(" | "[" | "{" => open.push((c, self.at)),
            ")" | "]" | "}" => {
                let expected = match open.pop() {
                    Some(('(', _)) => ")",
                    Some(('[', _)) => "]",
                    Some(_) => "}",
                    None => {
                        let at = self.at;
                        return Err(self.error(at, format!("unexpected '{op}'")));
                    }
                };
                if expected != op {
                    let at = self.at;
                    return Err(self.error(at, format!("unexpected '{op}', expected '{expected}'")));
                }
            }
            _ => {}
        }
        self.push(Token::Op(op), self.at);
        self.at += op.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let begin = self.at;
        let based = rest
            .get(..2)
            .and_then(|prefix| match prefix.to_ascii_lowercase().as_str() {
                "0x" => Some(16),
                "0o" => Some(8),
                "0b" => Some(2),
                _ => None,
            });
        if let Some(radix) = based {
            let len = 2 + digits(&rest[2..], radix);
            let text = rest[2..len].replace('_', "");
            let Some(value) = BigInt::parse_bytes(text.as_bytes(), radix) else {
                return Err(self.error(begin, "this isn't a number"));
            };
            self.push(Token::Int(value), begin);
            self.at += len;
            return Ok(());
        }
        let whole = digits(rest, 10);
        let after_dot = matches!(self.tokens.last(), Some((Token::Op("."), _)));
        let len = if after_dot {
            whole
        } else {
            float_length(rest, whole)
        };
        let text = rest[..len].replace('_', "");
        let token = if len > whole {
            text.parse().ok().map(Token::Float)
        } else {
            BigInt::parse_bytes(text.as_bytes(), 10).map(Token::Int)
        };
        let Some(token) = token else {
            return Err(self.error(begin, "this isn't a number"));
        };
        self.push(token, begin);
        self.at += len;
        Ok(())
    }

    fn string(&mut self, quote: char, in_print: bool) -> Result<(), TemplateError> {
        let begin = self.at;
        let mut chars = self.rest()[1..].char_indices();
        let end = loop {
            match chars.next() {
                None => return Err(self.error(begin, format!("this {quote} isn't closed"))),
                Some((_, '\\')) => {
                    chars.next();
                }
                Some((at, c)) if c == quote => break at,
                Some(_) => {}
            }
        };
        let inner = &self.rest()[1..=end];
        let text = if in_print && self.options.keep_backslashes {
            keep_backslashes(inner)
        } else {
            unescape(inner).ok_or_else(|| {
                self.error(
                    begin,
                    "this text has an escape sequence that isn't complete",
                )
            })?
        };
        self.push(Token::Str(text), begin);
        self.at = begin + end + 2;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Block,
    Variable,
    Comment,
}

/// How many bytes are digits, with single underscores between them.
fn digits(text: &str, radix: u32) -> usize {
    let mut len = 0;
    for (at, c) in text.char_indices() {
        if c.is_digit(radix) {
            len = at + 1;
        } else if c != '_' || at != len {
            break;
        }
    }
    len
}

/// The length of a number that begins with this many digits, its fraction and exponent included.
fn float_length(text: &str, whole: usize) -> usize {
    let mut len = whole;
    if text[len..].starts_with('.') {
        let fraction = digits(&text[len + 1..], 10);
        if fraction == 0 {
            return whole;
        }
        len += 1 + fraction;
    }
    let exponent = &text[len..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let power = digits(&exponent[1 + sign..], 10);
        if power > 0 {
            len += 1 + sign + power;
        }
    }
    len
}

/// As Ansible reads text inside `{{ }}` of YAML: a backslash is a backslash, so that regular expressions need no
/// doubling. Only a quote may be escaped.
fn keep_backslashes(text: &str) -> String {
    text.replace("\\'", "'").replace("\\\"", "\"")
}

/// Python's escape sequences; None when one is broken.
pub fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let c = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + c.len_utf8()..];
        let mut hex = |len: usize| -> Option<char> {
            let code = u32::from_str_radix(rest.get(..len)?, 16).ok()?;
            rest = &rest[len..];
            char::from_u32(code)
        };
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            '\\' | '\'' | '"' => out.push(c),
            '\n' => {}
            'x' => out.push(hex(2)?),
            'u' => out.push(hex(4)?),
            'U' => out.push(hex(8)?),
            '0'..='7' => {
                let more = rest
                    .bytes()
                    .take(2)
                    .take_while(|b| (b'0'..=b'7').contains(b));
                let more = more.count();
                let mut code = c.to_digit(8)?;
                for digit in rest[..more].chars() {
                    code = code * 8 + digit.to_digit(8)?;
                }
                rest = &rest[more..];
                out.push(char::from_u32(code)?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    Some(out)
}
