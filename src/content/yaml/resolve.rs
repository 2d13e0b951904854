//! What a plain scalar means: the rules of PyYAML's `Resolver` and `SafeConstructor` (YAML 1.1 with PyYAML's own
//! regular expressions), written out by hand.

use num_bigint::BigInt;
use std::sync::Arc;

/// The implicit type of a plain scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    BigInt(Arc<BigInt>),
    Float(f64),
    /// A date or time; its text is kept.
    Timestamp,
    /// `<<`: as a key it merges, elsewhere it is text.
    Merge,
    Str,
}

/// Longest integer that is read as one, as in Python (`sys.set_int_max_str_digits`); beyond it stays text.
const INT_DIGITS: usize = 4300;

/// Types an untagged plain scalar.
///
/// Order of the rules as in PyYAML: bool, float, int, merge, null, timestamp. PyYAML refuses `=`; here it is text.
pub fn plain(text: &str) -> Scalar {
    let Some(&first) = text.as_bytes().first() else {
        return Scalar::Null;
    };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => {
            match boolean(text) {
                Some(value) => Scalar::Bool(value),
                None if matches!(text, "null" | "Null" | "NULL") => Scalar::Null,
                None => Scalar::Str,
            }
        }
        b'0'..=b'9' | b'-' | b'+' | b'.' => number(text),
        b'~' if text == "~" => Scalar::Null,
        b'<' if text == "<<" => Scalar::Merge,
        _ => Scalar::Str,
    }
}

/// The words that YAML 1.1 takes for booleans, in the three cases that PyYAML accepts.
fn boolean(text: &str) -> Option<bool> {
    Some(match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true,
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false,
        _ => return None,
    })
}

fn number(text: &str) -> Scalar {
    if is_float(text)
        && let Some(value) = float(text)
    {
        return Scalar::Float(value);
    }
    if is_int(text)
        && text.len() <= INT_DIGITS
        && let Some(value) = int(text)
    {
        return value;
    }
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    Scalar::Str
}

/// A boolean that was tagged `!!bool`: any case of the known words.
pub fn tagged_bool(text: &str) -> Option<bool> {
    boolean(&text.to_ascii_lowercase())
}

/// An integer that was tagged `!!int`.
pub fn tagged_int(text: &str) -> Option<Scalar> {
    if text.len() > INT_DIGITS {
        return None;
    }
    int(text)
}

/// A number that was tagged `!!float`.
pub fn tagged_float(text: &str) -> Option<f64> {
    float(text)
}

/// A cursor over ASCII text for the small grammars below.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn skip(&mut self, accept: impl Fn(u8) -> bool) -> usize {
        let count = self.0.iter().take_while(|byte| accept(**byte)).count();
        self.0 = &self.0[count..];
        count
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn sign(&mut self) {
        if !self.eat(b'-') {
            self.eat(b'+');
        }
    }

    /// Exactly `least..=most` digits.
    fn digits(&mut self, least: usize, most: usize) -> bool {
        let count = self
            .0
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.0 = &self.0[count..];
        count >= least
    }

    /// `[0-9][0-9_]*`
    fn digits_with_underscores(&mut self) -> bool {
        self.0.first().is_some_and(u8::is_ascii_digit) && self.skip(digit_or_underscore) > 0
    }

    /// `(?::[0-5]?[0-9])+`
    fn sixtieths(&mut self) -> bool {
        let mut any = false;
        while self.0.first() == Some(&b':') {
            let rest = &self.0[1..];
            let length = match rest {
                [b'0'..=b'5', b'0'..=b'9', ..] => 2,
                [b'0'..=b'9', ..] => 1,
                _ => return any,
            };
            self.0 = &rest[length..];
            any = true;
        }
        any
    }

    /// `(?:[eE][-+][0-9]+)?$`
    fn exponent_and_end(&mut self) -> bool {
        if self.0.is_empty() {
            return true;
        }
        (self.eat(b'e') || self.eat(b'E'))
            && (self.eat(b'-') || self.eat(b'+'))
            && self.skip(|byte| byte.is_ascii_digit()) > 0
            && self.0.is_empty()
    }
}

fn digit_or_underscore(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// PyYAML's float: a dot is needed, and an exponent needs its sign (so `1e3` is text).
fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let mut scan = Scan(text.as_bytes());
    if scan.eat(b'.') {
        return scan.digits_with_underscores() && scan.exponent_and_end();
    }
    scan.sign();
    if !scan.digits_with_underscores() {
        return false;
    }
    if scan.eat(b'.') {
        scan.skip(digit_or_underscore);
        return scan.exponent_and_end();
    }
    scan.sixtieths()
        && scan.eat(b'.')
        && {
            scan.skip(digit_or_underscore);
            true
        }
        && scan.0.is_empty()
}

fn is_int(text: &str) -> bool {
    let mut scan = Scan(text.as_bytes());
    scan.sign();
    match scan.0 {
        [b'0', b'b', rest @ ..] => {
            !rest.is_empty() && rest.iter().all(|byte| matches!(byte, b'0' | b'1' | b'_'))
        }
        [b'0', b'x', rest @ ..] => {
            !rest.is_empty()
                && rest
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || *byte == b'_')
        }
        [b'0', rest @ ..] => rest.iter().all(|byte| matches!(byte, b'0'..=b'7' | b'_')),
        [b'1'..=b'9', ..] => {
            scan.digits_with_underscores();
            scan.0.is_empty() || (scan.sixtieths() && scan.0.is_empty())
        }
        _ => false,
    }
}

