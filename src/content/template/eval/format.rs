//! Python's two ways of formatting: `'%s' % value` and `'{}'.format(value)`.

use super::Outcome;
use super::args::{Args, text_of};
use crate::content::template::TemplateError;
use crate::content::value::{Mistake, Text, Value, float_repr};
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed};

/// Widest field and longest fraction that a format may ask for.
const MAX_WIDTH: usize = 1 << 20;

/// How a value is laid out.
#[derive(Debug, Default, Clone)]
struct Layout {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn width(digits: &str) -> Result<usize, Mistake> {
    if digits.is_empty() {
        return Ok(0);
    }
    digits
        .parse()
        .ok()
        .filter(|width| *width <= MAX_WIDTH)
        .ok_or_else(|| Mistake::new("the width of a format is too large"))
}

/// `format % value`.
pub fn percent(format: &Text, value: &Value) -> Result<Value, Mistake> {
    if let Value::Undefined(missing) = value {
        return Err(Mistake::undefined(missing));
    }
    let items: Vec<Value> = match value {
        Value::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut items = items.into_iter();
    let mut out = String::new();
    let mut named = false;
    let mut rest = &*format.text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut layout = Layout::default();
        let mut item = None;
        if let Some(inner) = rest.strip_prefix('(') {
            let end = inner
                .find(')')
                .ok_or_else(|| Mistake::new("incomplete format key"))?;
            named = true;
            let key = &inner[..end];
            item = Some(value.get(key).ok_or_else(|| {
                Mistake::new(format!("the format names '{key}', which isn't given"))
            })?);
            rest = &inner[end + 1..];
        }
        rest = percent_flags(rest, &mut layout, &mut items)?;
        let kind = rest
            .chars()
            .next()
            .ok_or_else(|| Mistake::new("incomplete format"))?;
        rest = &rest[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let item = match item.or_else(|| items.next()) {
            Some(item) => item,
            None => return Err(Mistake::new("not enough arguments for format string")),
        };
        out.push_str(&percent_item(kind, &layout, &item)?);
    }
    out.push_str(rest);
    if !named && items.next().is_some() && !value.is_mapping() {
        return Err(Mistake::new(
            "not all arguments converted during string formatting",
        ));
    }
    let trusted = format.trusted && !value.holds_untrusted();
    Ok(Value::Str(Text::new(out, trusted)))
}

/// Flags, width and precision; `*` takes them from the items.
fn percent_flags<'a>(
    mut rest: &'a str,
    layout: &mut Layout,
    items: &mut impl Iterator<Item = Value>,
) -> Result<&'a str, Mistake> {
    while let Some(flag) = rest.chars().next() {
        match flag {
            '-' => layout.align = Some('<'),
            '0' => layout.zero = true,
            '+' | ' ' => layout.sign = layout.sign.filter(|sign| *sign == '+').or(Some(flag)),
            '#' => layout.alternate = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    let mut number = |rest: &mut &'a str| -> Result<usize, Mistake> {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let given = items.next().and_then(|value| value.as_int());
            let given = given.ok_or_else(|| Mistake::new("* wants int"))?;
            return width(&given.max(0).to_string());
        }
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        let found = width(&rest[..len])?;
        *rest = &rest[len..];
        Ok(found)
    };
    layout.width = number(&mut rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        layout.precision = Some(number(&mut rest)?);
    }
    Ok(rest.trim_start_matches(['l', 'h', 'L']))
}

