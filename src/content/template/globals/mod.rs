//! Functions that every template knows, and `omit`.

pub mod time;

use super::TemplateError;
use super::eval::args::{Args, int_of, required};
use super::eval::objects::{Cycler, Function, Joiner, Namespace};
use super::eval::{Interp, Outcome};
use super::lookups;
use crate::content::value::{Key, Object, Value};
use std::any::Any;
use std::sync::{Arc, LazyLock, Mutex};

/// All functions, by name.
pub const FUNCTIONS: [&str; 10] = [
    "cycler",
    "dict",
    "joiner",
    "lookup",
    "namespace",
    "now",
    "q",
    "query",
    "range",
    "undef",
];

/// Longest range that is made.
const MAX_RANGE: i64 = 1_000_000;

#[derive(Debug)]
struct Omit;

impl Object for Omit {
    fn type_name(&self) -> &'static str {
        "str"
    }

    fn print(&self) -> Option<String> {
        Some("__omit_place_holder__".to_owned())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

static OMIT: LazyLock<Value> = LazyLock::new(|| Value::Object(Arc::new(Omit)));

pub fn is_omit(value: &Value) -> bool {
    matches!(value, Value::Object(object) if object.as_any().is_some_and(|any| any.is::<Omit>()))
}

/// A function or constant by name, for names that no variable has.
pub fn get(name: &str) -> Option<Value> {
    if name == "omit" {
        return Some(OMIT.clone());
    }
    let known = FUNCTIONS.iter().find(|known| **known == name)?;
    Some(Value::object(Function(known)))
}

/// Calls a function.
pub fn call(interp: &mut Interp, name: &str, args: Args) -> Outcome {
    match name {
        "range" => range(args),
        "dict" => dict(args),
        "namespace" => {
            let namespace = Namespace::default();
            for given in &args.positional {
                for (key, value) in super::eval::pairs(given)? {
                    namespace.set(&key.0.to_text().into(), value);
                }
            }
            for (name, value) in args.named {
                namespace.set(&name, value);
            }
            Ok(Value::object(namespace))
        }
        "cycler" => {
            args.no_more_names("cycler", &[])?;
            if args.positional.is_empty() {
                return Err(TemplateError::new("at least one item has to be provided"));
            }
            Ok(Value::object(Cycler {
                items: args.positional,
                at: Mutex::new(0),
            }))
        }
        "joiner" => {
            let [separator] = args.bind("joiner", ["sep"])?;
            Ok(Value::object(Joiner {
                separator: separator.unwrap_or_else(|| Value::from(", ")),
                used: Mutex::new(false),
            }))
        }
        "undef" => {
            let [hint] = args.bind("undef", ["hint"])?;
            let hint = hint.filter(|hint| hint.truthy()).map_or_else(
                || "Mandatory variable has not been overridden".to_owned(),
                |hint| hint.to_text(),
            );
            Ok(Value::undefined_because("undef()", hint))
        }
        "now" => {
            interp.trail.changing = true;
            time::now(args)
        }
        "lookup" => lookups::call(interp, args, false),
        _ => lookups::call(interp, args, true),
    }
}

fn range(args: Args) -> Outcome {
    let [first, second, step] = args.bind("range", ["start", "stop", "step"])?;
    let first = int_of("range()", &required("range", "stop", first)?)?;
    let (start, stop) = match second {
        Some(stop) => (first, int_of("range()", &stop)?),
        None => (0, first),
    };
    let step = match step {
        Some(step) => int_of("range()", &step)?,
        None => 1,
    };
    if step == 0 {
        return Err(TemplateError::new("range() arg 3 must not be zero"));
    }
    let count = (i128::from(stop) - i128::from(start)) / i128::from(step);
    if count > i128::from(MAX_RANGE) {
        return Err(TemplateError::new(format!(
            "range() would have more than {MAX_RANGE} items"
        )));
    }
    let mut items = Vec::new();
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        items.push(Value::Int(at));
        at = match at.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(Value::list(items))
}

fn dict(args: Args) -> Outcome {
    let mut entries = match args.positional.as_slice() {
        [] => indexmap::IndexMap::new(),
        [given] => super::eval::pairs(given)?,
        more => {
            return Err(TemplateError::new(format!(
                "dict expected at most 1 argument, got {}",
                more.len()
            )));
        }
    };
    for (name, value) in args.named {
        entries.insert(Key::text(name), value);
    }
    Ok(Value::dict(entries))
}