fn int(text: &str) -> Option<Scalar> {
    let text = text.replace('_', "");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (radix, body) = match digits.as_bytes() {
        [b'0'] => (10, digits),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let value = if radix == 10 && body.contains(':') {
        let mut value = BigInt::ZERO;
        for part in body.split(':') {
            value = value * 60 + unsigned(part, 10)?;
        }
        value
    } else {
        unsigned(body, radix)?
    };
    let value = if negative { -value } else { value };
    Some(match i64::try_from(&value) {
        Ok(small) => Scalar::Int(small),
        Err(_) => Scalar::BigInt(Arc::new(value)),
    })
}

fn unsigned(digits: &str, radix: u32) -> Option<BigInt> {
    if digits.starts_with(['-', '+']) {
        return None;
    }
    BigInt::parse_bytes(digits.as_bytes(), radix)
}

fn float(text: &str) -> Option<f64> {
    let text = text.replace('_', "").to_ascii_lowercase();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(&text)),
    };
    match digits {
        ".inf" => return Some(sign * f64::INFINITY),
        ".nan" => return Some(f64::NAN),
        _ => {}
    }
    let mut value = 0.0;
    for part in digits.split(':') {
        // Words such as `infinity`, which Rust would read, are no floats in YAML.
        if !part.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return None;
        }
        value = value * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(sign * value)
}

/// `2001-12-14`, or a date with a time: `2001-12-14t21:59:43.10-05:00`, `2001-1-4 1:59:43 Z`.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() == 10 {
        let mut scan = Scan(bytes);
        if scan.digits(4, 4)
            && scan.eat(b'-')
            && scan.digits(2, 2)
            && scan.eat(b'-')
            && scan.digits(2, 2)
            && scan.0.is_empty()
        {
            return true;
        }
    }
    let mut scan = Scan(bytes);
    let date = scan.digits(4, 4)
        && scan.eat(b'-')
        && scan.digits(1, 2)
        && scan.eat(b'-')
        && scan.digits(1, 2);
    let between = date && (scan.eat(b'T') || scan.eat(b't') || scan.skip(is_blank) > 0);
    let time = between
        && scan.digits(1, 2)
        && scan.eat(b':')
        && scan.digits(2, 2)
        && scan.eat(b':')
        && scan.digits(2, 2);
    if !time {
        return false;
    }
    if scan.eat(b'.') {
        scan.skip(|byte| byte.is_ascii_digit());
    }
    let before_zone = scan.0.len();
    scan.skip(is_blank);
    if scan.0.is_empty() {
        return before_zone == 0;
    }
    if scan.eat(b'Z') {
        return scan.0.is_empty();
    }
    (scan.eat(b'-') || scan.eat(b'+'))
        && scan.digits(1, 2)
        && (scan.0.is_empty() || (scan.eat(b':') && scan.digits(2, 2) && scan.0.is_empty()))
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for text in ["yes", "Yes", "YES", "on", "True", "TRUE"] {
            assert_eq!(plain(text), Scalar::Bool(true), "{text}");
        }
        for text in ["no", "No", "off", "OFF", "false"] {
            assert_eq!(plain(text), Scalar::Bool(false), "{text}");
        }
        for text in ["y", "n", "yEs", "nullx", "True ", "=", "oN"] {
            assert_eq!(plain(text), Scalar::Str, "{text}");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(plain(text), Scalar::Null, "{text}");
        }
        assert_eq!(plain("<<"), Scalar::Merge);
    }

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0644", 420),
            ("0_7", 7),
            ("0x1F", 31),
            ("-0x1f", -31),
            ("0b101", 5),
            ("1_000", 1000),
            ("+12", 12),
            ("1:30", 90),
            ("-1:30", -90),
            ("190:20:30", 685_230),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(plain(text), Scalar::Int(value), "{text}");
        }
        for text in [
            "09", "0o17", "1:60", "01:30", "0:30", "1__a", "0x", "0b2", "-", "+", "1-2", "0x_",
            "1:2:", "_1",
        ] {
            assert_eq!(plain(text), Scalar::Str, "{text}");
        }
        assert!(matches!(plain("9223372036854775808"), Scalar::BigInt(_)));
        assert_eq!(plain(&"1".repeat(5000)), Scalar::Str);
    }

    #[test]
    fn floats() {
        for (text, value) in [
            ("1.0", 1.0),
            ("1.", 1.0),
            ("-1.5", -1.5),
            (".5", 0.5),
            ("1.5e+3", 1500.0),
            ("1.5E-3", 0.0015),
            ("1_0.2_5", 10.25),
            ("1:30.5", 90.5),
            ("0644.0", 644.0),
            ("-.inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(plain(text), Scalar::Float(value), "{text}");
        }
        assert!(matches!(plain(".nan"), Scalar::Float(value) if value.is_nan()));
        for text in [
            "1e3", "1.5e3", ".", "-.5", "1.2.3", "10.0.0.1", ".inF", "-.nan", "1.e", "+.",
        ] {
            assert_eq!(plain(text), Scalar::Str, "{text}");
        }
    }

    #[test]
    fn dates() {
        for text in [
            "2024-01-01",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43.10 -5",
            "2001-1-4 1:59:43",
            "2001-12-15 2:59:43.10Z",
        ] {
            assert_eq!(plain(text), Scalar::Timestamp, "{text}");
        }
        for text in ["2024-1-1", "2024-01-01x", "2024-01", "2024-01-01 10:00"] {
            assert_eq!(plain(text), Scalar::Str, "{text}");
        }
    }
}
