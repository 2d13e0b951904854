//! Templates that use other templates: include, import, extends and blocks.

use super::frame::Frame;
use super::objects::{BlockCall, Module};
use super::{Flow, Interp, Outcome, Stmt};
use crate::content::template::TemplateError;
use crate::content::template::syntax::ast::{Block, Body, Expr, Name, Template};
use crate::content::template::syntax::{self, Options};
use crate::content::value::{Key, Value};
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;

impl Interp<'_> {
    pub(super) fn other_template(&mut self, statement: &Stmt) -> Outcome<Flow> {
        match statement {
            Stmt::Include {
                name,
                ignore_missing,
                with_context,
            } => self.include(name, *ignore_missing, *with_context)?,
            Stmt::Import {
                name,
                target,
                with_context,
            } => {
                let module = self.import(name, *with_context)?;
                self.frame.set(target, Value::object(module));
            }
            Stmt::FromImport {
                name,
                names,
                with_context,
            } => {
                let module = self.import(name, *with_context)?;
                for (from, to) in names {
                    let value = module.names.get(from).cloned().unwrap_or_else(|| {
                        Value::undefined_because(
                            &**from,
                            format!("the imported template doesn't export the name '{from}'"),
                        )
                    });
                    self.frame.set(to, value);
                }
            }
            Stmt::Extends(name) => return self.extends(name),
            Stmt::Block(block) => {
                self.add_block(block);
                let frame = if block.scoped {
                    Arc::clone(&self.frame)
                } else {
                    // Blocks don't see the names of loops around them.
                    Arc::clone(&self.base)
                };
                self.print_block(&block.name, 0, &frame)?;
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    fn add_block(&mut self, block: &Arc<Block>) {
        let known = self.blocks.entry(Arc::clone(&block.name)).or_default();
        if !known.iter().any(|found| Arc::ptr_eq(found, block)) {
            known.push(Arc::clone(block));
        }
    }

    /// The template that the expression names, or the first of several that exists.
    fn load(
        &mut self,
        name: &Expr,
        ignore_missing: bool,
    ) -> Outcome<Option<(PathBuf, Arc<Template>)>> {
        let value = self.eval(name)?;
        let names = match &value {
            Value::Str(text) => vec![text.text.to_string()],
            other => {
                let items = other
                    .iterate()
                    .map_err(|mistake| super::at(mistake, name.span))?;
                items.iter().map(Value::to_text).collect()
            }
        };
        let settings = self.templar.settings();
        let found = names.iter().find_map(|name| settings.find_template(name));
        let Some(path) = found else {
            if ignore_missing {
                return Ok(None);
            }
            let searched: Vec<String> = settings
                .search
                .iter()
                .map(|dir| dir.display().to_string())
                .collect();
            return Err(
                TemplateError::new(format!("template not found: {}", names.join(", ")))
                    .on(name.span.line, name.span.column)
                    .hint(format!("Searched in: {}.", searched.join(", "))),
            );
        };
        if self.including.contains(&path) {
            let chain: Vec<String> = self
                .including
                .iter()
                .chain([&path])
                .map(|path| path.display().to_string())
                .collect();
            return Err(TemplateError::new(format!(
                "templates include each other: {}",
                chain.join(" -> ")
            ))
            .on(name.span.line, name.span.column));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| {
            TemplateError::new(format!("{} can't be read: {error}", path.display()))
                .on(name.span.line, name.span.column)
        })?;
        let template =
            syntax::template(&text, &Options::file()).map_err(|error| in_file(error, &path))?;
        Ok(Some((path, template)))
    }

    /// Runs another template in a frame.
    fn run_other(
        &mut self,
        (path, template): (PathBuf, Arc<Template>),
        frame: Arc<Frame>,
    ) -> Outcome<()> {
        let outer = std::mem::replace(&mut self.template, Arc::clone(&template));
        self.including.push(path);
        let base = std::mem::replace(&mut self.base, Arc::clone(&frame));
        let result = self.inside(frame, |interp| interp.body(&template.body));
        self.base = base;
        self.template = outer;
        let path = self.including.pop().unwrap_or_default();
        result.map(|_| ()).map_err(|error| in_file(error, &path))
    }

    fn include(&mut self, name: &Expr, ignore_missing: bool, with_context: bool) -> Outcome<()> {
        let Some(found) = self.load(name, ignore_missing)? else {
            return Ok(());
        };
        let frame = if with_context {
            Frame::below(&self.frame)
        } else {
            Frame::without_context()
        };
        let blocks = std::mem::take(&mut self.blocks);
        let result = self.run_other(found, frame);
        self.blocks = blocks;
        result
    }

    fn import(&mut self, name: &Expr, with_context: bool) -> Outcome<Module> {
        let Some(found) = self.load(name, false)? else {
            return Err(TemplateError::new("template not found"));
        };
        let frame = if with_context {
            Frame::below(&self.frame)
        } else {
            Frame::without_context()
        };
        let outer = std::mem::take(&mut self.out);
        let blocks = std::mem::take(&mut self.blocks);
        let result = self.run_other(found, Arc::clone(&frame));
        self.blocks = blocks;
        let out = std::mem::replace(&mut self.out, outer);
        result?;
        let names: IndexMap<Name, Value> = frame
            .own()
            .into_iter()
            .filter(|(name, _)| !name.starts_with('_'))
            .collect();
        Ok(Module {
            names,
            text: out.into_text(),
        })
    }

    /// The rest of a template that extends another only defines names and blocks; the other one prints.
    fn extends(&mut self, name: &Expr) -> Outcome<Flow> {
        let Some(found) = self.load(name, false)? else {
            return Ok(Flow::Next);
        };
        let template = Arc::clone(&self.template);
        let outer = std::mem::take(&mut self.out);
        let result = self.definitions(&template.body);
        self.out = outer;
        result?;
        let frame = Arc::clone(&self.frame);
        self.provide_self(&frame);
        self.run_other(found, frame)?;
        // What follows was run already.
        Ok(Flow::Break)
    }

    fn definitions(&mut self, body: &Body) -> Outcome<()> {
        for statement in body {
            match statement {
                Stmt::Block(block) => self.collect_blocks(block),
                Stmt::Extends(_) | Stmt::Text(_) | Stmt::Print(_) => {}
                Stmt::Set(..)
                | Stmt::SetBlock { .. }
                | Stmt::Macro(_)
                | Stmt::Import { .. }
                | Stmt::FromImport { .. }
                | Stmt::Do(_) => {
                    self.statement(statement)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn collect_blocks(&mut self, block: &Arc<Block>) {
        self.add_block(block);
        for statement in &block.body {
            if let Stmt::Block(inner) = statement {
                self.collect_blocks(inner);
            }
        }
    }

    /// `self.name()` prints a block.
    fn provide_self(&mut self, frame: &Arc<Frame>) {
        let calls = self.blocks.keys().map(|name| {
            let call = BlockCall {
                name: Arc::clone(name),
                level: 0,
            };
            (Key::text(Arc::clone(name)), Value::object(call))
        });
        frame.set(&"self".into(), Value::dict(calls.collect()));
    }
}

/// Says in which file an error is, when it is in another one.
fn in_file(mut error: TemplateError, path: &std::path::Path) -> TemplateError {
    if error.inside.is_none() {
        let (line, column) = error.span.take().unwrap_or((0, 0));
        let place = crate::content::place::Place::new(&Arc::from(path), line, column);
        error.inside = Some(Box::new((String::new(), Some(place))));
    }
    error
}