fn percent_item(kind: char, layout: &Layout, item: &Value) -> Result<String, Mistake> {
    let mut layout = layout.clone();
    layout.align = layout.align.or(Some('>'));
    if layout.zero && layout.align == Some('<') {
        layout.zero = false;
    }
    match kind {
        's' | 'r' | 'a' => {
            let text = if kind == 's' {
                text_of(item)?
            } else {
                item.repr()
            };
            layout.zero = false;
            Ok(lay_text(&text, &layout))
        }
        'd' | 'i' | 'u' => {
            let whole =
                whole_of(item).ok_or_else(|| wants(kind, "a real number is required", item))?;
            Ok(lay_number(&whole, &layout, 'd'))
        }
        'x' | 'X' | 'o' => {
            let whole = item
                .to_bigint()
                .ok_or_else(|| wants(kind, "an integer is required", item))?;
            Ok(lay_number(&whole, &layout, kind))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let float = item.to_float().ok_or_else(|| {
                Mistake::new(format!("must be real number, not {}", item.type_name()))
            })?;
            Ok(lay_float(float, &layout, kind))
        }
        'c' => match item {
            Value::Str(text) if text.text.chars().count() == 1 => Ok(lay_text(&text.text, &layout)),
            other => other
                .as_int()
                .and_then(|code| u32::try_from(code).ok())
                .and_then(char::from_u32)
                .map(|c| lay_text(&c.to_string(), &layout))
                .ok_or_else(|| Mistake::new("%c requires int or char")),
        },
        other => Err(Mistake::new(format!(
            "unsupported format character '{other}'"
        ))),
    }
}

fn wants(kind: char, what: &str, item: &Value) -> Mistake {
    Mistake::new(format!("%{kind} format: {what}, not {}", item.type_name()))
}

fn whole_of(item: &Value) -> Option<BigInt> {
    match item {
        Value::Float(value) => BigInt::from_f64(value.trunc()),
        other => other.to_bigint(),
    }
}

/// Text with its fill; cut to the precision.
fn lay_text(text: &str, layout: &Layout) -> String {
    let text: String = match layout.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    pad("", &text, layout, layout.align.unwrap_or('<'))
}

fn pad(sign: &str, body: &str, layout: &Layout, align: char) -> String {
    let len = sign.chars().count() + body.chars().count();
    let missing = layout.width.saturating_sub(len);
    let fill = |count: usize, c: char| std::iter::repeat_n(c, count).collect::<String>();
    let c = layout.fill.unwrap_or(if layout.zero { '0' } else { ' ' });
    match align {
        _ if layout.zero && layout.fill.is_none() => format!("{sign}{}{body}", fill(missing, '0')),
        '=' => format!("{sign}{}{body}", fill(missing, c)),
        '<' => format!("{sign}{body}{}", fill(missing, c)),
        '^' => {
            let left = missing / 2;
            format!("{}{sign}{body}{}", fill(left, c), fill(missing - left, c))
        }
        _ => format!("{}{sign}{body}", fill(missing, c)),
    }
}

fn sign(negative: bool, layout: &Layout) -> String {
    if negative {
        "-".to_owned()
    } else {
        layout
            .sign
            .filter(|sign| matches!(sign, '+' | ' '))
            .map(String::from)
            .unwrap_or_default()
    }
}

