//! Walks the tree of a template and prints it.

pub mod args;
mod call;
mod expr;
mod format;
mod frame;
mod include;
pub mod json;
mod literal;
mod methods;
pub mod objects;
pub mod output;
pub mod stack;

pub use args::Args;
pub use expr::holds as expr_holds;
pub use format::percent;
pub use literal::parse as parse_literal;
pub use methods::call as call_method;
pub use methods::{capitalize, lines, pairs, parts, sort};

use super::templar::Trail;
use super::{Templar, TemplateError};
use crate::content::template::syntax::ast::{
    Block, Body, Expr, ExprKind, For, Macro, Name, Span, Stmt, Target, Template,
};
use crate::content::value::{Mistake, Value};
use args::truth;
use frame::Frame;
use indexmap::IndexMap;
use objects::{BlockCall, LoopState, LoopValue, MacroValue, Namespace};
use output::{Output, at};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub type Outcome<T = Value> = Result<T, TemplateError>;

/// How a body ended.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The state of rendering one template.
pub struct Interp<'a> {
    pub templar: &'a Templar,
    pub trail: &'a mut Trail,
    /// Captured text becomes a value when it reads as one: in YAML, not in files.
    convert: bool,
    template: Arc<Template>,
    frame: Arc<Frame>,
    /// The frame in which the template itself began.
    base: Arc<Frame>,
    out: Output,
    /// A variable was used that holds text from elsewhere.
    tainted: bool,
    /// Variables that were copied because the template may change them.
    copies: HashMap<Name, Value>,
    /// Blocks of templates that extend others, nearest first.
    blocks: IndexMap<Name, Vec<Arc<Block>>>,
    /// Frames that hold macros, which hold the frame.
    knots: Vec<Arc<Frame>>,
    /// Templates that are being included, for cycles.
    including: Vec<std::path::PathBuf>,
}

impl<'a> Interp<'a> {
    pub fn new(
        templar: &'a Templar,
        trail: &'a mut Trail,
        template: &Arc<Template>,
        convert: bool,
    ) -> Self {
        let base = Frame::root();
        Self {
            templar,
            trail,
            convert,
            template: Arc::clone(template),
            frame: Arc::clone(&base),
            base,
            out: Output::default(),
            tainted: false,
            copies: HashMap::new(),
            blocks: IndexMap::new(),
            knots: Vec::new(),
            including: Vec::new(),
        }
    }

    /// Renders the template to the value that Ansible makes of it.
    pub fn run(mut self) -> Outcome {
        let result = self.root();
        let printed = result.map(|()| {
            let out = std::mem::take(&mut self.out);
            if self.convert && self.templar.settings().native {
                out.into_native(self.tainted)
            } else if self.convert {
                out.into_value(self.tainted)
            } else {
                let mut text = out.into_text();
                text.trusted &= !self.tainted;
                Value::Str(text)
            }
        });
        self.untie();
        printed
    }

    /// The value of the one expression of the template, as it is.
    pub fn value(mut self) -> Outcome {
        let template = Arc::clone(&self.template);
        let result = match template.body.first() {
            Some(Stmt::Print(expr)) => self.eval(expr),
            _ => Ok(Value::from("")),
        };
        let plain = matches!(
            template.body.first(),
            Some(Stmt::Print(Expr {
                kind: ExprKind::Name(_) | ExprKind::Attr(..) | ExprKind::Item(..),
                ..
            }))
        );
        let result = result.map(|value| {
            if self.tainted && !plain {
                value.distrusted()
            } else {
                value
            }
        });
        self.untie();
        result
    }

    /// What follows from text that came from elsewhere is such text, too.
    pub fn taint(&mut self) {
        self.tainted = true;
    }

    /// A variable by a name that is only known now.
    pub fn lookup_variable(&mut self, name: &str) -> Outcome<Option<Value>> {
        let name: Name = name.into();
        if let Some(value) = self.frame.get(&name) {
            return Ok(Some(value));
        }
        Ok(self.variable(&name)?.map(|slot| slot.value))
    }

    /// Renders another template with the same variables and some more.
    pub fn other(
        &mut self,
        vars: &IndexMap<String, Value>,
        template: &Arc<Template>,
        text: &str,
        convert: bool,
    ) -> Outcome {
        let templar;
        let templar = if vars.is_empty() {
            self.templar
        } else {
            templar = self.templar.with(vars.clone());
            &templar
        };
        let printed = stack::deeper(|| Interp::new(templar, self.trail, template, convert).run())?;
        Ok(super::templar::as_long(text, printed))
    }

    /// Values whose text is rendered when it holds templates; tuples in them become lists.
    pub fn rendered(&mut self, values: Vec<Value>) -> Outcome<Vec<Value>> {
        let templar = self.templar;
        let rendered = values.into_iter().map(|value| {
            let new = stack::deeper(|| templar.render_value(&value, self.trail))?;
            Ok(new.unwrap_or(value))
        });
        rendered.collect()
    }

