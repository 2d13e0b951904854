//! What is wrong with a template, and where in its text.

use crate::content::place::{Fault, Place};
use crate::content::value::Mistake;

/// A template that can't be parsed or rendered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    pub message: String,
    /// The variable that isn't defined, when that is the problem.
    pub name: Option<String>,
    /// Line and column inside the template's text, from 1.
    pub span: Option<(u32, u32)>,
    /// Each a sentence that tells what to do.
    pub hints: Vec<String>,
    /// The variable whose own template failed, and where that was written.
    pub inside: Option<Box<(String, Option<Place>)>>,
}

impl TemplateError {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            name: None,
            span: None,
            hints: Vec::new(),
            inside: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the place inside the template unless a nearer one is known.
    #[must_use]
    pub fn on(mut self, line: u32, column: u32) -> Self {
        self.span.get_or_insert((line, column));
        self
    }

    /// Line and column inside the template's text, from 1.
    pub fn at(&self) -> Option<(u32, u32)> {
        self.span
    }

    /// True when something undefined was used.
    pub fn is_undefined(&self) -> bool {
        self.name.is_some()
    }

    /// As a fault of a YAML scalar that begins at the place. The line of a template in a block scalar is counted from
    /// the scalar's own; inside one line, columns of quoted text can only be near.
    pub fn in_scalar(self, scalar: &Place) -> Fault {
        let place = match (&self.inside, self.span) {
            (Some(inside), _) if inside.1.is_some() => {
                inside.1.clone().unwrap_or_else(|| scalar.clone())
            }
            (_, Some((line, _))) if line > 1 => Place {
                line: scalar.line.saturating_add(line),
                column: 1,
                ..scalar.clone()
            },
            _ => scalar.clone(),
        };
        Fault::from(self).at(&place)
    }
}

impl From<Mistake> for TemplateError {
    fn from(mistake: Mistake) -> Self {
        Self {
            name: mistake.missing.as_ref().map(|missing| missing.name.clone()),
            ..Self::new(mistake.message)
        }
    }
}

impl From<TemplateError> for Fault {
    fn from(error: TemplateError) -> Self {
        let undefined = error.is_undefined();
        let mut fault = Fault::new(error.message);
        fault.undefined = undefined;
        fault.hints = error.hints;
        if let Some(place) = error.inside.as_ref().and_then(|inside| inside.1.as_ref()) {
            fault = fault.at(place);
        }
        fault
    }
}
