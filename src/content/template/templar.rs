//! Renders values in the light of variables.

use super::eval::{Interp, stack};
use super::lookups::FOLDER;
use super::memo::{Level, Names};
use super::syntax::ast::Name;
use super::syntax::{self, Options, may_be_template};
use super::{Scope, TemplateError, TemplateSettings, check, globals};
use crate::content::nearest::nearest;
use crate::content::place::{Fault, Place};
use crate::content::value::{Missing, Text, Value, read};
use crate::content::vault::Sealed;
use indexmap::IndexMap;
use std::path::Path;
use std::sync::Arc;

pub use super::memo::Slot;

/// Renders templates over the variables of one scope. Cheap to clone; clones share what was rendered already.
#[derive(Clone)]
pub struct Templar {
    scope: Arc<dyn Scope>,
    settings: Arc<TemplateSettings>,
    level: Arc<Level>,
}

/// What happens while something is rendered: variables that are being rendered, and what they were made from.
#[derive(Default)]
pub struct Trail {
    rendering: Vec<Name>,
    names: Names,
    /// Something was used that is different each time: random numbers, the clock, a command.
    pub changing: bool,
}

impl Templar {
    pub fn new(scope: Arc<dyn Scope>, settings: Arc<TemplateSettings>) -> Self {
        Self {
            scope,
            settings,
            level: Arc::default(),
        }
    }

    /// The same variables, below some that win over them: the item of a loop, variables of a task.
    #[must_use]
    pub fn with(&self, locals: IndexMap<String, Value>) -> Self {
        Self {
            level: Arc::new(Level::above(&self.level, locals)),
            ..self.clone()
        }
    }

    pub fn settings(&self) -> &Arc<TemplateSettings> {
        &self.settings
    }

    /// Renders all text in a value. Text that came from elsewhere stays as it is. A tuple becomes a list.
    ///
    /// # Errors
    /// Where a template can't be parsed, uses something undefined, or fails.
    pub fn render(&self, value: &Value) -> Result<Value, TemplateError> {
        self.public(|trail| {
            Ok(self
                .render_value(value, trail)?
                .unwrap_or_else(|| value.clone()))
        })
    }

    /// Renders a text of the operator, to a value of the type that Ansible gives it.
    pub fn render_text(&self, text: &str) -> Result<Value, TemplateError> {
        self.public(|trail| Ok(self.text(text, trail)?.unwrap_or_else(|| Value::from(text))))
    }

    /// Renders the text of a file: always to text. A first line `#jinja2: …` sets how blocks are trimmed.
    pub fn render_file(&self, text: &str) -> Result<String, TemplateError> {
        self.render_file_as(text, Options::file())
    }

    /// The same with other marks; the first line of the file still wins.
    pub fn render_file_as(
        &self,
        text: &str,
        mut options: Options,
    ) -> Result<String, TemplateError> {
        self.public(|trail| {
            let lines_taken = u32::from(text.starts_with("#jinja2:"));
            let body = options.header(text)?;
            let mut run = || {
                let template = syntax::template(body, &options)?;
                Interp::new(self, trail, &template, false).run()
            };
            let printed = run().map_err(|mut error| {
                if let Some((line, _)) = &mut error.span {
                    *line += lines_taken;
                }
                error
            })?;
            Ok(with_newlines(body, printed.to_text()))
        })
    }

    /// The value of a bare expression, as it is: numbers stay numbers. Undefined is a value here.
    pub fn expr(&self, expression: &str) -> Result<Value, TemplateError> {
        self.public(|trail| {
            let template = syntax::expression(expression)?;
            Interp::new(self, trail, &template, true).value()
        })
    }

