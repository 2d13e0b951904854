//! Keywords of a task as they hold on one host.

use super::view::{fault, text_of};
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::playbook::{Frame, Holds, Keyword, holds, word_of};
use crate::content::template::Templar;
use crate::content::value::Value;

/// Renders keywords with the variables of a host.
pub(super) struct Rendered<'a> {
    pub frame: &'a Frame,
    pub templar: &'a Templar,
}

impl Rendered<'_> {
    /// The value of a keyword; none when it isn't set or is omitted.
    pub(super) fn value(&self, keyword: Keyword) -> Result<Option<Value>, Fault> {
        for var in self.frame.all(keyword) {
            let value = render(self.templar, var);
            let value = value.map_err(|fault| undefined_field(fault, word_of(keyword)))?;
            // What is omitted is as if it weren't written: the level outside decides.
            if !Templar::is_omit(&value) {
                return Ok((!matches!(value, Value::None)).then_some(value));
            }
        }
        Ok(None)
    }

    /// A boolean keyword.
    pub(super) fn flag(&self, keyword: Keyword) -> Result<Option<bool>, Fault> {
        let Some(value) = self.value(keyword)? else {
            return Ok(None);
        };
        boolean(&value).map(Some).ok_or_else(|| {
            let words = format!(
                "the field '{}' has an invalid value ({written}), and could not be converted to bool.. The value \
                 {written} is not a valid boolean.  Valid booleans include: 'yes', 'on', 'y', 't', 'true', '1', 1, 'no', \
                 'off', 'n', 'f', 'false', '0', 0",
                word_of(keyword),
                written = value.repr()
            );
            let fault = Fault::new(words).hint("Write `true` or `false`.");
            match self.frame.get(keyword) {
                Some(var) => fault.at(&var.place),
                None => fault,
            }
        })
    }

    /// Checks what is set: a value of the wrong kind fails the task before it does anything, whatever asks for it later.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        let set = self.frame.chain().flat_map(|frame| &frame.keywords.set);
        for (keyword, var) in set {
            let plain = matches!(&var.value, Value::Bool(_) | Value::Int(_));
            let templated = matches!(&var.value, Value::Str(text) if text.text.contains("{{"));
            match holds(*keyword) {
                Holds::Switch if !plain => drop(self.flag(*keyword)?),
                Holds::Number if !plain => drop(self.number(*keyword)?),
                Holds::Text if templated => drop(self.value(*keyword)?),
                _ => {}
            }
        }
        for var in self.frame.notify() {
            render(self.templar, var).map_err(|fault| undefined_field(fault, "notify"))?;
        }
        Ok(())
    }

    pub(super) fn text(&self, keyword: Keyword) -> Result<Option<String>, Fault> {
        Ok(self.value(keyword)?.map(|value| as_text(&value)))
    }

    pub(super) fn number(&self, keyword: Keyword) -> Result<Option<f64>, Fault> {
        let Some(value) = self.value(keyword)? else {
            return Ok(None);
        };
        number(&value).map(Some).ok_or_else(|| {
            let kind = match keyword {
                Keyword::Port | Keyword::Throttle | Keyword::Timeout => "int",
                _ => "float",
            };
            let words = format!(
                "the field '{}' has an invalid value ({written}), and could not be converted to {kind}.. invalid literal \
                 for int() with base 10: {written}",
                word_of(keyword),
                written = value.repr()
            );
            let fault = Fault::new(words).hint("Write a number.");
            match self.frame.get(keyword) {
                Some(var) => fault.at(&var.place),
                None => fault,
            }
        })
    }
}

/// The fault of a keyword that uses something undefined, in the words of Ansible.
pub(super) fn undefined_field(mut fault: Fault, field: &str) -> Fault {
    if fault.undefined {
        fault.message = format!(
            "The field '{field}' has an invalid value, which includes an undefined variable.. {}",
            fault.message
        );
    }
    fault
}

/// The value of what was written, with its place in errors.
pub(super) fn render(templar: &Templar, var: &Var) -> Result<Value, Fault> {
    templar
        .render(&var.value)
        .map_err(|error| fault(error).at(&var.place))
}

/// A condition, with its place in errors, which are in the words of Ansible.
pub(super) fn condition(templar: &Templar, var: &Var) -> Result<bool, Fault> {
    templar.condition(&var.value).map_err(|error| {
        let written = as_text(&var.value);
        let undefined = error.is_undefined();
        let mut fault = fault(error).at(&var.place);
        let why = match undefined {
            true => format!("error while evaluating conditional ({written}): "),
            false => String::new(),
        };
        fault.message = format!(
            "The conditional check '{written}' failed. The error was: {why}{}",
            fault.message
        );
        fault
    })
}

/// What Ansible takes for a boolean.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Int(1) => Some(true),
        Value::Int(0) => Some(false),
        Value::None => Some(false),
        Value::Str(text) => match text.text.trim().to_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "y" | "t" | "1.0" => Some(true),
            "no" | "off" | "0" | "false" | "n" | "f" | "0.0" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Str(text) => text.text.trim().parse().ok(),
        _ => None,
    }
}

/// Text as it is printed: without quotes.
pub(super) fn as_text(value: &Value) -> String {
    text_of(value).unwrap_or_else(|| value.to_text())
}

/// A list of names: a list, or text cut at commas.
pub(super) fn names(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items
            .read()
            .map(|items| items.iter().map(as_text).collect())
            .unwrap_or_default(),
        Value::Tuple(items) => items.iter().map(as_text).collect(),
        Value::None => Vec::new(),
        other => as_text(other)
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
    }
}

/// Names of variables have letters, digits and underscores and don't start with a digit.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_')
}

/// That a name can't be a variable's, in the words of Ansible.
pub(super) fn not_a_name(name: &str) -> String {
    format!(
        "The variable name '{name}' is not valid. Variables must start with a letter or underscore character, and contain \
         only letters, numbers and underscores."
    )
}
