//! Arithmetic of Python: whole numbers without bounds, `/` gives a float, `//` and `%` round towards minus infinity.

use super::{Key, Mistake, Text, Value, read};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};
use std::sync::Arc;

/// Longest text or list that an expression may build by repeating.
const MAX_REPEAT: usize = 64 << 20;

/// Largest exponent for whole numbers: the result has at most some megabits.
const MAX_POWER: u64 = 1 << 20;

fn unsupported(operator: &str, one: &Value, other: &Value) -> Mistake {
    for side in [one, other] {
        if let Value::Undefined(missing) = side {
            return Mistake::undefined(missing);
        }
    }
    Mistake::new(format!(
        "unsupported operand type(s) for {operator}: '{}' and '{}'",
        one.type_name(),
        other.type_name()
    ))
}

/// Both as integers, both as floats, or neither.
enum Pair {
    Small(i64, i64),
    Big(BigInt, BigInt),
    Float(f64, f64),
}

fn pair(operator: &str, one: &Value, other: &Value) -> Result<Pair, Mistake> {
    if let (Some(one), Some(other)) = (one.as_int(), other.as_int()) {
        return Ok(Pair::Small(one, other));
    }
    if let (Some(one), Some(other)) = (one.to_bigint(), other.to_bigint()) {
        return Ok(Pair::Big(one, other));
    }
    match (one.to_float(), other.to_float()) {
        (Some(one), Some(other)) => Ok(Pair::Float(one, other)),
        _ => Err(unsupported(operator, one, other)),
    }
}

/// `one + other`: numbers, or two texts, lists or tuples joined.
pub fn add(one: &Value, other: &Value) -> Result<Value, Mistake> {
    match (one, other) {
        (Value::Str(a), Value::Str(b)) => {
            let mut text = String::with_capacity(a.text.len() + b.text.len());
            text.push_str(&a.text);
            text.push_str(&b.text);
            Ok(Value::Str(Text::new(text, a.trusted && b.trusted)))
        }
        (Value::List(a), Value::List(b)) => {
            let mut items = read(a).clone();
            items.extend(read(b).iter().cloned());
            Ok(Value::list(items))
        }
        (Value::Tuple(a), Value::Tuple(b)) => {
            Ok(Value::tuple(a.iter().chain(b.iter()).cloned().collect()))
        }
        (Value::Str(_), other) if !other.is_undefined() => Err(Mistake::new(format!(
            "can only concatenate str (not \"{}\") to str",
            other.type_name()
        ))),
        (Value::List(_), other) if !other.is_undefined() => Err(Mistake::new(format!(
            "can only concatenate list (not \"{}\") to list",
            other.type_name()
        ))),
        _ => Ok(match pair("+", one, other)? {
            Pair::Small(a, b) => match a.checked_add(b) {
                Some(sum) => Value::Int(sum),
                None => Value::integer(BigInt::from(a) + b),
            },
            Pair::Big(a, b) => Value::integer(a + b),
            Pair::Float(a, b) => Value::Float(a + b),
        }),
    }
}

/// `one - other`.
pub fn sub(one: &Value, other: &Value) -> Result<Value, Mistake> {
    Ok(match pair("-", one, other)? {
        Pair::Small(a, b) => match a.checked_sub(b) {
            Some(difference) => Value::Int(difference),
            None => Value::integer(BigInt::from(a) - b),
        },
        Pair::Big(a, b) => Value::integer(a - b),
        Pair::Float(a, b) => Value::Float(a - b),
    })
}

/// `one * other`: numbers, or text, a list or a tuple repeated.
pub fn mul(one: &Value, other: &Value) -> Result<Value, Mistake> {
    for (sequence, count) in [(one, other), (other, one)] {
        if let (Value::Str(_) | Value::List(_) | Value::Tuple(_), Some(count)) =
            (sequence, count.as_int())
        {
            return repeat(sequence, usize::try_from(count).unwrap_or(0));
        }
    }
    Ok(match pair("*", one, other)? {
        Pair::Small(a, b) => match a.checked_mul(b) {
            Some(product) => Value::Int(product),
            None => Value::integer(BigInt::from(a) * b),
        },
        Pair::Big(a, b) => Value::integer(a * b),
        Pair::Float(a, b) => Value::Float(a * b),
    })
}

fn repeat(sequence: &Value, count: usize) -> Result<Value, Mistake> {
    let size = match sequence {
        Value::Str(text) => text.text.len(),
        other => other.length().unwrap_or(0),
    };
    if size.saturating_mul(count) > MAX_REPEAT {
        return Err(Mistake::new(format!(
            "repeating it {count} times makes it too large"
        )));
    }
    let again = |items: &[Value]| -> Vec<Value> {
        items
            .iter()
            .cycle()
            .take(items.len() * count)
            .cloned()
            .collect()
    };
    Ok(match sequence {
        Value::Str(text) => Value::Str(Text::new(text.text.repeat(count), text.trusted)),
        Value::List(items) => Value::list(again(&read(items))),
        Value::Tuple(items) => Value::tuple(again(items)),
        other => other.clone(),
    })
}

