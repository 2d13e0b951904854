//! Filters of the collection `community.general` that rearrange what they are given.

use super::pick::distinct;
use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, required, text_of};
use crate::content::template::eval::{Interp, Outcome, pairs};
use crate::content::template::tests::loose_order;
use crate::content::value::{Key, Value, add};
use indexmap::IndexMap;
use std::cmp::Ordering;

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "community.general.dict",
        dict,
        ("[['a', 1]] | community.general.dict", "{'a': 1}"),
    ),
    filter(
        "dict_kv",
        dict_kv,
        ("1 | community.general.dict_kv('a')", "{'a': 1}"),
    ),
    filter(
        "version_sort",
        version_sort,
        (
            "['2.10', '2.9'] | community.general.version_sort",
            "['2.9', '2.10']",
        ),
    ),
    filter(
        "counter",
        counter,
        (
            "['a', 'b', 'a'] | community.general.counter",
            "{'a': 2, 'b': 1}",
        ),
    ),
    filter(
        "crc32",
        crc32,
        ("'test' | community.general.crc32", "'d87f7e0c'"),
    ),
    filter(
        "accumulate",
        accumulate,
        (
            "[1, 2, 3] | community.general.accumulate | list",
            "[1, 3, 6]",
        ),
    ),
    filter(
        "groupby_as_dict",
        groupby_as_dict,
        (
            "[{'n': 'a'}] | community.general.groupby_as_dict('n')",
            "{'a': {'n': 'a'}}",
        ),
    ),
    filter(
        "lists_union",
        lists_union,
        (
            "[1, 2] | community.general.lists_union([2, 3])",
            "[1, 2, 3]",
        ),
    ),
    filter(
        "lists_intersect",
        lists_intersect,
        ("[1, 2] | community.general.lists_intersect([2, 3])", "[2]"),
    ),
    filter(
        "lists_difference",
        lists_difference,
        ("[1, 2] | community.general.lists_difference([2, 3])", "[1]"),
    ),
    filter(
        "lists_symmetric_difference",
        lists_symmetric_difference,
        (
            "[1, 2] | community.general.lists_symmetric_difference([2, 3])",
            "[1, 3]",
        ),
    ),
    filter(
        "to_time_unit",
        to_time_unit,
        (
            "'1h 30m' | community.general.to_time_unit('minutes')",
            "90.0",
        ),
    ),
    filter(
        "to_milliseconds",
        |_, value, args| time_in(value, args, "ms"),
        ("'2s' | community.general.to_milliseconds", "2000.0"),
    ),
    filter(
        "to_seconds",
        |_, value, args| time_in(value, args, "s"),
        ("'1m' | community.general.to_seconds", "60.0"),
    ),
    filter(
        "to_minutes",
        |_, value, args| time_in(value, args, "m"),
        ("'2h' | community.general.to_minutes", "120.0"),
    ),
    filter(
        "to_hours",
        |_, value, args| time_in(value, args, "h"),
        ("'1d' | community.general.to_hours", "24.0"),
    ),
    filter(
        "to_days",
        |_, value, args| time_in(value, args, "d"),
        ("'2w' | community.general.to_days", "14.0"),
    ),
    filter(
        "to_weeks",
        |_, value, args| time_in(value, args, "w"),
        ("'14d' | community.general.to_weeks", "2.0"),
    ),
    filter(
        "to_months",
        |_, value, args| time_in(value, args, "mo"),
        ("'60d' | community.general.to_months", "2.0"),
    ),
    filter(
        "to_years",
        |_, value, args| time_in(value, args, "y"),
        ("'730d' | community.general.to_years", "2.0"),
    ),
];

fn dict(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("dict")?;
    Ok(Value::dict(pairs(value)?))
}

fn dict_kv(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [key] = args.bind("dict_kv", ["key"])?;
    let key = Key::of(&required("dict_kv", "key", key)?)?;
    Ok(Value::dict(IndexMap::from([(key, value.clone())])))
}