    /// The truth of a condition: a boolean, a bare expression, or a list of them that must all be true.
    /// Nothing and empty text hold.
    pub fn condition(&self, condition: &Value) -> Result<bool, TemplateError> {
        match condition {
            Value::List(items) => {
                let items = read(items).clone();
                for item in &items {
                    if !self.condition(item)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Value::None => Ok(true),
            Value::Str(text) if text.text.is_empty() => Ok(true),
            Value::Str(text) => self.public(|trail| self.condition_text(text, trail)),
            other => Ok(other.truthy()),
        }
    }

    fn condition_text(&self, condition: &Text, trail: &mut Trail) -> Result<bool, TemplateError> {
        let mut expression = Arc::clone(&condition.text);
        if !condition.trusted {
            return Err(TemplateError::new(
                "a condition that came from a host is never evaluated",
            ));
        }
        if may_be_template(&expression) {
            match self.text(&expression, trail)? {
                Some(Value::Bool(value)) => return Ok(value),
                Some(Value::Str(text)) if text.text.is_empty() => return Ok(false),
                Some(value) if value.holds_untrusted() => {
                    return Err(TemplateError::new(
                        "a condition that was made from text of a host is never evaluated",
                    )
                    .hint("Write the condition without `{{ }}`."));
                }
                Some(value) => expression = value.to_text().into(),
                None => {}
            }
        }
        let template = syntax::expression(&expression)?;
        let value = Interp::new(self, trail, &template, true).value()?;
        super::eval::args::truth(&value).map_err(TemplateError::from)
    }

    /// A variable, rendered; None when there is none of the name.
    pub fn variable(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        self.public(|trail| match self.resolve(&name.into(), trail)? {
            Some(Slot {
                value: Value::Undefined(missing),
                ..
            }) => Err(crate::content::value::Mistake::undefined(&missing).into()),
            found => Ok(found.map(|slot| slot.value)),
        })
    }

    /// What a lookup finds, as the items of a loop `with_…`: tuples become lists there. `folder`: where `first_found`
    /// looks for files, by what the task does with them.
    pub fn lookup(
        &self,
        name: &str,
        terms: Vec<Value>,
        folder: &str,
    ) -> Result<Vec<Value>, TemplateError> {
        self.public(|trail| {
            let template = syntax::expression("none")?;
            let mut interp = Interp::new(self, trail, &template, true);
            let mut args = super::eval::Args::of(terms);
            if name.ends_with("first_found") {
                args.named.push((FOLDER.into(), Value::from(folder)));
            }
            let found = super::lookups::run(&mut interp, name, &mut args)?;
            let found = found.into_iter().map(|item| match item {
                Value::Tuple(items) => Value::list(items.to_vec()),
                other => other,
            });
            Ok(found.collect())
        })
    }

    /// All names that variables have, each once, those of the weakest level first.
    pub fn names(&self) -> Vec<String> {
        let mut names: indexmap::IndexSet<String> = self.scope.names().into_iter().collect();
        names.extend(self.level.names().into_iter().rev());
        names.into_iter().collect()
    }

    /// What is wrong with a text that may hold templates, as far as it can be told without variables: syntax, and
    /// filters, tests and lookups that don't exist.
    pub fn check(text: &str) -> Vec<Fault> {
        if !may_be_template(text) {
            return Vec::new();
        }
        told_inside(check::template(syntax::template(text, &Options::default())))
    }

    /// The same for a bare expression, as in conditions.
    pub fn check_expression(text: &str) -> Vec<Fault> {
        if may_be_template(text) {
            return Self::check(text);
        }
        // An empty condition holds.
        if text.is_empty() {
            return Vec::new();
        }
        told_inside(check::template(syntax::expression(text)))
    }

    /// The same for the text of a template's file; places are those in the file.
    pub fn check_file(path: &Path, text: &str) -> Vec<Fault> {
        let mut options = Options::file();
        let found = match options.header(text) {
            Ok(body) => {
                let header = u32::from(body.len() < text.len());
                let found = check::template(syntax::template(body, &options));
                let moved = found.into_iter().map(|mut error| {
                    error.span = error.span.map(|(line, column)| (line + header, column));
                    error
                });
                moved.collect()
            }
            Err(error) => vec![error],
        };
        let file: Arc<Path> = Arc::from(path);
        let at = |error: TemplateError| {
            let place = error.span.map_or_else(
                || Place::file(path),
                |(line, column)| Place::new(&file, line, column.max(1)),
            );
            let mut fault = Fault::from(error);
            fault.place = Some(place);
            fault
        };
        found.into_iter().map(at).collect()
    }

    /// True for the value of `omit`.
    pub fn is_omit(value: &Value) -> bool {
        globals::is_omit(value)
    }

    /// Runs from outside: with a trail of its own, and errors that say what may have been meant.
    fn public<T>(
        &self,
        run: impl FnOnce(&mut Trail) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        let _guard = stack::enter();
        run(&mut Trail::default()).map_err(|error| self.explain(error))
    }

    /// Adds the nearest names that are defined to an error about one that isn't.
    fn explain(&self, mut error: TemplateError) -> TemplateError {
        let Some(name) = error.name.as_deref().filter(|_| error.hints.is_empty()) else {
            return error;
        };
        let (base, last) = match name.rsplit_once('.') {
            Some((base, last)) => (Some(base), last),
            None => (None, name),
        };
        let known: Vec<String> = match base {
            None => {
                let mut names = self.level.names();
                names.extend(self.scope.names());
                names
            }
            Some(base) => {
                let keys = syntax::expression(base).ok().and_then(|template| {
                    let value = Interp::new(self, &mut Trail::default(), &template, true).value();
                    value.ok()?.entries()
                });
                let keys = keys.unwrap_or_default();
                keys.keys().map(|key| key.0.to_text()).collect()
            }
        };
        let near = nearest(last, known.iter().map(String::as_str), 3);
        let shown = |name: &str| match base {
            Some(base) => format!("`{base}.{name}`"),
            None => format!("`{name}`"),
        };
        if near.is_empty() {
            if let Some(base) = base.filter(|_| !known.is_empty()) {
                let mut keys = known;
                keys.truncate(8);
                error
                    .hints
                    .push(format!("`{base}` has: {}.", keys.join(", ")));
            } else if base.is_none() {
                error.hints.push(format!(
                    "Nothing that is defined has a similar name: define it (`vars:`, the inventory, `-e {last}=…`), or \
                     give it a value here: `{last} | default('…')`."
                ));
            }
            return error;
        }
        let near: Vec<String> = near.into_iter().map(shown).collect();
        error.hints.push(format!(
            "Defined, with a similar name: {}.",
            near.join(", ")
        ));
        error
    }

    /// Renders a value as a part of something that is being rendered; None when there is nothing to render in it, so that it can be shared.
    pub(super) fn render_value(
        &self,
        value: &Value,
        trail: &mut Trail,
    ) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Str(text) if text.trusted => self.text(&text.text, trail),
            Value::Object(_) => self.unsealed(value),
            Value::List(items) => {
                let items = read(items).clone();
                self.render_items(&items, trail)
            }
            Value::Tuple(items) => Ok(Some(
                self.render_items(items, trail)?
                    .unwrap_or_else(|| Value::list(items.to_vec())),
            )),
            Value::Dict(entries) => {
                if !read(entries).values().any(needs_rendering) {
                    return Ok(None);
                }
                let mut rendered = read(entries).clone();
                for value in rendered.values_mut() {
                    if let Some(new) = self.render_value(value, trail)? {
                        *value = new;
                    }
                }
                Ok(Some(Value::dict(rendered)))
            }
            _ => Ok(None),
        }
    }