    fn untie(&mut self) {
        for frame in self.knots.drain(..) {
            frame.clear();
        }
    }

    /// The whole template; one that extends another ends there.
    fn root(&mut self) -> Outcome<()> {
        let template = Arc::clone(&self.template);
        self.body(&template.body)?;
        Ok(())
    }

    fn body(&mut self, body: &Body) -> Outcome<Flow> {
        for statement in body {
            let flow = self.statement(statement)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Stmt) -> Outcome<Flow> {
        match statement {
            Stmt::Text(text) => self.out.text(text),
            Stmt::Print(expr) => self.print(expr)?,
            Stmt::If {
                branches,
                otherwise,
            } => return self.branch(branches, otherwise),
            Stmt::For(definition) => {
                let items = self.eval(&definition.iter)?;
                self.for_loop(definition, &items, 0)?;
            }
            Stmt::Set(target, value) => {
                let value = self.eval(value)?;
                self.assign(target, value, expr_span(statement))?;
            }
            Stmt::SetBlock {
                target,
                filter,
                body,
            } => self.set_block(target, filter.as_ref(), body)?,
            Stmt::With(assignments, body) => return self.with(assignments, body),
            Stmt::Macro(definition) => {
                let value = self.macro_value(definition);
                self.frame.set(&definition.name, value);
            }
            Stmt::CallBlock { call, caller } => self.call_block(call, caller)?,
            Stmt::FilterBlock(filter, body) => self.filter_block(filter, body)?,
            Stmt::Do(expr) => {
                self.eval(expr)?;
            }
            Stmt::Break(_) => return Ok(Flow::Break),
            Stmt::Continue(_) => return Ok(Flow::Continue),
            other => return self.other_template(other),
        }
        Ok(Flow::Next)
    }

    /// Values are printed as Ansible's native mode prints them.
    fn is_native(&self) -> bool {
        self.templar.settings().native
    }

    fn print(&mut self, expr: &Expr) -> Outcome<()> {
        let value = self.eval(expr)?;
        let native = self.is_native();
        self.out
            .value(value, native)
            .map_err(|mistake| at(mistake, expr.span))
    }

    fn branch(&mut self, branches: &[(Expr, Body)], otherwise: &Body) -> Outcome<Flow> {
        for (test, body) in branches {
            if self.test(test)? {
                return self.body(body);
            }
        }
        self.body(otherwise)
    }

    /// The truth of an expression.
    fn test(&mut self, expr: &Expr) -> Outcome<bool> {
        let value = self.eval(expr)?;
        truth(&value).map_err(|mistake| at(mistake, expr.span))
    }

    /// Runs something in a frame of its own.
    fn inside<T>(&mut self, frame: Arc<Frame>, run: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.frame, frame);
        let result = run(self);
        self.frame = outer;
        result
    }

