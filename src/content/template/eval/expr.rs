//! Expressions.

use super::args::{Args, text_of, truth};
use super::objects::Method;
use super::output::at;
use super::{Interp, Outcome, methods, stack};
use crate::content::template::globals::time;
use crate::content::template::syntax::ast::{
    Arguments, Arithmetic, Comparison, Expr, ExprKind, Name, Span,
};
use crate::content::template::templar::Slot;
use crate::content::template::{TemplateError, filters, globals, tests};
use crate::content::value::{self, Key, Missing, Mistake, Text, Value};
use indexmap::IndexMap;
use std::cmp::Ordering;
use std::sync::Arc;

impl Interp<'_> {
    /// The value of an expression. Undefined is a value; using it is the error.
    pub fn eval(&mut self, expr: &Expr) -> Outcome {
        if stack::is_full() {
            return stack::deeper(|| self.eval(expr));
        }
        let span = expr.span;
        let on = |mistake: Mistake| at(mistake, span);
        match &expr.kind {
            ExprKind::Const(value) => Ok(value.clone()),
            ExprKind::Name(name) => self.name(name).map_err(|error| placed(error, span)),
            ExprKind::Attr(base, name) => {
                let base_value = self.eval(base)?;
                self.attribute(&base_value, name, || path(expr))
                    .map_err(|error| placed(error, span))
            }
            ExprKind::Item(base, key) => {
                let base_value = self.eval(base)?;
                let key = self.eval(key)?;
                self.item(&base_value, &key, || path(expr)).map_err(on)
            }
            ExprKind::Call(function, arguments) => self.call(function, arguments, span),
            ExprKind::Filter(base, name, arguments) => {
                let Some(base) = base else {
                    return Err(placed(TemplateError::new("a filter has no value"), span));
                };
                let value = self.eval(base)?;
                self.filter_call(value, name, arguments, span)
            }
            ExprKind::Test(base, name, arguments) => {
                let value = self.eval(base)?;
                let args = self.arguments(arguments)?;
                tests::apply(self, name, &value, args)
                    .map(Value::Bool)
                    .map_err(|error| placed(error, span))
            }
            ExprKind::Not(inner) => Ok(Value::Bool(!self.test(inner)?)),
            ExprKind::And(left, right) => {
                let left_value = self.eval(left)?;
                if truth(&left_value).map_err(|mistake| at(mistake, left.span))? {
                    self.eval(right)
                } else {
                    Ok(left_value)
                }
            }
            ExprKind::Or(left, right) => {
                let left_value = self.eval(left)?;
                if truth(&left_value).map_err(|mistake| at(mistake, left.span))? {
                    Ok(left_value)
                } else {
                    self.eval(right)
                }
            }
            ExprKind::If {
                test,
                then,
                otherwise,
            } => {
                if self.test(test)? {
                    self.eval(then)
                } else {
                    match otherwise {
                        Some(otherwise) => self.eval(otherwise),
                        None => Ok(no_else()),
                    }
                }
            }
            ExprKind::Compare(first, rest) => self.compare(first, rest),
            other => self.compute(other).map_err(|error| placed(error, span)),
        }
    }

    /// Literals, arithmetic and slices.
    fn compute(&mut self, kind: &ExprKind) -> Outcome {
        Ok(match kind {
            ExprKind::List(items) => Value::list(self.all(items)?),
            ExprKind::Tuple(items) => Value::tuple(self.all(items)?),
            ExprKind::Dict(items) => {
                let mut entries = IndexMap::with_capacity(items.len());
                for (key, value) in items {
                    let key = Key::of(&self.eval(key)?)?;
                    entries.insert(key, self.eval(value)?);
                }
                Value::dict(entries)
            }
            ExprKind::Negative(inner) => value::neg(&self.eval(inner)?)?,
            ExprKind::Positive(inner) => value::pos(&self.eval(inner)?)?,
            ExprKind::Arithmetic(operator, left, right) => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                arithmetic(*operator, &left, &right)?
            }
            ExprKind::Concat(items) => {
                let mut text = String::new();
                let mut trusted = true;
                for item in self.all(items)? {
                    trusted &= !item.holds_untrusted();
                    text.push_str(&text_of(&item)?);
                }
                Value::Str(Text::new(text, trusted))
            }
            ExprKind::Slice(base, parts) => {
                let base = self.eval(base)?;
                let mut bounds = [None; 3];
                for (bound, part) in bounds.iter_mut().zip(parts) {
                    if let Some(part) = part {
                        *bound = self.slice_bound(part)?;
                    }
                }
                value::slice(&base, bounds[0], bounds[1], bounds[2])?
            }
            _ => Value::None,
        })
    }

    fn slice_bound(&mut self, part: &Expr) -> Outcome<Option<i64>> {
        match self.eval(part)? {
            Value::None => Ok(None),
            Value::Undefined(missing) => Err(at(Mistake::undefined(&missing), part.span)),
            value => value.as_int().map(Some).ok_or_else(|| {
                at(
                    Mistake::new(
                        "slice indices must be integers or None or have an __index__ method",
                    ),
                    part.span,
                )
            }),
        }
    }

    fn all(&mut self, items: &[Expr]) -> Outcome<Vec<Value>> {
        items.iter().map(|item| self.eval(item)).collect()
    }

    fn compare(&mut self, first: &Expr, rest: &[(Comparison, Expr)]) -> Outcome {
        let mut left = self.eval(first)?;
        for (comparison, right) in rest {
            let span = right.span;
            let right = self.eval(right)?;
            if !holds(*comparison, &left, &right).map_err(|mistake| at(mistake, span))? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// What a name stands for: set by the template, a variable, a function.
    fn name(&mut self, name: &Name) -> Outcome {
        if let Some(value) = self.frame.get(name) {
            return Ok(value);
        }
        if !self.frame.is_blind()
            && let Some(slot) = self.variable(name)?
        {
            return Ok(self.own(name, slot));
        }
        Ok(globals::get(name).unwrap_or_else(|| Value::undefined(&**name)))
    }

    pub(super) fn variable(&mut self, name: &Name) -> Outcome<Option<Slot>> {
        let slot = self.templar.resolve(name, self.trail)?;
        if let Some(slot) = &slot {
            self.tainted |= slot.untrusted;
        }
        Ok(slot)
    }

    /// The variable itself, or the copy that this template may change.
    fn own(&mut self, name: &Name, slot: Slot) -> Value {
        if !self.template.changes_values || !matches!(slot.value, Value::List(_) | Value::Dict(_)) {
            return slot.value;
        }
        self.copies
            .entry(Arc::clone(name))
            .or_insert_with(|| slot.value.deep_copy())
            .clone()
    }

    /// `value.name`: a method or attribute first, then the item of the name.
    pub fn attribute(
        &mut self,
        base: &Value,
        name: &Name,
        path: impl FnOnce() -> String,
    ) -> Outcome {
        if let Value::Undefined(missing) = base {
            return if missing.lenient {
                Err(Mistake::undefined(missing).into())
            } else {
                Ok(base.clone())
            };
        }
        if methods::has(base, name) {
            return Ok(Value::object(Method {
                receiver: base.clone(),
                name: Arc::clone(name),
            }));
        }
        if let Some(value) = methods::property(base, name) {
            return Ok(value);
        }
        let key = Value::str(Arc::clone(name));
        match base.get_item(&key) {
            Some(value) => {
                self.note_untrusted(base, &value);
                Ok(value)
            }
            None => Ok(no_attribute(base, name, path())),
        }
    }

    /// An attribute or method, never an item.
    pub fn only_attribute(&self, base: &Value, name: &str) -> Value {
        if methods::has(base, name) {
            return Value::object(Method {
                receiver: base.clone(),
                name: name.into(),
            });
        }
        let object = match base {
            Value::Object(object) => object.get(&Value::from(name)),
            _ => None,
        };
        methods::property(base, name)
            .or(object)
            .unwrap_or_else(|| no_attribute(base, name, name.to_owned()))
    }

    /// `value[key]`: the item first, then the attribute of the name.
    pub fn item(
        &mut self,
        base: &Value,
        key: &Value,
        path: impl FnOnce() -> String,
    ) -> Result<Value, Mistake> {
        if base.is_undefined() {
            return Ok(base.clone());
        }
        if let Value::Undefined(missing) = key {
            return Err(Mistake::undefined(missing));
        }
        if let Some(value) = base.get_item(key) {
            self.note_untrusted(base, &value);
            return Ok(value);
        }
        Ok(match key {
            Value::Str(name) if methods::has(base, &name.text) => Value::object(Method {
                receiver: base.clone(),
                name: Arc::clone(&name.text),
            }),
            Value::Str(name) => no_attribute(base, &name.text, path()),
            key => Value::undefined_because(
                path(),
                format!("{} has no element {}", type_repr(base), key.repr()),
            ),
        })
    }

    /// Objects give values that nobody looked at yet.
    fn note_untrusted(&mut self, base: &Value, value: &Value) {
        if matches!(base, Value::Object(_)) && !self.tainted {
            self.tainted = value.holds_untrusted();
        }
    }

    pub(super) fn arguments(&mut self, arguments: &Arguments) -> Outcome<Args> {
        let mut args = Args {
            positional: self.all(&arguments.positional)?,
            named: Vec::with_capacity(arguments.named.len()),
        };
        for (name, value) in &arguments.named {
            args.named.push((Arc::clone(name), self.eval(value)?));
        }
        if let Some(star) = &arguments.star {
            let items = self.eval(star)?;
            let items = items.iterate().map_err(|mistake| at(mistake, star.span))?;
            args.positional.extend(items);
        }
        if let Some(star) = &arguments.star_star {
            let value = self.eval(star)?;
            let Some(entries) = value.entries() else {
                let mistake = match &value {
                    Value::Undefined(missing) => Mistake::undefined(missing),
                    other => Mistake::new(format!(
                        "argument after ** must be a mapping, not {}",
                        other.type_name()
                    )),
                };
                return Err(at(mistake, star.span));
            };
            let named = entries
                .into_iter()
                .map(|(key, value)| (key.0.to_text().into(), value));
            args.named.extend(named);
        }
        Ok(args)
    }

    pub(super) fn filter_call(
        &mut self,
        value: Value,
        name: &Name,
        arguments: &Arguments,
        span: Span,
    ) -> Outcome {
        let args = self.arguments(arguments)?;
        filters::apply(self, name, value, args).map_err(|error| placed(error, span))
    }

    /// The filters of a block, on what the block printed.
    pub(super) fn filter_chain(&mut self, chain: &Expr, value: Value) -> Outcome {
        match &chain.kind {
            ExprKind::Filter(base, name, arguments) => {
                let value = match base {
                    Some(base) => self.filter_chain(base, value)?,
                    None => value,
                };
                self.filter_call(value, name, arguments, chain.span)
            }
            _ => self.eval(chain),
        }
    }
}

/// The value of `… if …` without `else`, when the condition doesn't hold: prints as nothing in Jinja2, is undefined.
pub(super) fn no_else() -> Value {
    Value::Undefined(Arc::new(Missing {
        name: String::new(),
        hint: Some(
            "the inline if-expression evaluated to false and no else section was defined."
                .to_owned(),
        ),
        lenient: true,
    }))
}

pub fn placed(error: TemplateError, span: Span) -> TemplateError {
    error.on(span.line, span.column)
}

fn arithmetic(operator: Arithmetic, left: &Value, right: &Value) -> Outcome {
    Ok(match operator {
        Arithmetic::Add => value::add(left, right)?,
        Arithmetic::Sub => match time::between(left, right) {
            Some(span) => span?,
            None => value::sub(left, right)?,
        },
        Arithmetic::Mul => value::mul(left, right)?,
        Arithmetic::Div => value::div(left, right)?,
        Arithmetic::FloorDiv => value::floor_div(left, right)?,
        Arithmetic::Rem => match left {
            Value::Str(format) => super::format::percent(format, right)?,
            _ => value::rem(left, right)?,
        },
        Arithmetic::Pow => value::pow(left, right)?,
    })
}

/// Python's comparison of two values; undefined has none.
pub fn holds(comparison: Comparison, left: &Value, right: &Value) -> Result<bool, Mistake> {
    let order = |operator: &str| left.compare(right, operator);
    Ok(match comparison {
        Comparison::Eq => equal(left, right)?,
        Comparison::Ne => !equal(left, right)?,
        Comparison::Lt => order("<")? == Some(Ordering::Less),
        Comparison::Le => matches!(order("<=")?, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Gt => order(">")? == Some(Ordering::Greater),
        Comparison::Ge => matches!(order(">=")?, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::In => contains(right, left)?,
        Comparison::NotIn => !contains(right, left)?,
    })
}

fn equal(left: &Value, right: &Value) -> Result<bool, Mistake> {
    for side in [left, right] {
        if let Value::Undefined(missing) = side
            && !missing.lenient
        {
            return Err(Mistake::undefined(missing));
        }
    }
    Ok(left == right)
}

fn contains(container: &Value, item: &Value) -> Result<bool, Mistake> {
    if let Value::Undefined(missing) = item
        && !missing.lenient
        && container.length() != Some(0)
    {
        return Err(Mistake::undefined(missing));
    }
    if container.contains(item)? {
        return Ok(true);
    }
    // Looking for it, one was compared that isn't defined.
    let items = match container {
        Value::List(items) => value::read(items).clone(),
        Value::Tuple(items) => items.to_vec(),
        _ => Vec::new(),
    };
    let missing = items.iter().find_map(|item| match item {
        Value::Undefined(missing) if !missing.lenient => Some(missing),
        _ => None,
    });
    missing.map_or(Ok(false), |missing| Err(Mistake::undefined(missing)))
}

/// As Jinja2 names the type of a value in messages.
fn type_repr(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        other => format!("{} object", other.type_name()),
    }
}

fn no_attribute(base: &Value, name: &str, path: String) -> Value {
    Value::undefined_because(
        path,
        format!("'{}' has no attribute '{name}'", type_repr(base)),
    )
}

/// The expression as it may have been written, for messages; only of names, attributes and constant items.
fn path(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Attr(base, name) => format!("{}.{name}", path(base)),
        ExprKind::Item(base, key) => match &key.kind {
            ExprKind::Const(key) => format!("{}[{}]", path(base), key.repr()),
            ExprKind::Name(key) => format!("{}[{key}]", path(base)),
            _ => format!("{}[…]", path(base)),
        },
        ExprKind::Call(base, _) => format!("{}(…)", path(base)),
        ExprKind::Filter(Some(base), name, _) => format!("({} | {name})", path(base)),
        _ => "(…)".to_owned(),
    }
}
