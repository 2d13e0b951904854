//! Filters of lists and of whatever has items.

use super::pick::{attribute_of, count_of, distinct};
use super::text::like;
use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, flag, int_of, optional_int, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::{Mistake, Text, Value, slice as cut};

pub(super) const FILTERS: &[Filter] = &[
    filter("length", length, ("'abc' | length", "3")),
    filter("first", first, ("[1, 2] | first", "1")),
    filter("last", last, ("[1, 2] | last", "2")),
    filter("list", list, ("'ab' | list", "['a', 'b']")),
    filter("join", join, ("[1, 'a'] | join('-')", "'1-a'")),
    filter("reverse", reverse, ("'abc' | reverse", "'cba'")),
    filter(
        "batch",
        batch,
        ("[1, 2, 3] | batch(2, 0) | list", "[[1, 2], [3, 0]]"),
    ),
    filter(
        "slice",
        slice,
        ("[1, 2, 3] | slice(2) | list", "[[1, 2], [3]]"),
    ),
    filter(
        "flatten",
        flatten,
        (
            "[1, [2, [3, None]]] | flatten(levels=1)",
            "[1, 2, [3, None]]",
        ),
    ),
    filter("union", union, ("[1, 2] | union([2, 3])", "[1, 2, 3]")),
    filter(
        "intersect",
        intersect,
        ("[1, 2] | intersect([2, 3])", "[2]"),
    ),
    filter(
        "difference",
        difference,
        ("[1, 2] | difference([2, 3])", "[1]"),
    ),
    filter(
        "symmetric_difference",
        symmetric_difference,
        ("[1, 2] | symmetric_difference([2, 3])", "[1, 3]"),
    ),
    filter(
        "zip",
        zip,
        ("[1, 2] | zip(['a', 'b']) | list", "[(1, 'a'), (2, 'b')]"),
    ),
    filter(
        "zip_longest",
        zip_longest,
        (
            "[1, 2] | zip_longest(['a'], fillvalue='x') | list",
            "[(1, 'a'), (2, 'x')]",
        ),
    ),
    filter(
        "product",
        product,
        ("[1, 2] | product(['a']) | list", "[(1, 'a'), (2, 'a')]"),
    ),
    filter(
        "permutations",
        permutations,
        ("[1, 2] | permutations | list", "[(1, 2), (2, 1)]"),
    ),
    filter(
        "combinations",
        combinations,
        (
            "[1, 2, 3] | combinations(2) | list",
            "[(1, 2), (1, 3), (2, 3)]",
        ),
    ),
];

/// Most tuples that a combination of lists may make.
const MAX_TUPLES: usize = 1_000_000;

fn int(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn length(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("length")?;
    value.length().map(int).ok_or_else(|| {
        TemplateError::new(format!(
            "object of type '{}' has no len()",
            value.type_name()
        ))
    })
}

fn first(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("first")?;
    let found = value.iterate()?.into_iter().next();
    Ok(found.unwrap_or_else(|| Value::undefined_because("", "No first item, sequence was empty.")))
}

fn last(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("last")?;
    let found = value.iterate()?.into_iter().next_back();
    Ok(found.unwrap_or_else(|| Value::undefined_because("", "No last item, sequence was empty.")))
}

fn list(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("list")?;
    Ok(Value::list(value.iterate()?))
}

fn join(interp: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [separator, attribute] = args.bind("join", ["d", "attribute"])?;
    let separator = separator.unwrap_or_else(|| Value::from(""));
    let separator_text = text_of(&separator)?;
    let mut trusted = !separator.holds_untrusted();
    let mut out = String::new();
    for (at, item) in value.iterate()?.iter().enumerate() {
        let item = attribute_of(interp, item, attribute.as_ref())?;
        if at > 0 {
            out.push_str(&separator_text);
        }
        trusted &= !item.holds_untrusted();
        out.push_str(&text_of(&item)?);
    }
    Ok(Value::Str(Text::new(out, trusted)))
}

fn reverse(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.none("reverse")?;
    if let Value::Str(text) = value {
        return Ok(like(value, text.text.chars().rev().collect::<String>()));
    }
    Ok(cut(&Value::list(value.iterate()?), None, None, Some(-1))?)
}

fn batch(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [size, fill] = args.bind("batch", ["linecount", "fill_with"])?;
    let size = count_of("batch()", Some(required("batch", "linecount", size)?), 1)?.max(1);
    let mut rows = Vec::new();
    for row in value.iterate()?.chunks(size) {
        let mut row = row.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !matches!(fill, Value::None)) {
            row.resize(size, fill.clone());
        }
        rows.push(Value::list(row));
    }
    Ok(Value::list(rows))
}

/// So many columns of nearly the same length.
fn slice(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [slices, fill] = args.bind("slice", ["slices", "fill_with"])?;
    let slices = count_of("slice()", Some(required("slice", "slices", slices)?), 1)?.max(1);
    let items = value.iterate()?;
    let (size, longer) = (items.len() / slices, items.len() % slices);
    let mut at = 0;
    let mut columns = Vec::new();
    for column in 0..slices {
        let len = size + usize::from(column < longer);
        let mut part = items[at..at + len].to_vec();
        at += len;
        if let Some(fill) = &fill
            && !matches!(fill, Value::None)
            && column >= longer
            && longer > 0
        {
            part.push(fill.clone());
        }
        columns.push(Value::list(part));
    }
    Ok(Value::list(columns))
}

