//! Calls: of methods, macros, functions and loops.

use super::args::Args;
use super::expr::placed;
use super::frame::Frame;
use super::objects::{
    BlockCall, Cycler, Function, Joiner, LoopValue, MacroValue, Method, downcast,
};
use super::{Interp, Outcome, methods, stack};
use crate::content::template::syntax::ast::{Arguments, Expr, ExprKind, Name, Span};
use crate::content::template::{TemplateError, globals};
use crate::content::value::{Key, Mistake, Value};
use std::sync::Arc;

impl Interp<'_> {
    pub(super) fn call(&mut self, function: &Expr, arguments: &Arguments, span: Span) -> Outcome {
        if let ExprKind::Attr(base, name) = &function.kind {
            let receiver = self.eval(base)?;
            if methods::has(&receiver, name) || is_object_method(&receiver, name) {
                let args = self.arguments(arguments)?;
                return self
                    .method(&receiver, name, args)
                    .map_err(|error| placed(error, span));
            }
            let value = self.attribute(&receiver, name, || format!("….{name}"))?;
            let args = self.arguments(arguments)?;
            return self.call_value(&value, args, span);
        }
        let value = self.eval(function)?;
        let args = self.arguments(arguments)?;
        self.call_value(&value, args, span)
    }

    pub(super) fn call_value(&mut self, function: &Value, args: Args, span: Span) -> Outcome {
        self.call_object(function, args)
            .map_err(|error| placed(error, span))
    }

    fn call_object(&mut self, function: &Value, args: Args) -> Outcome {
        if let Some(definition) = downcast::<MacroValue>(function) {
            return stack::deeper(|| self.call_macro(definition, args));
        }
        if let Some(function) = downcast::<Function>(function) {
            return globals::call(self, function.0, args);
        }
        if let Some(state) = downcast::<LoopValue>(function) {
            return self.recurse(state, args);
        }
        if let Some(method) = downcast::<Method>(function) {
            return self.method(&method.receiver, &method.name, args);
        }
        if let Some(block) = downcast::<BlockCall>(function) {
            let frame = Arc::clone(&self.frame);
            let printed =
                self.capture(|interp| interp.print_block(&block.name, block.level, &frame))?;
            return Ok(printed);
        }
        if let Some(joiner) = downcast::<Joiner>(function) {
            return Ok(joiner.next());
        }
        Err(match function {
            Value::Undefined(missing) => Mistake::undefined(missing).into(),
            other => TemplateError::new(format!("'{}' object is not callable", other.type_name())),
        })
    }

    fn method(&mut self, receiver: &Value, name: &Name, args: Args) -> Outcome {
        if let Some(state) = downcast::<LoopValue>(receiver) {
            return loop_method(state, name, args);
        }
        if let Some(cycler) = downcast::<Cycler>(receiver) {
            args.none(name)?;
            return Ok(match &**name {
                "next" => cycler.advance(),
                _ => {
                    cycler.reset();
                    Value::None
                }
            });
        }
        methods::call(receiver, name, args)
    }

    /// `loop(children)` in a recursive loop.
    fn recurse(&mut self, state: &LoopValue, args: Args) -> Outcome {
        if !state.definition.recursive {
            return Err(TemplateError::new(
                "The loop must have the 'recursive' marker to be called recursively.",
            ));
        }
        let [items] = args.bind("loop", ["iterable"])?;
        let items = super::args::required("loop", "iterable", items)?;
        let definition = Arc::clone(&state.definition);
        let (frame, depth) = (Arc::clone(&state.frame), state.depth + 1);
        let printed = stack::deeper(|| {
            self.capture(|interp| {
                interp.inside(frame, |interp| interp.for_loop(&definition, &items, depth))
            })
        })?;
        Ok(printed)
    }

    fn call_macro(&mut self, value: &MacroValue, args: Args) -> Outcome {
        let definition = &value.definition;
        let frame = Frame::below(&value.frame);
        let template = std::mem::replace(&mut self.template, Arc::clone(&value.template));
        let outer = std::mem::replace(&mut self.frame, Arc::clone(&frame));
        let result = self
            .bind_macro(value, &frame, args)
            .and_then(|()| self.capture(|interp| interp.body(&definition.body).map(|_| ())));
        self.frame = outer;
        self.template = template;
        result
    }

    /// Sets the parameters of a macro in its frame.
    fn bind_macro(&mut self, value: &MacroValue, frame: &Arc<Frame>, args: Args) -> Outcome<()> {
        let definition = &value.definition;
        let Args {
            positional,
            mut named,
        } = args;
        let mut positional = positional.into_iter();
        let first_default = definition.params.len() - definition.defaults.len();
        // All that is given first: a default may use the other parameters, and of itself only that it isn't there.
        let mut missing = Vec::new();
        for (at, param) in definition.params.iter().enumerate() {
            let by_name = named.iter().position(|(name, _)| name == param);
            let given = positional
                .next()
                .or_else(|| by_name.map(|at| named.remove(at).1));
            frame.set(
                param,
                given.unwrap_or_else(|| {
                    missing.push((at, param));
                    Value::undefined(&**param)
                }),
            );
        }
        for (at, param) in missing {
            let bound = match at.checked_sub(first_default) {
                Some(default) => self.eval(&definition.defaults[default])?,
                None => Value::undefined_because(
                    &**param,
                    format!("parameter '{param}' was not provided"),
                ),
            };
            frame.set(param, bound);
        }
        let caller = named.iter().position(|(name, _)| &**name == "caller");
        let caller = caller.map(|at| named.remove(at).1);
        if definition.caller {
            let missing = || Value::undefined_because("caller", "No caller defined");
            frame.set(&"caller".into(), caller.unwrap_or_else(missing));
        } else if caller.is_some() {
            return Err(TemplateError::new(format!(
                "macro '{}' was invoked with two values for the special caller argument or takes none",
                definition.name
            )));
        }
        let rest: Vec<Value> = positional.collect();
        if definition.varargs {
            frame.set(&"varargs".into(), Value::tuple(rest));
        } else if !rest.is_empty() {
            return Err(TemplateError::new(format!(
                "macro '{}' takes not more than {}",
                definition.name,
                crate::content::template::counted(definition.params.len(), "argument")
            )));
        }
        if definition.kwargs {
            let rest = named
                .into_iter()
                .map(|(name, value)| (Key::text(name), value));
            frame.set(&"kwargs".into(), Value::dict(rest.collect()));
        } else if let Some((name, _)) = named.first() {
            return Err(TemplateError::new(format!(
                "macro '{}' takes no keyword argument '{name}'",
                definition.name
            )));
        }
        Ok(())
    }
}

fn is_object_method(receiver: &Value, name: &str) -> bool {
    (downcast::<LoopValue>(receiver).is_some() && matches!(name, "cycle" | "changed"))
        || (downcast::<Cycler>(receiver).is_some() && matches!(name, "next" | "reset"))
}

fn loop_method(state: &LoopValue, name: &str, args: Args) -> Outcome {
    if name == "changed" {
        let missing = args.positional.iter().find_map(|value| match value {
            Value::Undefined(missing) if !missing.lenient => Some(missing),
            _ => None,
        });
        if let Some(missing) = missing {
            return Err(Mistake::undefined(missing).into());
        }
        return Ok(Value::Bool(state.changed(args.positional)));
    }
    if args.positional.is_empty() {
        return Err(TemplateError::new("no items for cycling given"));
    }
    let at = state.state().index % args.positional.len();
    Ok(args.positional[at].clone())
}
