//! What containers hold: length, items, indexing and slices.

use super::{Key, Mistake, Text, Value, read};
use indexmap::IndexMap;

impl Value {
    /// Python's `len()`; None where there is none.
    pub fn length(&self) -> Option<usize> {
        match self {
            Self::Str(text) if text.text.is_ascii() => Some(text.text.len()),
            Self::Str(text) => Some(text.text.chars().count()),
            Self::List(items) => Some(read(items).len()),
            Self::Tuple(items) => Some(items.len()),
            Self::Dict(entries) => Some(read(entries).len()),
            Self::Object(object) => object
                .keys()
                .map(|keys| keys.len())
                .or_else(|| object.items().map(|items| items.len())),
            _ => None,
        }
    }

    /// What a `for` goes through: items, characters, keys.
    pub fn iterate(&self) -> Result<Vec<Value>, Mistake> {
        match self {
            Self::Undefined(missing) if missing.lenient => Ok(Vec::new()),
            Self::Undefined(missing) => Err(Mistake::undefined(missing)),
            Self::Str(text) => Ok(text
                .text
                .chars()
                .map(|c| Self::Str(Text::new(c.to_string(), text.trusted)))
                .collect()),
            Self::List(items) => Ok(read(items).clone()),
            Self::Tuple(items) => Ok(items.to_vec()),
            Self::Dict(entries) => Ok(read(entries).keys().map(|key| key.0.clone()).collect()),
            Self::Object(object) => object.keys().or_else(|| object.items()).ok_or_else(|| {
                Mistake::new(format!("'{}' object is not iterable", self.type_name()))
            }),
            _ => Err(Mistake::new(format!(
                "'{}' object is not iterable",
                self.type_name()
            ))),
        }
    }

    /// Keys and values of a mapping; None for what isn't one.
    pub fn entries(&self) -> Option<IndexMap<Key, Value>> {
        match self {
            Self::Dict(entries) => Some(read(entries).clone()),
            Self::Object(object) => {
                let entries = object.keys()?.into_iter().map(|key| {
                    let value = object.get(&key).unwrap_or(Self::None);
                    (Key(key), value)
                });
                Some(entries.collect())
            }
            _ => None,
        }
    }

    /// An item by key or position (from the end when negative); None when it isn't there.
    pub fn get_item(&self, key: &Value) -> Option<Value> {
        match self {
            Self::Dict(entries) => read(entries).get(&Key::of(key).ok()?).cloned(),
            Self::List(items) => {
                let items = read(items);
                items.get(index_of(key.as_int()?, items.len())?).cloned()
            }
            Self::Tuple(items) => items.get(index_of(key.as_int()?, items.len())?).cloned(),
            Self::Str(text) => {
                let at = index_of(key.as_int()?, self.length()?)?;
                let c = text.text.chars().nth(at)?;
                Some(Self::Str(Text::new(c.to_string(), text.trusted)))
            }
            Self::Object(object) => match object.get(key) {
                Some(value) => Some(value),
                None => {
                    let items = object.items()?;
                    items.get(index_of(key.as_int()?, items.len())?).cloned()
                }
            },
            _ => None,
        }
    }

    /// The value of a mapping under a name.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.get_item(&Self::from(name))
    }
}

/// The place of an index that may count from the end; None beyond both ends.
pub fn index_of(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let at = if index < 0 { index + len } else { index };
    (0..len).contains(&at).then(|| usize::try_from(at).ok())?
}

/// Python's `value[start:stop:step]`.
pub fn slice(
    value: &Value,
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Value, Mistake> {
    if value.is_undefined() {
        return Ok(value.clone());
    }
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Mistake::new("slice step cannot be zero"));
    }
    let pick = |items: &[Value]| -> Vec<Value> {
        let chosen = positions(items.len(), start, stop, step);
        chosen.into_iter().map(|at| items[at].clone()).collect()
    };
    match value {
        Value::Undefined(missing) => Err(Mistake::undefined(missing)),
        Value::List(items) => Ok(Value::list(pick(&read(items)))),
        Value::Tuple(items) => Ok(Value::tuple(pick(items))),
        Value::Str(text) => {
            let chars: Vec<char> = text.text.chars().collect();
            let chosen = positions(chars.len(), start, stop, step);
            let chosen: String = chosen.into_iter().map(|at| chars[at]).collect();
            Ok(Value::Str(Text::new(chosen, text.trusted)))
        }
        Value::Object(object) if object.items().is_some() => {
            Ok(Value::list(pick(&object.items().unwrap_or_default())))
        }
        other => Err(Mistake::new(format!(
            "'{}' object is not subscriptable",
            other.type_name()
        ))),
    }
}

/// The positions that a slice picks, in order.
fn positions(len: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |at: i64| if at < 0 { at.saturating_add(len) } else { at }.clamp(low, high);
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let mut at = start.map_or(first, clamp);
    let stop = stop.map_or(last, clamp);
    let mut found = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        if let Ok(at) = usize::try_from(at) {
            found.push(at);
        }
        at = match at.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    found
}