    /// What an encrypted value holds; None for every other object.
    fn unsealed(&self, value: &Value) -> Result<Option<Value>, TemplateError> {
        let Some(sealed) = Sealed::of(value) else {
            return Ok(None);
        };
        let opened = sealed.open(&self.settings.vault).map_err(|error| {
            let message = format!("{error} ({})", sealed.place);
            let shown = TemplateError::new(message);
            match error.hint() {
                Some(hint) => shown.hint(hint),
                None => shown,
            }
        })?;
        Ok(Some(opened))
    }

    fn render_items(
        &self,
        items: &[Value],
        trail: &mut Trail,
    ) -> Result<Option<Value>, TemplateError> {
        if !items.iter().any(needs_rendering) {
            return Ok(None);
        }
        let mut rendered = Vec::with_capacity(items.len());
        for item in items {
            rendered.push(
                self.render_value(item, trail)?
                    .unwrap_or_else(|| item.clone()),
            );
        }
        Ok(Some(Value::list(rendered)))
    }

    /// Renders a text; None when it holds no template.
    fn text(&self, text: &str, trail: &mut Trail) -> Result<Option<Value>, TemplateError> {
        if !may_be_template(text) {
            return Ok(None);
        }
        let template = syntax::template(text, &Options::default())?;
        if let Some(name) = &template.single
            && let Some(slot) = self.resolve(name, trail)?
            && (slot.keeps_type
                || (self.settings.native
                    && !slot.value.is_undefined()
                    && slot.value.as_str().is_none()))
        {
            return Ok(Some(slot.value));
        }
        let printed = Interp::new(self, trail, &template, true).run()?;
        Ok(Some(as_long(text, printed)))
    }