fn flatten(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [levels, skip_nulls] = args.bind("flatten", ["levels", "skip_nulls"])?;
    let levels = optional_int("levels", levels)?;
    let skip_nulls = flag(skip_nulls.as_ref(), true)?;
    let mut out = Vec::new();
    flat(&value.iterate()?, levels, skip_nulls, &mut out, 0)?;
    Ok(Value::list(out))
}

/// The items of lists in lists, down to some level.
pub(super) fn flat(
    items: &[Value],
    levels: Option<i64>,
    skip_nulls: bool,
    out: &mut Vec<Value>,
    depth: u32,
) -> Outcome<()> {
    if depth > 200 {
        return Err(TemplateError::new("this list is nested too deeply"));
    }
    for item in items {
        let null = matches!(item, Value::None)
            || item
                .as_str()
                .is_some_and(|text| text == "None" || text == "null");
        if skip_nulls && null {
            continue;
        }
        match item {
            Value::Undefined(missing) => return Err(Mistake::undefined(missing).into()),
            Value::List(_) | Value::Tuple(_) if levels.is_none_or(|levels| levels >= 1) => {
                let levels = levels.map(|levels| levels - 1);
                flat(&item.iterate()?, levels, skip_nulls, out, depth + 1)?;
            }
            other => out.push(other.clone()),
        }
    }
    Ok(())
}

/// The other list of a filter that compares two.
fn other_list(what: &str, args: Args) -> Outcome<Vec<Value>> {
    let [other] = args.bind(what, ["b"])?;
    Ok(required(what, "b", other)?.iterate()?)
}

fn union(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let mut items = value.iterate()?;
    items.extend(other_list("union", args)?);
    Ok(Value::list(distinct(&items)))
}

/// Distinct items of one list that are, or aren't, in another.
fn compared(items: &[Value], other: &[Value], wanted: bool) -> Vec<Value> {
    let kept: Vec<Value> = items
        .iter()
        .filter(|item| other.contains(item) == wanted)
        .cloned()
        .collect();
    distinct(&kept)
}

fn intersect(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    Ok(Value::list(compared(
        &value.iterate()?,
        &other_list("intersect", args)?,
        true,
    )))
}

fn difference(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    Ok(Value::list(compared(
        &value.iterate()?,
        &other_list("difference", args)?,
        false,
    )))
}

fn symmetric_difference(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let (one, other) = (value.iterate()?, other_list("symmetric_difference", args)?);
    let mut items = compared(&one, &other, false);
    items.extend(compared(&other, &one, false));
    Ok(Value::list(items))
}

/// All lists of a filter that goes through several side by side.
fn several(value: &Value, args: Args) -> Outcome<Vec<Vec<Value>>> {
    let mut lists = vec![value.iterate()?];
    for other in args.positional {
        lists.push(other.iterate()?);
    }
    Ok(lists)
}

fn zip(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    args.no_more_names("zip", &[])?;
    let lists = several(value, args)?;
    let len = lists.iter().map(Vec::len).min().unwrap_or(0);
    let row = |at: usize| Value::tuple(lists.iter().map(|list| list[at].clone()).collect());
    Ok(Value::list((0..len).map(row).collect()))
}

fn zip_longest(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let fill = args.take("fillvalue").unwrap_or(Value::None);
    args.no_more_names("zip_longest", &["fillvalue"])?;
    let lists = several(value, args)?;
    let len = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        let item = |list: &Vec<Value>| list.get(at).unwrap_or(&fill).clone();
        Value::tuple(lists.iter().map(item).collect())
    };
    Ok(Value::list((0..len).map(row).collect()))
}

fn product(_: &mut Interp, value: &Value, mut args: Args) -> Outcome {
    let repeat = count_of("repeat", args.take("repeat"), 1)?;
    args.no_more_names("product", &["repeat"])?;
    let lists = several(value, args)?;
    let total = lists.len() * repeat;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in lists.iter().cycle().take(total) {
        if rows.len().saturating_mul(list.len()) > MAX_TUPLES {
            return Err(TemplateError::new("product() would make too many items"));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                list.iter().map(move |item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            })
            .collect();
    }
    Ok(Value::list(rows.into_iter().map(Value::tuple).collect()))
}

fn permutations(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [size] = args.bind("permutations", ["r"])?;
    let items = value.iterate()?;
    let size = match size {
        None | Some(Value::None) => items.len(),
        Some(size) => usize::try_from(int_of("r", &size)?).unwrap_or(0),
    };
    let mut out = Vec::new();
    arrange(&items, size, &mut Vec::new(), &mut out, false)?;
    Ok(Value::list(out))
}

fn combinations(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [size] = args.bind("combinations", ["r"])?;
    let size = count_of("r", Some(required("combinations", "r", size)?), 0)?;
    let mut out = Vec::new();
    arrange(&value.iterate()?, size, &mut Vec::new(), &mut out, true)?;
    Ok(Value::list(out))
}

/// All ways to take some items: in every order, or each choice once.
fn arrange(
    items: &[Value],
    size: usize,
    taken: &mut Vec<usize>,
    out: &mut Vec<Value>,
    in_order: bool,
) -> Outcome<()> {
    if taken.len() == size {
        if out.len() >= MAX_TUPLES {
            return Err(TemplateError::new("there would be too many items"));
        }
        out.push(Value::tuple(
            taken.iter().map(|at| items[*at].clone()).collect(),
        ));
        return Ok(());
    }
    let from = if in_order {
        taken.last().map_or(0, |at| at + 1)
    } else {
        0
    };
    for at in from..items.len() {
        if !taken.contains(&at) {
            taken.push(at);
            arrange(items, size, taken, out, in_order)?;
            taken.pop();
        }
    }
    Ok(())
}
