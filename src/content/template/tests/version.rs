//! Versions: `is version('1.2', '>=')`, loose as Python's `LooseVersion`, or strict, or by semver's rules.

use crate::content::template::TemplateError;
use crate::content::template::eval::Outcome;
use crate::content::template::eval::args::{Args, flag, required, text_of};
use crate::content::value::Value;
use std::cmp::Ordering;

/// A part of a loose version.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Number(u128),
    Word(String),
}

/// Numbers and words; dots only separate.
fn loose(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = |c: char| (c.is_ascii_digit(), c.is_ascii_lowercase());
        let same = |c: char| match kind(first) {
            (true, _) => c.is_ascii_digit(),
            (_, true) => c.is_ascii_lowercase(),
            // Everything between digits, small letters and dots stays together.
            _ => !c.is_ascii_digit() && !c.is_ascii_lowercase() && c != '.',
        };
        if first == '.' {
            rest = &rest[1..];
            continue;
        }
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(match part.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Word(part.to_owned()),
        });
        rest = after;
    }
    parts
}

/// The order of two loose versions.
///
/// # Errors
/// When one has a number where the other has a word.
pub fn order(one: &str, other: &str) -> Outcome<Ordering> {
    if one.is_empty() || other.is_empty() {
        return Err(TemplateError::new("an empty text is no version"));
    }
    let (one_parts, other_parts) = (loose(one), loose(other));
    for (a, b) in one_parts.iter().zip(&other_parts) {
        let order = match (a, b) {
            (Part::Number(a), Part::Number(b)) => a.cmp(b),
            (Part::Word(a), Part::Word(b)) => a.cmp(b),
            _ => {
                return Err(TemplateError::new(format!(
                    "Version comparison failed: '{one}' and '{other}' have a number and a word in the same place"
                )));
            }
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(one_parts.len().cmp(&other_parts.len()))
}

/// `1.2`, `1.2.3`, `1.2a1`: numbers, then whether it is a release, then which one before it.
fn strict(text: &str) -> Option<([u64; 3], (bool, char, u64))> {
    let end = text.find(['a', 'b']).unwrap_or(text.len());
    let (numbers, pre) = text.split_at(end);
    let parts: Vec<u64> = numbers
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let numbers = match parts.as_slice() {
        [major, minor] => [*major, *minor, 0],
        [major, minor, patch] => [*major, *minor, *patch],
        _ => return None,
    };
    let pre = match pre.chars().next() {
        None => (true, ' ', 0),
        Some(letter) => (false, letter, pre[1..].parse().ok()?),
    };
    Some((numbers, pre))
}

/// Numbers, and the parts of a pre-release; build data doesn't count.
fn semver(text: &str) -> Option<([u64; 3], Vec<String>)> {
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    let (numbers, pre) = match text.split_once('-') {
        Some((numbers, pre)) => (numbers, pre.split('.').map(str::to_owned).collect()),
        None => (text, Vec::new()),
    };
    let parts: Vec<u64> = numbers
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    Some((parts.try_into().ok()?, pre))
}

fn compare_semver(one: &str, other: &str) -> Option<Ordering> {
    let ((one, one_pre), (other, other_pre)) = (semver(one)?, semver(other)?);
    let numbers = one.cmp(&other);
    if numbers.is_ne() {
        return Some(numbers);
    }
    match (one_pre.is_empty(), other_pre.is_empty()) {
        (true, true) => return Some(Ordering::Equal),
        (true, false) => return Some(Ordering::Greater),
        (false, true) => return Some(Ordering::Less),
        (false, false) => {}
    }
    for (a, b) in one_pre.iter().zip(&other_pre) {
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(one_pre.len().cmp(&other_pre.len()))
}

/// `value is version(other, operator='==', strict=None, version_type=None)`.
pub(super) fn test(value: &Value, args: Args) -> Outcome<bool> {
    let [other, operator, strictly, kind] =
        args.bind("version", ["version", "operator", "strict", "version_type"])?;
    let own = text_of(value)?;
    let other = text_of(&required("version", "version", other)?)?;
    if own.is_empty() {
        return Err(TemplateError::new("Input version value cannot be empty"));
    }
    if other.is_empty() {
        return Err(TemplateError::new(
            "Version parameter to compare against cannot be empty",
        ));
    }
    let operator = match operator {
        Some(operator) => text_of(&operator)?,
        None => "==".to_owned(),
    };
    let kind = match kind {
        Some(kind) if kind.truthy() => text_of(&kind)?,
        _ if flag(strictly.as_ref(), false)? => "strict".to_owned(),
        _ => "loose".to_owned(),
    };
    let invalid = || {
        TemplateError::new(format!(
            "Version comparison failed: '{own}' or '{other}' isn't a {kind} version"
        ))
    };
    let order = match kind.as_str() {
        "loose" | "pep440" => order(&own, &other)?,
        "strict" => match (strict(&own), strict(&other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => return Err(invalid()),
        },
        "semver" | "semantic" => compare_semver(&own, &other).ok_or_else(invalid)?,
        _ => {
            return Err(TemplateError::new(format!("Invalid version type ({kind})"))
                .hint("Known: loose, strict, semver, semantic."));
        }
    };
    match operator.as_str() {
        "==" | "=" | "eq" => Ok(order.is_eq()),
        "<" | "lt" => Ok(order.is_lt()),
        "<=" | "le" => Ok(order.is_le()),
        ">" | "gt" => Ok(order.is_gt()),
        ">=" | "ge" => Ok(order.is_ge()),
        "!=" | "<>" | "ne" => Ok(order.is_ne()),
        other => Err(
            TemplateError::new(format!("Invalid operator type ({other})"))
                .hint("Known: ==, =, eq, <, lt, <=, le, >, gt, >=, ge, !=, <>, ne."),
        ),
    }
}