fn lay_number(whole: &BigInt, layout: &Layout, kind: char) -> String {
    let (digits, prefix) = match kind {
        'x' => (format!("{:x}", whole.abs()), "0x"),
        'X' => (format!("{:X}", whole.abs()), "0X"),
        'o' => (format!("{:o}", whole.abs()), "0o"),
        'b' => (format!("{:b}", whole.abs()), "0b"),
        _ => (whole.abs().to_string(), ""),
    };
    let mut body = match layout.precision {
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    if let Some(separator) = layout.grouping {
        body = grouped(&body, separator, if kind == 'd' { 3 } else { 4 });
    }
    let mut sign = sign(whole.is_negative(), layout);
    if layout.alternate {
        sign.push_str(prefix);
    }
    pad(&sign, &body, layout, layout.align.unwrap_or('>'))
}

fn grouped(digits: &str, separator: char, size: usize) -> String {
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

fn lay_float(value: f64, layout: &Layout, kind: char) -> String {
    let size = value.abs();
    let precision = layout.precision.unwrap_or(6).min(1000);
    let mut body = if !value.is_finite() {
        float_repr(size)
    } else {
        match kind.to_ascii_lowercase() {
            'f' => format!("{size:.precision$}"),
            'e' => exponential(size, precision),
            '%' => format!("{:.precision$}%", size * 100.0),
            _ => general(size, precision.max(1), layout.alternate),
        }
    };
    if kind.is_ascii_uppercase() {
        body = body.to_uppercase();
    }
    if let Some(separator) = layout.grouping {
        let (whole, rest) = match body.find(|c: char| !c.is_ascii_digit()) {
            Some(at) => body.split_at(at),
            None => (body.as_str(), ""),
        };
        body = grouped(whole, separator, 3) + rest;
    }
    let sign = sign(value.is_sign_negative() && !value.is_nan(), layout);
    pad(&sign, &body, layout, layout.align.unwrap_or('>'))
}

fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// `%g`: so many significant digits, without trailing zeros.
fn general(value: f64, precision: usize, keep_zeros: bool) -> String {
    let scientific = format!("{value:.*e}", precision - 1);
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    let digits = i32::try_from(precision).unwrap_or(i32::MAX);
    let trim = |text: &str| -> String {
        if keep_zeros || !text.contains('.') {
            text.to_owned()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if (-4..digits).contains(&exponent) {
        let places = usize::try_from(digits - 1 - exponent).unwrap_or(0);
        return trim(&format!("{value:.places$}"));
    }
    let text = exponential(value, precision - 1);
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trim(mantissa)),
        None => text,
    }
}

/// `'{} {name!r:>8}'.format(…)`.
pub fn brace(format: &Text, args: &Args) -> Outcome {
    let mut trusted = format.trusted;
    let mut next = 0;
    let text = fields(&format.text, args, &mut next, &mut trusted, 0)?;
    Ok(Value::Str(Text::new(text, trusted)))
}

fn fields(
    format: &str,
    args: &Args,
    next: &mut usize,
    trusted: &mut bool,
    depth: u32,
) -> Outcome<String> {
    if depth > 1 {
        return Err(TemplateError::new("Max string recursion exceeded"));
    }
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(TemplateError::new(
                "Single '}' encountered in format string",
            ));
        }
        let end = closing(rest)
            .ok_or_else(|| TemplateError::new("Single '{' encountered in format string"))?;
        let (field, spec) = split_spec(&rest[..end]);
        rest = &rest[end + 1..];
        let (path, conversion) = match field.rsplit_once('!') {
            Some((path, conversion)) => (path, Some(conversion)),
            None => (field, None),
        };
        let value = field_value(path, args, next)?;
        let spec = match spec {
            Some(spec) => fields(spec, args, next, trusted, depth + 1)?,
            None => String::new(),
        };
        *trusted &= !value.holds_untrusted();
        let value = match conversion {
            Some("r" | "a") => Value::from(value.repr()),
            Some("s") => Value::from(text_of(&value)?),
            None => value,
            Some(other) => {
                return Err(TemplateError::new(format!(
                    "Unknown conversion specifier '{other}'"
                )));
            }
        };
        out.push_str(&format_spec(&value, &spec)?);
    }
    out.push_str(rest);
    Ok(out)
}

/// The end of a field, with fields inside it skipped.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        None
    })
}

fn split_spec(field: &str) -> (&str, Option<&str>) {
    let mut brackets = 0;
    let colon = field.char_indices().find_map(|(at, c)| {
        match c {
            '[' => brackets += 1,
            ']' => brackets -= 1,
            ':' if brackets == 0 => return Some(at),
            _ => {}
        }
        None
    });
    match colon {
        Some(at) => (&field[..at], Some(&field[at + 1..])),
        None => (field, None),
    }
}

/// `0`, `name`, `0.attribute[key]`, or nothing for the next one.
fn field_value(path: &str, args: &Args, next: &mut usize) -> Outcome {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(end);
    let missing = || TemplateError::new("Replacement index out of range for positional args tuple");
    let mut value = if first.is_empty() {
        *next += 1;
        args.positional
            .get(*next - 1)
            .cloned()
            .ok_or_else(missing)?
    } else if let Ok(index) = first.parse::<usize>() {
        args.positional.get(index).cloned().ok_or_else(missing)?
    } else {
        let named = args.named.iter().find(|(name, _)| &**name == first);
        let named = named.map(|(_, value)| value.clone());
        named.ok_or_else(|| {
            TemplateError::new(format!("the format names '{first}', which isn't given"))
        })?
    };
    while !rest.is_empty() {
        let is_item = rest.starts_with('[');
        let (key, after) = if is_item {
            let inner = &rest[1..];
            let end = inner.find(']').unwrap_or(inner.len());
            (&inner[..end], inner.get(end + 1..).unwrap_or(""))
        } else {
            let inner = &rest[1..];
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            inner.split_at(end)
        };
        let by_index = key
            .parse()
            .ok()
            .and_then(|index| value.get_item(&Value::Int(index)));
        let found = match &value {
            Value::Object(_) => value.get(key).or(by_index),
            _ if is_item => value.get(key).or(by_index),
            _ => None,
        };
        value = found.ok_or_else(|| {
            TemplateError::new(format!("'{}' has nothing under '{key}'", value.type_name()))
        })?;
        rest = after;
    }
    if let Value::Undefined(missing) = &value {
        return Err(Mistake::undefined(missing).into());
    }
    Ok(value)
}

