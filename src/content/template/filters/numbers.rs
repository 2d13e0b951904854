//! Filters of numbers.

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, optional_int, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Mistake, Value, add, float_repr, neg};
use num_bigint::BigInt;
use num_traits::FromPrimitive;

pub(super) const FILTERS: &[Filter] = &[
    filter("abs", abs, ("-5 | abs", "5")),
    filter("int", int, ("'0x1f' | int(base=16)", "31")),
    filter("float", float, ("'2.5' | float", "2.5")),
    filter("round", round, ("2.567 | round(2)", "2.57")),
    filter("sum", sum, ("[1, 2, 3] | sum", "6")),
    filter(
        "filesizeformat",
        filesizeformat,
        ("1500 | filesizeformat", "'1.5 kB'"),
    ),
    filter("log", log, ("8 | log(2)", "3.0")),
    filter("pow", pow, ("2 | pow(3)", "8.0")),
    filter("root", root, ("9 | root", "3.0")),
    filter(
        "human_readable",
        human_readable,
        ("1536 | human_readable", "'1.50 KB'"),
    ),
    filter(
        "human_to_bytes",
        human_to_bytes,
        ("'1.5 KB' | human_to_bytes", "1536"),
    ),
];

fn abs(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("abs")?;
    match value.to_float() {
        Some(float) if matches!(value, Value::Float(_)) => Ok(Value::Float(float.abs())),
        Some(float) if float < 0.0 => Ok(neg(value)?),
        Some(_) => Ok(value
            .to_bigint()
            .map_or_else(|| value.clone(), Value::integer)),
        None => Err(TemplateError::new(format!(
            "bad operand type for abs(): '{}'",
            value.type_name()
        ))),
    }
}

/// A whole number; what can't be read as one gives the default.
fn int(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [default, base] = args.bind("int", ["default", "base"])?;
    let base = optional_int("base", base)?.unwrap_or(10);
    let found = match value {
        Value::Str(text) => parse_int(&text.text, base).or_else(|| {
            let float = parse_float(&text.text)?;
            BigInt::from_f64(float.trunc())
        }),
        Value::Float(float) => BigInt::from_f64(float.trunc()),
        other => other.to_bigint(),
    };
    Ok(match found {
        Some(found) => Value::integer(found),
        None => default.unwrap_or(Value::Int(0)),
    })
}

fn parse_int(text: &str, base: i64) -> Option<BigInt> {
    let text = text.trim().replace('_', "").to_ascii_lowercase();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let prefixed = |prefix: &str| digits.strip_prefix(prefix);
    let (digits, radix) = match base {
        16 => (prefixed("0x").unwrap_or(digits), 16),
        8 => (prefixed("0o").unwrap_or(digits), 8),
        2 => (prefixed("0b").unwrap_or(digits), 2),
        0 => match digits.get(..2) {
            Some("0x") => (&digits[2..], 16),
            Some("0o") => (&digits[2..], 8),
            Some("0b") => (&digits[2..], 2),
            _ => (digits, 10),
        },
        other => (
            digits,
            u32::try_from(other)
                .ok()
                .filter(|radix| (2..=36).contains(radix))?,
        ),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let whole = BigInt::parse_bytes(digits.as_bytes(), radix)?;
    Some(if negative { -whole } else { whole })
}

/// As Python's `float()` reads text.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim().replace('_', "").to_ascii_lowercase();
    let digits = text.trim_start_matches(['-', '+']);
    let known = matches!(digits, "inf" | "infinity" | "nan");
    if !known && !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().ok()
}

fn float(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [default] = args.bind("float", ["default"])?;
    let found = match value {
        Value::Str(text) => parse_float(&text.text),
        other => other.to_float(),
    };
    Ok(match found {
        Some(found) => Value::Float(found),
        None => default.unwrap_or(Value::Float(0.0)),
    })
}

fn round(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [precision, method] = args.bind("round", ["precision", "method"])?;
    let precision = optional_int("precision", precision)?
        .unwrap_or(0)
        .clamp(-300, 300);
    let method = match method {
        Some(method) => text_of(&method)?,
        None => "common".to_owned(),
    };
    let Some(number) = value.to_float() else {
        return Err(TemplateError::new(format!(
            "type {} doesn't define __round__ method",
            value.type_name()
        )));
    };
    let power = 10f64.powi(i32::try_from(precision).unwrap_or(0));
    Ok(match method.as_str() {
        // Whole numbers in between, which have no negative zero.
        "ceil" => Value::Float(((number * power).ceil() + 0.0) / power),
        "floor" => Value::Float(((number * power).floor() + 0.0) / power),
        "common" => match (value, usize::try_from(precision)) {
            (Value::Float(number), Ok(places)) => {
                Value::Float(format!("{number:.places$}").parse().unwrap_or(*number))
            }
            (whole, Ok(_)) => whole
                .to_bigint()
                .map_or_else(|| whole.clone(), Value::integer),
            (whole, Err(_)) => {
                let rounded = (number * power).round_ties_even() / power;
                match (whole, BigInt::from_f64(rounded.round())) {
                    (Value::Float(_), _) | (_, None) => Value::Float(rounded),
                    (_, Some(rounded)) => Value::integer(rounded),
                }
            }
        },
        other => {
            return Err(
                TemplateError::new(format!("round() has no method '{other}'"))
                    .hint("Known: common, ceil, floor."),
            );
        }
    })
}

