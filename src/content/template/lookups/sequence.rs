//! The lookup `sequence`: `start=1 end=10 stride=2 format=host%02d`, or short `1-10/2:host%02d`.

use super::words;
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, text_of};
use crate::content::template::eval::{Interp, Outcome, percent};
use crate::content::value::{Text, Value};

struct Sequence {
    start: i64,
    count: Option<i64>,
    end: Option<i64>,
    stride: i64,
    format: String,
}

/// Longest sequence that is made.
const MAX: i64 = 1_000_000;

fn number(text: &str) -> Outcome<i64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        _ => (text, 10),
    };
    i64::from_str_radix(digits, radix).map_err(|_| {
        TemplateError::new(format!(
            "Invalid type for a number of the sequence, int was expected: {text}"
        ))
    })
}

impl Sequence {
    fn new() -> Self {
        Self {
            start: 1,
            count: None,
            end: None,
            stride: 1,
            format: "%d".to_owned(),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        match name {
            "start" => self.start = number(value)?,
            "end" => self.end = Some(number(value)?),
            "count" => self.count = Some(number(value)?),
            "stride" => self.stride = number(value)?,
            "format" => value.clone_into(&mut self.format),
            _ => {
                return Err(TemplateError::new(format!(
                    "unrecognized arguments to with_sequence: ['{name}']"
                ))
                .hint("Known: start, end, count, stride, format."));
            }
        }
        Ok(())
    }

    /// `[start-]end[/stride][:format]`; false when the term isn't of this form.
    fn short(&mut self, term: &str) -> Outcome<bool> {
        if term.contains('=') {
            return Ok(false);
        }
        let (range, format) = match term.split_once(':') {
            Some((range, format)) => (range, Some(format)),
            None => (term, None),
        };
        let (range, stride) = match range.split_once('/') {
            Some((range, stride)) => (range, Some(stride)),
            None => (range, None),
        };
        match range.split_once('-').filter(|(start, _)| !start.is_empty()) {
            Some((start, end)) => {
                self.start = number(start)?;
                self.end = Some(number(end)?);
            }
            None => self.end = Some(number(range)?),
        }
        if let Some(stride) = stride {
            self.stride = number(stride)?;
        }
        if let Some(format) = format {
            format.clone_into(&mut self.format);
        }
        Ok(true)
    }

    fn items(self) -> Outcome<Vec<Value>> {
        let end = match (self.count, self.end) {
            (None, None) => {
                return Err(TemplateError::new("sequence: must specify count or end"));
            }
            (Some(_), Some(_)) => {
                return Err(TemplateError::new(
                    "sequence: can't specify both count and end",
                ));
            }
            (Some(0), None) => return Ok(Vec::new()),
            // One before the next item upwards, as Ansible has it: backwards there are two more.
            (Some(count), None) => self
                .start
                .saturating_add(count.saturating_mul(self.stride))
                .saturating_sub(1),
            (None, Some(end)) => end,
        };
        if self.stride == 0 {
            return Ok(Vec::new());
        }
        if self.stride > 0 && end < self.start {
            return Err(TemplateError::new(
                "sequence: to count backwards make stride negative",
            ));
        }
        if self.stride < 0 && end > self.start {
            return Err(TemplateError::new(
                "sequence: to count forward don't make stride negative",
            ));
        }
        if end.saturating_sub(self.start).saturating_abs() / self.stride.saturating_abs() > MAX {
            return Err(TemplateError::new(format!(
                "sequence: more than {MAX} items"
            )));
        }
        let format = Text::new(self.format, true);
        let mut found = Vec::new();
        let mut at = self.start;
        while (self.stride > 0 && at <= end) || (self.stride < 0 && at >= end) {
            found.push(percent(&format, &Value::Int(at))?);
            at = match at.checked_add(self.stride) {
                Some(next) => next,
                None => break,
            };
        }
        Ok(found)
    }
}

pub(super) fn sequence(_: &mut Interp, args: &mut Args) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for term in words(args)? {
        let mut sequence = Sequence::new();
        for (name, value) in &args.named {
            sequence.set(name, &text_of(value)?)?;
        }
        if !term.is_empty() && !sequence.short(&term)? {
            for word in term.split_whitespace() {
                let Some((name, value)) = word.split_once('=') else {
                    return Err(TemplateError::new(format!(
                        "sequence: '{word}' isn't of the form name=value"
                    )));
                };
                sequence.set(name, value)?;
            }
        }
        found.extend(sequence.items()?);
    }
    Ok(found)
}