/// Python's `format(value, spec)`.
pub fn format_spec(value: &Value, spec: &str) -> Outcome<String> {
    if spec.is_empty() {
        return Ok(text_of(value)?);
    }
    let layout = parse_spec(spec)?;
    let unknown = || {
        TemplateError::new(format!(
            "Unknown format code '{}' for object of type '{}'",
            layout.kind.unwrap_or(' '),
            value.type_name()
        ))
    };
    if let Some(whole) = value.to_bigint() {
        return match layout.kind {
            None | Some('d' | 'n') => Ok(lay_number(&whole, &layout, 'd')),
            Some(kind @ ('x' | 'X' | 'o' | 'b')) => Ok(lay_number(&whole, &layout, kind)),
            Some('c') => Ok(lay_text(
                &whole
                    .to_string()
                    .parse()
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(unknown)?
                    .to_string(),
                &layout,
            )),
            Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => Ok(lay_float(
                value.to_float().unwrap_or(f64::NAN),
                &layout,
                kind,
            )),
            _ => Err(unknown()),
        };
    }
    if let Value::Float(float) = value {
        return match layout.kind {
            None if layout.precision.is_none() => {
                let sign = sign(float.is_sign_negative(), &layout);
                Ok(pad(
                    &sign,
                    &float_repr(float.abs()),
                    &layout,
                    layout.align.unwrap_or('>'),
                ))
            }
            None => {
                let mut layout = layout.clone();
                let width = std::mem::take(&mut layout.width);
                let mut text = lay_float(*float, &layout, 'g');
                if !text.contains(['.', 'e', 'n']) {
                    text.push_str(".0");
                }
                layout.width = width;
                Ok(pad("", &text, &layout, layout.align.unwrap_or('>')))
            }
            Some('n') => Ok(lay_float(*float, &layout, 'g')),
            Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
                Ok(lay_float(*float, &layout, kind))
            }
            _ => Err(unknown()),
        };
    }
    if !matches!(layout.kind, None | Some('s')) {
        return Err(unknown());
    }
    Ok(lay_text(&text_of(value)?, &layout))
}

fn parse_spec(spec: &str) -> Outcome<Layout> {
    let mut layout = Layout::default();
    let mut chars: Vec<char> = spec.chars().collect();
    chars.reverse();
    let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '^' | '='));
    if chars.len() > 1 && is_align(chars.get(chars.len() - 2)) {
        layout.fill = chars.pop();
        layout.align = chars.pop();
    } else if is_align(chars.last()) {
        layout.align = chars.pop();
    }
    if matches!(chars.last(), Some('+' | '-' | ' ')) {
        layout.sign = chars.pop();
    }
    if chars.last() == Some(&'#') {
        layout.alternate = true;
        chars.pop();
    }
    if chars.last() == Some(&'0') && layout.align.is_none() {
        layout.zero = true;
        chars.pop();
    }
    let digits = |chars: &mut Vec<char>| -> Outcome<usize> {
        let mut found = String::new();
        while let Some(c) = chars.last().filter(|c| c.is_ascii_digit()) {
            found.push(*c);
            chars.pop();
        }
        Ok(width(&found)?)
    };
    layout.width = digits(&mut chars)?;
    if matches!(chars.last(), Some(',' | '_')) {
        layout.grouping = chars.pop();
    }
    if chars.last() == Some(&'.') {
        chars.pop();
        layout.precision = Some(digits(&mut chars)?);
    }
    layout.kind = chars.pop();
    if !chars.is_empty() {
        return Err(TemplateError::new("Invalid format specifier"));
    }
    Ok(layout)
}
