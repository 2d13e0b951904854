//! Tests: what stands after `is`.

mod ansible;
mod networks;
mod version;

pub use version::order as loose_order;

use super::eval::args::{Args, required, truth};
use super::eval::expr_holds as holds;
use super::eval::{Interp, Outcome};
use super::filters::{self, short};
use super::syntax::ast::Comparison;
use super::{TemplateError, eval};
use crate::content::nearest::nearest;
use crate::content::value::{Mistake, Value};

type Run = fn(&mut Interp, &Value, Args) -> Outcome<bool>;

/// One test: its name, and what it does.
type Test = (&'static str, Run);

const JINJA: &[Test] = &[
    ("boolean", |_, value, args| {
        args.none("boolean")
            .map(|()| matches!(value, Value::Bool(_)))
    }),
    ("callable", |_, value, args| {
        args.none("callable").map(|()| eval::is_callable(value))
    }),
    ("defined", |_, value, args| {
        args.none("defined").map(|()| !value.is_undefined())
    }),
    ("undefined", |_, value, args| {
        args.none("undefined").map(|()| value.is_undefined())
    }),
    ("divisibleby", |_, value, args| {
        let rest = crate::content::value::rem(value, &one("divisibleby", args)?)?;
        Ok(!rest.truthy())
    }),
    ("even", |_, value, args| {
        args.none("even")
            .and_then(|()| remainder(value))
            .map(|rest| rest == 0)
    }),
    ("odd", |_, value, args| {
        args.none("odd")
            .and_then(|()| remainder(value))
            .map(|rest| rest == 1)
    }),
    ("eq", |_, value, args| compare(Comparison::Eq, value, args)),
    ("ne", |_, value, args| compare(Comparison::Ne, value, args)),
    ("lt", |_, value, args| compare(Comparison::Lt, value, args)),
    ("le", |_, value, args| compare(Comparison::Le, value, args)),
    ("gt", |_, value, args| compare(Comparison::Gt, value, args)),
    ("ge", |_, value, args| compare(Comparison::Ge, value, args)),
    ("in", |_, value, args| compare(Comparison::In, value, args)),
    ("escaped", |_, _, args| args.none("escaped").map(|()| false)),
    ("true", |_, value, args| {
        args.none("true")
            .map(|()| matches!(value, Value::Bool(true)))
    }),
    ("false", |_, value, args| {
        args.none("false")
            .map(|()| matches!(value, Value::Bool(false)))
    }),
    ("none", |_, value, args| {
        args.none("none").map(|()| matches!(value, Value::None))
    }),
    ("filter", |_, value, args| {
        args.none("filter").map(|()| {
            value
                .as_str()
                .is_some_and(|name| filters::problem(name).is_none())
        })
    }),
    ("test", |_, value, args| {
        args.none("test")
            .map(|()| value.as_str().is_some_and(|name| problem(name).is_none()))
    }),
    ("float", |_, value, args| {
        args.none("float")
            .map(|()| matches!(value, Value::Float(_)))
    }),
    ("integer", |_, value, args| {
        args.none("integer")
            .map(|()| matches!(value, Value::Int(_) | Value::BigInt(_)))
    }),
    ("number", |_, value, args| {
        args.none("number").map(|()| value.to_float().is_some())
    }),
    ("iterable", |_, value, args| {
        args.none("iterable")?;
        if let Value::Undefined(missing) = value {
            return Err(Mistake::undefined(missing).into());
        }
        Ok(value.iterate().is_ok())
    }),
    ("lower", |_, value, args| {
        args.none("lower")
            .and_then(|()| cased(value, char::is_lowercase, char::is_uppercase))
    }),
    ("upper", |_, value, args| {
        args.none("upper")
            .and_then(|()| cased(value, char::is_uppercase, char::is_lowercase))
    }),
    ("mapping", |_, value, args| {
        args.none("mapping").map(|()| value.is_mapping())
    }),
    ("sequence", |_, value, args| {
        args.none("sequence").map(|()| value.length().is_some())
    }),
    ("string", |_, value, args| {
        args.none("string").map(|()| matches!(value, Value::Str(_)))
    }),
    ("sameas", |_, value, args| {
        Ok(same(value, &one("sameas", args)?))
    }),
];

/// Other names of tests.
const ALIASES: [(&str, &str); 25] = [
    ("==", "eq"),
    ("equalto", "eq"),
    ("!=", "ne"),
    ("<", "lt"),
    ("lessthan", "lt"),
    ("<=", "le"),
    (">", "gt"),
    ("greaterthan", "gt"),
    (">=", "ge"),
    ("succeeded", "success"),
    ("successful", "success"),
    ("failure", "failed"),
    ("change", "changed"),
    ("skip", "skipped"),
    ("version_compare", "version"),
    ("issubset", "subset"),
    ("issuperset", "superset"),
    ("is_abs", "abs"),
    ("is_dir", "directory"),
    ("is_file", "file"),
    ("is_link", "link"),
    ("link_exists", "link"),
    ("is_mount", "mount"),
    ("is_same_file", "same_file"),
    ("isnan", "nan"),
];

fn one(what: &str, args: Args) -> Outcome {
    let [other] = args.bind(what, ["other"])?;
    required(what, "other", other)
}

fn remainder(value: &Value) -> Outcome<i64> {
    let rest = crate::content::value::rem(value, &Value::Int(2))?;
    Ok(rest.as_int().unwrap_or(-1))
}

fn compare(comparison: Comparison, value: &Value, args: Args) -> Outcome<bool> {
    Ok(holds(comparison, value, &one("comparison", args)?)?)
}

fn cased(value: &Value, wanted: fn(char) -> bool, unwanted: fn(char) -> bool) -> Outcome<bool> {
    let text = super::eval::args::text_of(value)?;
    Ok(text.chars().any(wanted) && !text.chars().any(unwanted))
}

/// The same object; for what can't be told apart in Python, the same value of the same type.
fn same(one: &Value, other: &Value) -> bool {
    use std::sync::Arc;
    match (one, other) {
        (Value::List(one), Value::List(other)) => Arc::ptr_eq(one, other),
        (Value::Dict(one), Value::Dict(other)) => Arc::ptr_eq(one, other),
        (Value::Object(one), Value::Object(other)) => Arc::ptr_eq(one, other),
        (Value::Undefined(_), _) | (_, Value::Undefined(_)) => false,
        (one, other) => one.type_name() == other.type_name() && one == other,
    }
}

fn find(name: &str) -> Option<Run> {
    let name = short(name);
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, name)| name);
    let mut tests = JINJA.iter().chain(ansible::TESTS).chain(networks::TESTS);
    tests.find(|(known, _)| *known == name).map(|(_, run)| *run)
}

