//! `random_string`: text by chance, for passwords and names.

use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, int_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;
use base64::Engine;
use rand::Rng;
use rand::seq::SliceRandom;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
const SPECIAL: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

pub(super) fn random_string(interp: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    interp.trail.changing = true;
    let length = count(args, "length", 8)?;
    let base64 = args.take_flag("base64", false);
    let text = |args: &mut Args, name: &str| {
        let value = args
            .take(name)
            .filter(|value| !matches!(value, Value::None));
        value.map(|value| value.to_text())
    };
    let special = text(args, "override_special").unwrap_or_else(|| SPECIAL.to_owned());
    let all = text(args, "override_all");
    let similar = text(args, "similar_chars").unwrap_or_else(|| "il1LoO0".to_owned());
    let similar = if args.take_flag("ignore_similar_chars", false) {
        similar
    } else {
        String::new()
    };
    let letters = |from: &str| -> Vec<char> {
        let kept = from.chars().filter(|c| !similar.contains(*c));
        kept.collect()
    };
    let mut pool = Vec::new();
    let mut chosen: Vec<char> = Vec::new();
    for (flag, least, from) in [
        ("lower", "min_lower", LOWER),
        ("upper", "min_upper", UPPER),
        ("numbers", "min_numeric", NUMBERS),
        ("special", "min_special", special.as_str()),
    ] {
        let from = letters(from);
        let least = count(args, least, 0)?;
        let wanted = args.take_flag(flag, true);
        if all.is_none() {
            chosen.extend(some(&from, least)?);
            if wanted {
                pool.extend(from);
            }
        }
    }
    if let Some(all) = &all {
        pool = letters(all);
    }
    let rest = length.saturating_sub(chosen.len());
    chosen.extend(some(&pool, rest)?);
    chosen.shuffle(&mut rand::rng());
    let text: String = chosen.into_iter().collect();
    let text = match base64 {
        true => base64::engine::general_purpose::STANDARD.encode(text),
        false => text,
    };
    Ok(vec![Value::untrusted(text)])
}

fn count(args: &mut Args, name: &str, default: i64) -> Outcome<usize> {
    let number = match args.take(name) {
        Some(value) => int_of(name, &value)?,
        None => default,
    };
    usize::try_from(number)
        .map_err(|_| TemplateError::new(format!("random_string: {name} can't be {number}")))
}

/// Letters by chance; an error when there are none to choose from.
fn some(from: &[char], count: usize) -> Outcome<Vec<char>> {
    if from.is_empty() && count > 0 {
        return Err(TemplateError::new(
            "random_string: Available characters cannot be None, please change constraints",
        ));
    }
    let mut random = rand::rng();
    let one = |_| from[random.random_range(0..from.len())];
    Ok((0..count).map(one).collect())
}