    /// A variable by name, rendered once for all who ask. Undefined when its own template uses something undefined.
    pub fn resolve(&self, name: &Name, trail: &mut Trail) -> Result<Option<Slot>, TemplateError> {
        trail.names.add(name);
        if let Some(slot) = self.level.find(name) {
            trail.names.join(slot.names);
            return Ok(Some(slot));
        }
        let raw = match self.level.local(name) {
            Some(value) => value.clone(),
            None => match self.scope.get(name) {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        if let Some(from) = trail.rendering.iter().position(|known| known == name) {
            let mut chain: Vec<&str> = trail.rendering[from..].iter().map(|n| &**n).collect();
            chain.push(name);
            return Err(TemplateError::new(format!(
                "recursive loop detected in template string: {}",
                chain.join(" -> ")
            ))
            .hint("A variable can't be made from itself; give one of them another name."));
        }
        let outer_names = std::mem::take(&mut trail.names);
        let outer_changing = std::mem::replace(&mut trail.changing, false);
        trail.names.add(name);
        trail.rendering.push(Arc::clone(name));
        let rendered = stack::deeper(|| self.fill(name, &raw, trail));
        trail.rendering.pop();
        let names = std::mem::replace(&mut trail.names, outer_names);
        let changing = std::mem::replace(&mut trail.changing, outer_changing);
        trail.names.join(names);
        trail.changing |= changing;
        let slot = Slot { names, ..rendered? };
        if !changing {
            self.level.keep(name, slot.clone());
        }
        Ok(Some(slot))
    }

    fn fill(&self, name: &Name, raw: &Value, trail: &mut Trail) -> Result<Slot, TemplateError> {
        let rendered = self.render_value(raw, trail);
        let value = match rendered {
            Ok(rendered) => rendered.unwrap_or_else(|| raw.clone()),
            Err(error) if error.name.is_some() => Value::Undefined(Arc::new(Missing {
                name: error.name.clone().unwrap_or_default(),
                hint: Some(self.because(name, &error)),
                lenient: false,
            })),
            Err(mut error) => {
                let own = || Box::new((name.to_string(), self.scope.place(name)));
                let inside = error.inside.get_or_insert_with(own);
                if inside.0.is_empty() {
                    inside.0 = name.to_string();
                }
                return Err(error);
            }
        };
        Ok(Slot {
            untrusted: value.holds_untrusted(),
            keeps_type: matches!(
                raw,
                Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::None
            ),
            value,
            names: Names::default(),
        })
    }

    /// Why a variable is undefined: what its own template misses.
    fn because(&self, name: &str, error: &TemplateError) -> String {
        let at = match self.scope.place(name) {
            Some(place) => format!(", written at {place}"),
            None => String::new(),
        };
        if error.message.contains(" (needed by '") {
            let message = error.message.trim_end_matches(')');
            format!("{message}, by '{name}'{at})")
        } else {
            format!("{} (needed by '{name}'{at})", error.message)
        }
    }
}

/// Errors of a template that stands in a value: the place is the value's, so the message says where inside.
fn told_inside(found: Vec<TemplateError>) -> Vec<Fault> {
    let told = found.into_iter().map(|mut error| {
        if let Some((line, column)) = error.span {
            error.message = format!(
                "{} (line {line}, column {column} of the template)",
                error.message
            );
        }
        Fault::from(error)
    });
    told.collect()
}

/// True when there may be a template in it.
fn needs_rendering(value: &Value) -> bool {
    match value {
        Value::Str(text) => text.trusted && may_be_template(&text.text),
        Value::List(items) => read(items).iter().any(needs_rendering),
        Value::Dict(entries) => read(entries).values().any(needs_rendering),
        Value::Tuple(_) => true,
        Value::Object(_) => Sealed::of(value).is_some(),
        _ => false,
    }
}

/// Rendered text with the newlines that end its template; other values as they are.
pub fn as_long(template: &str, rendered: Value) -> Value {
    match rendered {
        Value::Str(text) if template.ends_with('\n') => {
            let longer = with_newlines(template, text.text.to_string());
            Value::Str(Text::new(longer, text.trusted))
        }
        other => other,
    }
}

/// A template's last newline is cut; what was rendered ends with as many as the template does.
fn with_newlines(template: &str, mut rendered: String) -> String {
    let count = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let missing = count(template).saturating_sub(count(&rendered));
    rendered.extend(std::iter::repeat_n('\n', missing));
    rendered
}