/// Tests of collections that this program doesn't have, and what to do instead. The table in docs/language.md is made
/// from this one.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "a_module",
        "Modules that don't exist are named before a run begins.",
    ),
    (
        "ansible_type",
        "The classes of Python don't exist here; use `type_debug`.",
    ),
    ("resolvable", "Ask in a task, with `getent hosts NAME`."),
    ("validate", "Use `validate_argument_spec` and `assert`."),
];

/// Why a name is no test; None when it is one.
pub fn problem(name: &str) -> Option<TemplateError> {
    if find(name).is_some() {
        return None;
    }
    if let Some((_, advice)) = REFUSED.iter().find(|(refused, _)| *refused == short(name)) {
        let message = format!("the test '{name}' isn't supported");
        return Some(TemplateError::new(message).hint(*advice));
    }
    let known = JINJA.iter().chain(ansible::TESTS).chain(networks::TESTS);
    let known = known.map(|(name, _)| *name);
    let known = known.chain(ALIASES.iter().map(|(alias, _)| *alias));
    let near = nearest(short(name), known, 2);
    let error = TemplateError::new(format!("there is no test named '{name}'"));
    Some(if near.is_empty() {
        error
    } else {
        error.hint(format!("Did you mean `is {}`?", near.join("` or `is ")))
    })
}

/// Applies a test by name.
pub fn apply(interp: &mut Interp, name: &str, value: &Value, args: Args) -> Outcome<bool> {
    match find(name) {
        Some(run) => run(interp, value, args),
        None => Err(problem(name)
            .unwrap_or_else(|| TemplateError::new(format!("there is no test named '{name}'")))),
    }
}

/// True when a list holds a value.
fn in_list(items: &[Value], value: &Value) -> bool {
    items.contains(value)
}

/// All items of both sides, for tests of sets.
fn both(what: &str, value: &Value, args: Args) -> Outcome<(Vec<Value>, Vec<Value>)> {
    let other = one(what, args)?;
    Ok((value.iterate()?, other.iterate()?))
}

/// The truth of every item.
fn truths(value: &Value) -> Outcome<Vec<bool>> {
    let items = value.iterate()?;
    Ok(items.iter().map(truth).collect::<Result<_, _>>()?)
}