    /// Runs something and returns what it printed, as Ansible's concat makes it.
    fn capture(&mut self, run: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome {
        let outer = std::mem::take(&mut self.out);
        let result = run(self);
        let out = std::mem::replace(&mut self.out, outer);
        result?;
        Ok(if self.convert && self.templar.settings().native {
            out.into_native(false)
        } else if self.convert {
            out.into_value(false)
        } else {
            Value::Str(out.into_text())
        })
    }

    /// One run of a `for`; `depth` counts from 0 for recursive ones.
    pub fn for_loop(&mut self, definition: &Arc<For>, items: &Value, depth: i64) -> Outcome<()> {
        let span = definition.iter.span;
        let mut items = items.iterate().map_err(|mistake| at(mistake, span))?;
        let outer = Arc::clone(&self.frame);
        if let Some(filter) = &definition.filter {
            let mut kept = Vec::new();
            for item in items {
                let frame = Frame::below(&outer);
                let holds = self.inside(frame, |interp| {
                    interp.assign(&definition.target, item.clone(), span)?;
                    interp.test(filter)
                })?;
                if holds {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            let frame = Frame::below(&outer);
            self.inside(frame, |interp| interp.body(&definition.otherwise))?;
            return Ok(());
        }
        let state = Arc::new(LoopValue {
            definition: Arc::clone(definition),
            frame: Arc::clone(&outer),
            template: Arc::clone(&self.template),
            items,
            depth,
            state: Mutex::new(LoopState::default()),
        });
        self.iterations(&state, &outer, span)
    }

    fn iterations(
        &mut self,
        state: &Arc<LoopValue>,
        outer: &Arc<Frame>,
        span: Span,
    ) -> Outcome<()> {
        let name: Name = "loop".into();
        for (index, item) in state.items.iter().enumerate() {
            state.state().index = index;
            let frame = Frame::below(outer);
            let flow = self.inside(frame, |interp| {
                interp.assign(&state.definition.target, item.clone(), span)?;
                let object: Arc<dyn crate::content::value::Object> = state.clone();
                interp.frame.set(&name, Value::Object(object));
                interp.body(&state.definition.body)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    fn assign(&mut self, target: &Target, value: Value, span: Span) -> Outcome<()> {
        match target {
            Target::Name(name) => self.frame.set(name, value),
            Target::Namespace(name, attribute) => {
                let object = self.frame.get(name);
                let Some(namespace) = object.as_ref().and_then(objects::downcast::<Namespace>)
                else {
                    let mistake = Mistake::new(format!(
                        "cannot assign to {name}.{attribute}: {name} isn't a namespace object"
                    ));
                    return Err(at(mistake, span));
                };
                namespace.set(attribute, value);
            }
            Target::Many(targets) => {
                let items = value.iterate().map_err(|mistake| at(mistake, span))?;
                if items.len() != targets.len() {
                    let mistake = if items.len() > targets.len() {
                        format!("too many values to unpack (expected {})", targets.len())
                    } else {
                        format!(
                            "not enough values to unpack (expected {}, got {})",
                            targets.len(),
                            items.len()
                        )
                    };
                    return Err(at(Mistake::new(mistake), span));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, span)?;
                }
            }
        }
        Ok(())
    }

    fn set_block(&mut self, target: &Target, filter: Option<&Expr>, body: &Body) -> Outcome<()> {
        let frame = Frame::below(&self.frame);
        let captured =
            self.capture(|interp| interp.inside(frame, |interp| interp.body(body).map(|_| ())))?;
        let mut value = captured;
        let mut span = Span { line: 1, column: 1 };
        if let Some(filter) = filter {
            span = filter.span;
            value = self.filter_chain(filter, value)?;
        }
        self.assign(target, value, span)
    }

    fn with(&mut self, assignments: &[(Target, Expr)], body: &Body) -> Outcome<Flow> {
        let mut values = Vec::with_capacity(assignments.len());
        for (_, value) in assignments {
            values.push(self.eval(value)?);
        }
        let frame = Frame::below(&self.frame);
        self.inside(frame, |interp| {
            for ((target, expr), value) in assignments.iter().zip(values) {
                interp.assign(target, value, expr.span)?;
            }
            interp.body(body)
        })
    }

    fn macro_value(&mut self, definition: &Arc<Macro>) -> Value {
        if !self
            .knots
            .iter()
            .any(|frame| Arc::ptr_eq(frame, &self.frame))
        {
            self.knots.push(Arc::clone(&self.frame));
        }
        Value::object(MacroValue {
            definition: Arc::clone(definition),
            frame: Arc::clone(&self.frame),
            template: Arc::clone(&self.template),
        })
    }

    fn call_block(&mut self, call: &Expr, caller: &Arc<Macro>) -> Outcome<()> {
        let ExprKind::Call(function, arguments) = &call.kind else {
            return Ok(());
        };
        let caller = Value::object(MacroValue {
            definition: Arc::clone(caller),
            frame: Arc::clone(&self.frame),
            template: Arc::clone(&self.template),
        });
        let mut args = self.arguments(arguments)?;
        args.named.push(("caller".into(), caller));
        let function = self.eval(function)?;
        let value = self.call_value(&function, args, call.span)?;
        let native = self.is_native();
        self.out
            .value(value, native)
            .map_err(|mistake| at(mistake, call.span))
    }

    fn filter_block(&mut self, filter: &Expr, body: &Body) -> Outcome<()> {
        let frame = Frame::below(&self.frame);
        let captured =
            self.capture(|interp| interp.inside(frame, |interp| interp.body(body).map(|_| ())))?;
        let value = self.filter_chain(filter, captured)?;
        let native = self.is_native();
        self.out
            .value(value, native)
            .map_err(|mistake| at(mistake, filter.span))
    }

    /// The block that a template or one that extends it defines, printed in a frame.
    fn print_block(&mut self, name: &Name, level: usize, frame: &Arc<Frame>) -> Outcome<()> {
        let Some(block) = self
            .blocks
            .get(name)
            .and_then(|found| found.get(level))
            .cloned()
        else {
            return Err(TemplateError::new(format!("there is no block '{name}'")));
        };
        if block.required {
            return Err(TemplateError::new(format!(
                "the required block '{name}' isn't defined"
            )));
        }
        let call = Value::object(BlockCall {
            name: Arc::clone(name),
            level: level + 1,
        });
        let inner = Frame::below(frame);
        self.inside(inner, |interp| {
            interp.frame.set(&"super".into(), call);
            interp.body(&block.body).map(|_| ())
        })
    }
}

/// Where a statement stands, for errors of assignments.
fn expr_span(statement: &Stmt) -> Span {
    match statement {
        Stmt::Set(_, expr) | Stmt::Print(expr) | Stmt::Do(expr) => expr.span,
        _ => Span { line: 1, column: 1 },
    }
}

/// True for what can be called.
pub fn is_callable(value: &Value) -> bool {
    matches!(value, Value::Object(_))
        && matches!(
            value.type_name(),
            "Macro"
                | "function"
                | "builtin_function_or_method"
                | "BlockReference"
                | "LoopContext"
                | "Joiner"
        )
}
