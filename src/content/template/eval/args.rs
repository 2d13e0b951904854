//! Arguments of filters, tests, functions and methods, and how they find their parameters.

use crate::content::template::TemplateError;
use crate::content::template::syntax::ast::Name;
use crate::content::value::{Mistake, Value};
use std::sync::Arc;

/// Arguments as values.
#[derive(Debug, Clone, Default)]
pub struct Args {
    pub positional: Vec<Value>,
    pub named: Vec<(Name, Value)>,
}

impl Args {
    pub fn of(positional: Vec<Value>) -> Self {
        Self {
            positional,
            named: Vec::new(),
        }
    }

    /// The arguments in the order of the parameters. More than there are, unknown names, and one given twice are errors.
    pub fn bind<const N: usize>(
        self,
        what: &str,
        params: [&str; N],
    ) -> Result<[Option<Value>; N], TemplateError> {
        let mut bound: [Option<Value>; N] = std::array::from_fn(|_| None);
        if self.positional.len() > N {
            return Err(TemplateError::new(format!(
                "{what}() takes {}, {} were given",
                crate::content::template::counted(N, "argument"),
                self.positional.len()
            )));
        }
        for (slot, value) in bound.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            let Some(at) = params.iter().position(|param| *param == &*name) else {
                return Err(unknown_argument(what, &name, &params));
            };
            if bound[at].is_some() {
                return Err(TemplateError::new(format!(
                    "{what}() got multiple values for argument '{name}'"
                )));
            }
            bound[at] = Some(value);
        }
        Ok(bound)
    }

    /// Takes an argument that can only be given by name.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.named.iter().position(|(known, _)| &**known == name)?;
        Some(self.named.remove(at).1)
    }

    /// The same, as Python's truth.
    pub fn take_flag(&mut self, name: &str, default: bool) -> bool {
        self.take(name).map_or(default, |value| value.truthy())
    }

    /// An error when arguments with names are left.
    pub fn no_more_names(&self, what: &str, known: &[&str]) -> Result<(), TemplateError> {
        match self.named.first() {
            Some((name, _)) => Err(unknown_argument(what, name, known)),
            None => Ok(()),
        }
    }

    /// An error when there are any arguments.
    pub fn none(self, what: &str) -> Result<(), TemplateError> {
        self.bind::<0>(what, []).map(|_| ())
    }
}

fn unknown_argument(what: &str, name: &Arc<str>, params: &[&str]) -> TemplateError {
    let error = TemplateError::new(format!("{what}() got an unexpected argument '{name}'"));
    if params.is_empty() {
        return error.hint(format!("{what} takes no arguments with names."));
    }
    match crate::content::nearest::nearest(name, params.iter().copied(), 1).first() {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint(format!("It knows: {}.", params.join(", "))),
    }
}

/// An argument that must be there.
pub fn required(what: &str, name: &str, value: Option<Value>) -> Result<Value, TemplateError> {
    value.ok_or_else(|| TemplateError::new(format!("{what}() needs the argument '{name}'")))
}

/// Text of any value but undefined; as Python's `str()`.
pub fn text_of(value: &Value) -> Result<String, Mistake> {
    match value {
        Value::Undefined(missing) if !missing.lenient => Err(Mistake::undefined(missing)),
        other => Ok(other.to_text()),
    }
}

/// A whole number, also from text, floats and booleans, as Python's `int()`.
pub fn int_of(what: &str, value: &Value) -> Result<i64, TemplateError> {
    let found = match value {
        Value::Undefined(missing) => return Err(Mistake::undefined(missing).into()),
        Value::Str(text) => text.text.trim().parse().ok(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked against the bounds"
        )]
        Value::Float(float) if float.is_finite() && float.abs() < 9.0e18 => Some(*float as i64),
        other => other.as_int(),
    };
    found.ok_or_else(|| {
        TemplateError::new(format!(
            "{what} must be a whole number, not {}",
            value.repr()
        ))
    })
}

/// An optional whole number; None counts as not given.
pub fn optional_int(what: &str, value: Option<Value>) -> Result<Option<i64>, TemplateError> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => int_of(what, &value).map(Some),
    }
}

/// An optional flag, as Python's truth.
pub fn flag(value: Option<&Value>, default: bool) -> Result<bool, Mistake> {
    match value {
        None => Ok(default),
        Some(value) => truth(value),
    }
}

/// Python's truth; undefined has none.
pub fn truth(value: &Value) -> Result<bool, Mistake> {
    match value {
        Value::Undefined(missing) if !missing.lenient => Err(Mistake::undefined(missing)),
        other => Ok(other.truthy()),
    }
}