fn sum(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [attribute, start] = args.bind("sum", ["attribute", "start"])?;
    let mut total = start.unwrap_or(Value::Int(0));
    for item in value.iterate()? {
        let item = super::pick::attribute_of(interp, &item, attribute.as_ref())?;
        total = add(&total, &item)?;
    }
    Ok(total)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes are shown with few digits"
)]
fn filesizeformat(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [binary] = args.bind("filesizeformat", ["binary"])?;
    let binary = binary.is_some_and(|binary| binary.truthy());
    let size = match value {
        Value::Str(text) => parse_float(&text.text),
        other => other.to_float(),
    };
    let size = size.ok_or_else(|| TemplateError::new("could not convert it to a number"))?;
    let (base, units) = if binary {
        (
            1024u64,
            ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        )
    } else {
        (1000, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if size == 1.0 {
        return Ok("1 Byte".into());
    }
    if size < base as f64 {
        return Ok(format!("{} Bytes", size.trunc()).into());
    }
    let mut unit = 1.0;
    let mut shown = String::new();
    for name in units {
        shown = format!("{:.1} {name}", size / unit / base as f64);
        unit *= base as f64;
        if size < unit * base as f64 {
            break;
        }
    }
    Ok(shown.into())
}

fn number(what: &str, value: &Value) -> Outcome<f64> {
    match value {
        Value::Undefined(missing) => Err(Mistake::undefined(missing).into()),
        other => other.to_float().ok_or_else(|| {
            TemplateError::new(format!(
                "{what}() can only be used on numbers: must be real number, not {}",
                other.type_name()
            ))
        }),
    }
}

fn domain(what: &str, result: f64) -> Outcome {
    if result.is_nan() {
        return Err(TemplateError::new(format!("{what}(): math domain error")));
    }
    Ok(Value::Float(result))
}

fn log(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [base] = args.bind("log", ["base"])?;
    let x = number("log", value)?;
    if x <= 0.0 {
        return Err(TemplateError::new("log(): math domain error"));
    }
    let result = match base {
        None => x.ln(),
        Some(base) => {
            let base = number("log", &base)?;
            if base.to_bits() == 10f64.to_bits() {
                x.log10()
            } else {
                x.ln() / base.ln()
            }
        }
    };
    domain("log", result)
}

fn pow(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [power] = args.bind("pow", ["y"])?;
    let power = number("pow", &required("pow", "y", power)?)?;
    let base = number("pow", value)?;
    let result = base.powf(power);
    if result.is_infinite() && base.is_finite() && power.is_finite() {
        return Err(TemplateError::new("pow(): math range error"));
    }
    domain("pow", result)
}

fn root(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [base] = args.bind("root", ["base"])?;
    let base = match base {
        Some(base) => number("root", &base)?,
        None => 2.0,
    };
    let x = number("root", value)?;
    if base.to_bits() == 2f64.to_bits() {
        return domain("root", x.sqrt());
    }
    domain("root", x.powf(1.0 / base))
}

const UNITS: [(&str, f64); 9] = [
    ("Y", 1_208_925_819_614_629_174_706_176.0),
    ("Z", 1_180_591_620_717_411_303_424.0),
    ("E", 1_152_921_504_606_846_976.0),
    ("P", 1_125_899_906_842_624.0),
    ("T", 1_099_511_627_776.0),
    ("G", 1_073_741_824.0),
    ("M", 1_048_576.0),
    ("K", 1024.0),
    ("B", 1.0),
];

fn human_readable(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [bits, unit] = args.bind("human_readable", ["isbits", "unit"])?;
    let bits = bits.is_some_and(|bits| bits.truthy());
    let Some(size) = value.to_float() else {
        return Err(TemplateError::new(format!(
            "human_readable() failed on bad input: {}",
            value.repr()
        )));
    };
    let unit = match unit {
        None | Some(Value::None) => None,
        Some(unit) => text_of(&unit)?
            .to_uppercase()
            .chars()
            .next()
            .map(String::from),
    };
    let fits = |(suffix, limit): &&(&str, f64)| match &unit {
        Some(unit) => suffix == unit,
        None => size >= *limit,
    };
    let (suffix, limit) = UNITS.iter().find(fits).copied().unwrap_or(("B", 1.0));
    let base = if bits { "bits" } else { "Bytes" };
    let suffix = if suffix == "B" {
        base.to_owned()
    } else {
        format!("{suffix}{}", &base[..1])
    };
    Ok(format!("{:.2} {suffix}", size / limit).into())
}

fn human_to_bytes(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [default_unit, bits] = args.bind("human_to_bytes", ["default_unit", "isbits"])?;
    let bits = bits.is_some_and(|bits| bits.truthy());
    let text = text_of(value)?;
    let wrong = || {
        TemplateError::new(format!(
            "human_to_bytes() can't interpret following string: {text}"
        ))
    };
    let trimmed = text.trim_start();
    let len = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-')
        .unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(len);
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let mut unit = unit.trim().to_owned();
    if unit.is_empty() {
        match default_unit {
            Some(default) if default.truthy() => unit = text_of(&default)?,
            _ => return Ok(whole(number)),
        }
    }
    let letter = unit[..unit.chars().next().map_or(0, char::len_utf8)].to_uppercase();
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| *name == letter)
        .ok_or_else(wrong)?;
    if unit.len() > 1 {
        let class = unit.chars().nth(1).unwrap_or(' ');
        let expected = if bits { 'b' } else { 'B' };
        let word = unit.to_lowercase();
        let full = if bits {
            word.contains("bit")
        } else {
            word.contains("byte")
        };
        if class != expected && !full && unit.len() != 2 || (unit.len() == 2 && class != expected) {
            return Err(wrong());
        }
    }
    Ok(whole(number * factor))
}

fn whole(number: f64) -> Value {
    match BigInt::from_f64(number.round_ties_even()) {
        Some(whole) => Value::integer(whole),
        None => Value::from(float_repr(number)),
    }
}