fn version_sort(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [reverse] = args.bind("version_sort", ["reverse"])?;
    let reverse = reverse.is_some_and(|reverse| reverse.truthy());
    let mut items = Vec::new();
    for item in value.iterate()? {
        items.push((text_of(&item)?, item));
    }
    let mut mistake = None;
    let mut order = |one: &str, other: &str| {
        loose_order(one, other).unwrap_or_else(|error| {
            mistake.get_or_insert(error);
            Ordering::Equal
        })
    };
    items.sort_by(|one, other| {
        if reverse {
            order(&other.0, &one.0)
        } else {
            order(&one.0, &other.0)
        }
    });
    match mistake {
        Some(mistake) => Err(mistake),
        None => Ok(Value::list(
            items.into_iter().map(|(_, item)| item).collect(),
        )),
    }
}

fn counter(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("counter")?;
    let mut counts: IndexMap<Key, i64> = IndexMap::new();
    for item in value.iterate()? {
        *counts.entry(Key::of(&item)?).or_default() += 1;
    }
    let counts = counts
        .into_iter()
        .map(|(key, count)| (key, Value::Int(count)));
    Ok(Value::dict(counts.collect()))
}

/// The checksum of zlib, in hexadecimal digits without leading zeros.
fn crc32(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("crc32")?;
    let Some(text) = value.as_str() else {
        return Err(TemplateError::new(format!(
            "Invalid value type ({}) for crc32",
            value.type_name()
        )));
    };
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    Ok(like(value, format!("{:x}", !crc)))
}

/// Sums (or joined text or lists) of the items so far.
fn accumulate(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("accumulate")?;
    let mut found: Vec<Value> = Vec::new();
    for item in value.iterate()? {
        found.push(match found.last() {
            Some(before) => add(before, &item)?,
            None => item,
        });
    }
    Ok(Value::list(found))
}

fn groupby_as_dict(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [attribute] = args.bind("groupby_as_dict", ["attribute"])?;
    let attribute = required("groupby_as_dict", "attribute", attribute)?;
    let mut found = IndexMap::new();
    for (at, item) in value.iterate()?.into_iter().enumerate() {
        if !item.is_mapping() {
            return Err(TemplateError::new(format!(
                "Sequence element #{at} is not a mapping"
            )));
        }
        let Some(key) = item.get_item(&attribute) else {
            return Err(TemplateError::new(format!(
                "Attribute not contained in element #{at} of sequence"
            )));
        };
        if found.insert(Key::of(&key)?, item).is_some() {
            return Err(TemplateError::new(format!(
                "Multiple sequence entries have attribute value {}",
                key.repr()
            )));
        }
    }
    Ok(Value::dict(found))
}

/// The lists of such a filter; with `flatten`, lists of lists count as several.
fn several(what: &str, value: &Value, mut args: Args) -> Outcome<Vec<Vec<Value>>> {
    let flatten = args.take_flag("flatten", false);
    args.no_more_names(what, &["flatten"])?;
    let is_list = |item: &Value| matches!(item, Value::List(_) | Value::Tuple(_));
    let mut lists = Vec::new();
    for list in std::iter::once(value).chain(&args.positional) {
        if !is_list(list) {
            let kind = list.type_name();
            return Err(TemplateError::new(format!(
                "All arguments must be lists. {} is {kind}",
                list.repr()
            )));
        }
        let items = list.iterate()?;
        if flatten && items.iter().all(is_list) {
            for item in items {
                lists.push(item.iterate()?);
            }
        } else {
            lists.push(items);
        }
    }
    Ok(lists)
}