/// `one / other`, always a float.
#[expect(clippy::cast_precision_loss, reason = "as Python divides")]
pub fn div(one: &Value, other: &Value) -> Result<Value, Mistake> {
    let (a, b) = match pair("/", one, other)? {
        Pair::Small(a, b) => (a as f64, b as f64),
        Pair::Big(a, b) => (
            a.to_f64().unwrap_or(f64::NAN),
            b.to_f64().unwrap_or(f64::NAN),
        ),
        Pair::Float(a, b) => (a, b),
    };
    if b == 0.0 {
        let kind = if matches!((one, other), (Value::Float(_), _) | (_, Value::Float(_))) {
            "float division by zero"
        } else {
            "division by zero"
        };
        return Err(Mistake::new(kind));
    }
    Ok(Value::Float(a / b))
}

/// `one // other`.
pub fn floor_div(one: &Value, other: &Value) -> Result<Value, Mistake> {
    let by_zero = || Mistake::new("integer division or modulo by zero");
    Ok(match pair("//", one, other)? {
        Pair::Small(_, 0) => return Err(by_zero()),
        Pair::Small(a, b) if b != -1 => Value::Int(Integer::div_floor(&a, &b)),
        Pair::Small(a, b) => Value::integer(BigInt::from(a).div_floor(&BigInt::from(b))),
        Pair::Big(_, b) if b.is_zero() => return Err(by_zero()),
        Pair::Big(a, b) => Value::integer(a.div_floor(&b)),
        Pair::Float(_, 0.0) => return Err(Mistake::new("float floor division by zero")),
        Pair::Float(a, b) => Value::Float(float_floor_div(a, b)),
    })
}

/// With the roundings of Python's own algorithm, which show where numbers are larger than 2^53.
fn float_floor_div(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0f64.copysign(a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

/// `one % other`: the remainder has the sign of the divisor. Text on the left is a format and not handled here.
pub fn rem(one: &Value, other: &Value) -> Result<Value, Mistake> {
    let by_zero = || Mistake::new("integer modulo by zero");
    Ok(match pair("%", one, other)? {
        Pair::Small(_, 0) => return Err(by_zero()),
        Pair::Small(_, -1) => Value::Int(0),
        Pair::Small(a, b) => Value::Int(Integer::mod_floor(&a, &b)),
        Pair::Big(_, b) if b.is_zero() => return Err(by_zero()),
        Pair::Big(a, b) => Value::integer(a.mod_floor(&b)),
        Pair::Float(_, 0.0) => return Err(Mistake::new("float modulo")),
        Pair::Float(a, b) => Value::Float(float_rem(a, b)),
    })
}

fn float_rem(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        return 0f64.copysign(b);
    }
    if (rest < 0.0) == (b < 0.0) {
        rest
    } else {
        rest + b
    }
}

/// `one ** other`; whole numbers stay whole unless the exponent is negative.
pub fn pow(one: &Value, other: &Value) -> Result<Value, Mistake> {
    let float = |a: f64, b: f64| {
        if a == 0.0 && b < 0.0 {
            return Err(Mistake::new("0.0 cannot be raised to a negative power"));
        }
        Ok(Value::Float(a.powf(b)))
    };
    let (a, b) = match pair("** or pow()", one, other)? {
        Pair::Float(a, b) => return float(a, b),
        Pair::Small(a, b) => (BigInt::from(a), BigInt::from(b)),
        Pair::Big(a, b) => (a, b),
    };
    if b.is_negative() {
        return float(
            a.to_f64().unwrap_or(f64::NAN),
            b.to_f64().unwrap_or(f64::NAN),
        );
    }
    let power = b
        .to_u64()
        .filter(|power| a.bits() <= 1 || power.saturating_mul(a.bits()) <= MAX_POWER);
    match power.and_then(|power| u32::try_from(power).ok()) {
        Some(power) => Ok(Value::integer(a.pow(power))),
        None => Err(Mistake::new("the power is too large")),
    }
}

/// `-value`.
pub fn neg(value: &Value) -> Result<Value, Mistake> {
    match value {
        Value::Float(value) => Ok(Value::Float(-value)),
        Value::Undefined(missing) => Err(Mistake::undefined(missing)),
        other => match other.to_bigint() {
            Some(whole) => Ok(Value::integer(-whole)),
            None => Err(Mistake::new(format!(
                "bad operand type for unary -: '{}'",
                other.type_name()
            ))),
        },
    }
}

/// `+value`.
pub fn pos(value: &Value) -> Result<Value, Mistake> {
    match value {
        Value::Float(value) => Ok(Value::Float(*value)),
        Value::Undefined(missing) => Err(Mistake::undefined(missing)),
        other => match other.to_bigint() {
            Some(whole) => Ok(Value::integer(whole)),
            None => Err(Mistake::new(format!(
                "bad operand type for unary +: '{}'",
                other.type_name()
            ))),
        },
    }
}

impl Value {
    /// A dictionary with text for keys.
    pub fn record<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let entries = entries
            .into_iter()
            .map(|(name, value)| (Key(Value::str(Arc::<str>::from(name))), value));
        Self::dict(entries.collect())
    }
}
