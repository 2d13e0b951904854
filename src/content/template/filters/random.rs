//! Filters of chance. With a seed they give what Python's generator gives for it, so that a cluster keeps its numbers.

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Mistake, Value};
use num_bigint::BigInt;
use num_traits::Signed;
use rand::RngCore;
use sha2::Digest;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "random_mac",
        random_mac,
        ("'52:54:00' | random_mac(seed='x')", "'52:54:00:60:a1:7b'"),
    ),
    filter("random", random, ("100 | random(seed='node1')", "73")),
    filter(
        "shuffle",
        shuffle,
        ("[1, 2, 3, 4, 5] | shuffle(seed='node1')", "[3, 4, 2, 1, 5]"),
    ),
];

/// Python's `random.Random`: the Mersenne Twister MT19937, or the system's own randomness.
enum Source {
    Seeded(Box<Twister>),
    System,
}

struct Twister {
    state: [u32; 624],
    at: usize,
}

impl Twister {
    /// Seeded as `init_by_array` of the reference.
    fn new(key: &[u32]) -> Self {
        let mut state = [0u32; 624];
        state[0] = 19_650_218;
        for i in 1..624 {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = before
                .wrapping_mul(1_812_433_253)
                .wrapping_add(u32::try_from(i).unwrap_or(0));
        }
        let (mut i, mut j) = (1, 0);
        for _ in 0..key.len().max(624) {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ before.wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(u32::try_from(j).unwrap_or(0));
            i += 1;
            j += 1;
            if i >= 624 {
                state[0] = state[623];
                i = 1;
            }
            if j >= key.len() {
                j = 0;
            }
        }
        for _ in 0..623 {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = (state[i] ^ before.wrapping_mul(1_566_083_941))
                .wrapping_sub(u32::try_from(i).unwrap_or(0));
            i += 1;
            if i >= 624 {
                state[0] = state[623];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        Self { state, at: 624 }
    }

    fn next(&mut self) -> u32 {
        if self.at >= 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let magic = if y & 1 == 0 { 0 } else { 0x9908_b0df };
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ magic;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }
}

impl Source {
    /// From the argument `seed`; without one, or with None, from the system.
    fn new(seed: Option<Value>) -> Outcome<Self> {
        let number = match seed {
            None | Some(Value::None) => return Ok(Self::System),
            Some(Value::Undefined(missing)) => return Err(Mistake::undefined(&missing).into()),
            Some(Value::Str(text)) => {
                let mut bytes = text.text.as_bytes().to_vec();
                bytes.extend(sha2::Sha512::digest(text.text.as_bytes()));
                BigInt::from_bytes_be(num_bigint::Sign::Plus, &bytes)
            }
            Some(other) => other.to_bigint().map(|seed| seed.abs()).ok_or_else(|| {
                TemplateError::new(format!(
                    "the seed of random numbers is text or a whole number, not {}",
                    other.type_name()
                ))
            })?,
        };
        let (_, mut key) = number.to_u32_digits();
        if key.is_empty() {
            key.push(0);
        }
        Ok(Self::Seeded(Box::new(Twister::new(&key))))
    }

    fn bits(&mut self, count: u32) -> u64 {
        let mut word = || match self {
            Self::Seeded(twister) => twister.next(),
            Self::System => rand::rng().next_u32(),
        };
        if count <= 32 {
            return u64::from(word() >> (32 - count.max(1)));
        }
        let low = u64::from(word());
        low | (u64::from(word() >> (64 - count)) << 32)
    }

    /// A number below the bound, as Python's `_randbelow`.
    fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let count = u64::BITS - bound.leading_zeros();
        loop {
            let found = self.bits(count);
            if found < bound {
                return found;
            }
        }
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(0))).unwrap_or(0)
    }
}

fn random(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [start, step, seed] = args.bind("random", ["start", "step", "seed"])?;
    interp.trail.changing |= seed.is_none();
    let mut source = Source::new(seed)?;
    let given = |value: &Option<Value>| value.as_ref().is_some_and(Value::truthy);
    let Some(end) = value.as_int() else {
        let items = value
            .iterate()
            .map_err(|_| TemplateError::new("random can only be used on sequences and integers"))?;
        if given(&start) || given(&step) {
            return Err(TemplateError::new(
                "start and step can only be used with integer values",
            ));
        }
        if items.is_empty() {
            return Err(TemplateError::new("there is nothing to choose from"));
        }
        return Ok(items[source.index(items.len())].clone());
    };
    let number = |name: &str, value: Option<Value>, default: i64| match value {
        Some(value) if value.truthy() => int_of(name, &value),
        _ => Ok(default),
    };
    let start = number("start", start, 0)?;
    let step = number("step", step, 1)?;
    let width = i128::from(end) - i128::from(start);
    let step = i128::from(step);
    let count = if step > 0 {
        (width + step - 1) / step
    } else {
        (width + step + 1) / step
    };
    let count = u64::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| {
            TemplateError::new(format!(
                "empty range for randrange() ({start}, {end}, {step})"
            ))
        })?;
    let chosen = i128::from(start) + step * i128::from(source.below(count));
    Ok(Value::integer(BigInt::from(chosen)))
}

/// The beginning of a hardware address, and the rest of it by chance.
fn random_mac(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [seed] = args.bind("random_mac", ["seed"])?;
    let wrong = |why: String| {
        TemplateError::new(format!(
            "Invalid value ({}) for random_mac: {why}",
            value.to_text()
        ))
    };
    let Value::Str(text) = value else {
        let why = format!("Invalid value type ({}) for random_mac", value.type_name());
        return Err(TemplateError::new(why));
    };
    let begin = text.text.to_lowercase();
    let parts: Vec<&str> = begin.split(':').collect();
    if parts.len() > 5 {
        return Err(wrong("5 colon(:) separated items max".to_owned()));
    }
    let is_byte = |part: &str| {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        digits >= 2
    };
    let strange: Vec<String> = parts
        .iter()
        .filter(|part| !is_byte(part))
        .map(|part| match part.is_empty() {
            true => "empty item".to_owned(),
            false => format!("{part} not hexa byte"),
        })
        .collect();
    if !strange.is_empty() {
        return Err(wrong(strange.join(", ")));
    }
    interp.trail.changing |= seed.is_none();
    let (low, high) = (0x10_0000_0000_u64, 0x100_0000_0000_u64);
    let number = low + Source::new(seed)?.below(high - low + 1);
    let digits = format!("{number:x}");
    let mut out = begin.clone();
    for at in 0..6 - parts.len() {
        out.push(':');
        out.push_str(digits.get(2 * at..2 * at + 2).unwrap_or("00"));
    }
    Ok(super::text::like(value, out))
}

fn shuffle(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [seed] = args.bind("shuffle", ["seed"])?;
    let seed = seed.filter(Value::truthy);
    interp.trail.changing |= seed.is_none();
    let mut source = Source::new(seed)?;
    let mut items = value.iterate()?;
    for at in (1..items.len()).rev() {
        let other = source.index(at + 1);
        items.swap(at, other);
    }
    Ok(Value::list(items))
}