/// Combines the first two, then what came of them with the next.
fn fold(
    what: &str,
    value: &Value,
    args: Args,
    both: fn(Vec<Value>, &[Value]) -> Vec<Value>,
) -> Outcome {
    let mut lists = several(what, value, args)?.into_iter();
    let Some(mut found) = lists.next() else {
        return Ok(Value::list(Vec::new()));
    };
    let mut alone = true;
    for list in lists {
        found = both(found, &list);
        alone = false;
    }
    Ok(Value::list(if alone { found } else { distinct(&found) }))
}

fn lists_union(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    fold("lists_union", value, args, |mut one, other| {
        one.extend_from_slice(other);
        one
    })
}

fn lists_intersect(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    fold("lists_intersect", value, args, |one, other| {
        one.into_iter()
            .filter(|item| other.contains(item))
            .collect()
    })
}

fn lists_difference(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    fold("lists_difference", value, args, |one, other| {
        one.into_iter()
            .filter(|item| !other.contains(item))
            .collect()
    })
}

fn lists_symmetric_difference(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    fold("lists_symmetric_difference", value, args, |one, other| {
        let own = one.iter().filter(|item| !other.contains(item));
        let theirs = other.iter().filter(|item| !one.contains(item));
        own.chain(theirs).cloned().collect()
    })
}

/// Units of time: names, short names, and milliseconds with years of 365 and months of 30 days.
const UNITS: [(&str, &str, f64); 9] = [
    ("year", "y", 31_536_000_000.0),
    ("month", "mo", 2_592_000_000.0),
    ("week", "w", 604_800_000.0),
    ("day", "d", 86_400_000.0),
    ("hour", "h", 3_600_000.0),
    ("minute", "m", 60_000.0),
    ("min", "m", 60_000.0),
    ("second", "s", 1_000.0),
    ("millisecond", "ms", 1.0),
];

/// Milliseconds of a unit; years and months may have been given in days.
fn unit(name: &str, year: Option<f64>, month: Option<f64>) -> Option<f64> {
    const DAY: f64 = 86_400_000.0;
    let long = name.trim_end_matches('s');
    let short = if name == "msec" || long == "msec" {
        "ms"
    } else if long == "sec" {
        "s"
    } else {
        name
    };
    let (_, short, size) = UNITS
        .iter()
        .find(|(full, known, _)| *full == long || *known == short)?;
    Some(match *short {
        "y" => year.map_or(*size, |days| days * DAY),
        "mo" => month.map_or(*size, |days| days * DAY),
        _ => *size,
    })
}

fn to_time_unit(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let wanted = match args.take("unit") {
        Some(unit) => Some(unit),
        None if args.positional.is_empty() => None,
        None => Some(args.positional.remove(0)),
    };
    let wanted = wanted.map_or_else(|| Ok("ms".to_owned()), |unit| text_of(&unit))?;
    time_in(value, args, &wanted)
}

/// `'1h 30m'` in one unit.
fn time_in(value: &Value, mut args: Args, wanted: &str) -> Outcome {
    let mut days = |name: &str| args.take(name).and_then(|days| days.to_float());
    let (year, month) = (days("year"), days("month"));
    args.no_more_names("to_time_unit", &["year", "month"])?;
    args.none("to_time_unit")?;
    let text = text_of(value)?;
    if text == "0" {
        return Ok(Value::Int(0));
    }
    let Some(size) = unit(wanted, year, month) else {
        return Err(TemplateError::new(format!(
            "to_time_unit() can not convert to the following unit: {wanted}"
        )));
    };
    let mut total = 0.0;
    for word in text.split_whitespace() {
        let digits = word
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(word.len());
        let count = word[..digits].parse::<f64>().ok();
        let found = count.zip(unit(&word[digits..], year, month));
        let Some((count, milliseconds)) = found else {
            return Err(TemplateError::new(format!(
                "to_time_unit() can not interpret following string: {text}"
            ))
            .hint("Write numbers with units, as `1h 30m 20s`."));
        };
        total += count * milliseconds;
    }
    Ok(Value::Float((total / size * 1e12).round() / 1e12))
}
