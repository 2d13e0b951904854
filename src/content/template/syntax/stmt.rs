//! Statements: what stands between `{%` and `%}`, and the text around it.

use super::ast::{Block, Body, Expr, ExprKind, For, Macro, Name, Stmt, Target};
use super::expr::{Parser, Seen};
use super::lex::Token;
use crate::content::template::TemplateError;
use std::sync::Arc;

/// Words that begin a statement.
const KEYWORDS: [&str; 19] = [
    "for",
    "if",
    "set",
    "with",
    "macro",
    "call",
    "filter",
    "include",
    "import",
    "from",
    "extends",
    "block",
    "do",
    "break",
    "continue",
    "autoescape",
    "print",
    "raw",
    "else",
];

impl Parser {
    /// Text and tags up to a block that begins with one of the words, or to the end when there are none.
    pub fn body(&mut self, ends: &[&str]) -> Result<Body, TemplateError> {
        let mut body = Body::new();
        loop {
            match self.peek().clone() {
                Token::Text(text) => {
                    self.next();
                    body.push(Stmt::Text(text.into()));
                }
                Token::VariableBegin => {
                    self.next();
                    body.push(Stmt::Print(self.tuple(true, None)?));
                    self.expect_end(&Token::VariableEnd)?;
                }
                Token::BlockBegin => {
                    self.next();
                    if ends.iter().any(|word| self.is_name(word)) {
                        return Ok(body);
                    }
                    let statement = self.statement(ends)?;
                    body.extend(statement);
                }
                Token::End if ends.is_empty() => return Ok(body),
                Token::End => {
                    let ends: Vec<String> = ends.iter().map(|word| format!("`{word}`")).collect();
                    return Err(self.error(format!(
                        "the template ends where {} is expected",
                        ends.join(" or ")
                    )));
                }
                _ => return Err(self.unexpected("text or a tag")),
            }
        }
    }

    fn expect_end(&mut self, end: &Token) -> Result<(), TemplateError> {
        if self.peek() == end {
            self.next();
            return Ok(());
        }
        Err(self.unexpected(&end.to_string()))
    }

    fn block_end(&mut self) -> Result<(), TemplateError> {
        self.expect_end(&Token::BlockEnd)
    }

    /// A body that ends with the word, which is taken.
    fn body_to(&mut self, end: &str) -> Result<Body, TemplateError> {
        self.block_end()?;
        let body = self.body(&[end])?;
        self.expect_word(end)?;
        Ok(body)
    }

    fn statement(&mut self, ends: &[&str]) -> Result<Option<Stmt>, TemplateError> {
        let span = self.span();
        let Token::Name(word) = self.peek().clone() else {
            return Err(self.unexpected("the name of a statement"));
        };
        let statement = match word.as_str() {
            "for" => self.for_loop()?,
            "if" => self.condition()?,
            "set" => self.set()?,
            "with" => self.with()?,
            "macro" => self.macro_definition()?,
            "call" => self.call_block()?,
            "filter" => {
                self.next();
                let filter = self.filter(None)?;
                Stmt::FilterBlock(filter, self.body_to("endfilter")?)
            }
            "include" => self.include()?,
            "import" => self.import()?,
            "from" => self.imported_names()?,
            "extends" => {
                self.next();
                self.changes_values = true;
                Stmt::Extends(self.expression()?)
            }
            "block" => self.block()?,
            "do" => {
                self.next();
                Stmt::Do(self.tuple(true, None)?)
            }
            "print" => {
                self.next();
                Stmt::Print(self.tuple(true, None)?)
            }
            "break" => {
                self.next();
                Stmt::Break(span)
            }
            "continue" => {
                self.next();
                Stmt::Continue(span)
            }
            "autoescape" => {
                self.next();
                self.expression()?;
                // Nothing is escaped in text files, whatever this says.
                let body = self.body_to("endautoescape")?;
                self.block_end()?;
                return Ok(Some(Stmt::With(Vec::new(), body)));
            }
            other => return Err(self.unknown_statement(other, ends)),
        };
        self.block_end()?;
        Ok(Some(statement))
    }

    fn unknown_statement(&self, word: &str, ends: &[&str]) -> TemplateError {
        let mut error = self.error(format!("unknown statement '{word}'"));
        if word.starts_with("end") || matches!(word, "elif" | "else") {
            error = self.error(format!("'{word}' has no begin here"));
            if let Some(end) = ends.last() {
                error = error.hint(format!("`{end}` is expected first."));
            }
            return error;
        }
        match crate::content::nearest::nearest(word, KEYWORDS, 1).first() {
            Some(near) => error.hint(format!("Did you mean `{near}`?")),
            None => error,
        }
    }

    fn target(&mut self, end: Option<&str>) -> Result<Target, TemplateError> {
        let tuple = self.tuple_of_targets(end)?;
        self.as_target(tuple)
    }

    /// Targets are read as expressions without operators.
    fn tuple_of_targets(&mut self, end: Option<&str>) -> Result<Vec<Target>, TemplateError> {
        let mut targets = Vec::new();
        let mut commas = false;
        loop {
            if end.is_some_and(|word| self.is_name(word)) || self.is_op("=") || self.is_op(")") {
                break;
            }
            if self.skip_op("(") {
                let inner = self.tuple_of_targets(None)?;
                self.expect_op(")")?;
                targets.push(Target::Many(inner));
            } else {
                let name = self.name()?;
                targets.push(if self.skip_op(".") {
                    Target::Namespace(name, self.name()?)
                } else {
                    Target::Name(name)
                });
            }
            if !self.skip_op(",") {
                break;
            }
            commas = true;
        }
        if commas && targets.len() == 1 {
            // `a, =` takes the only item apart.
            return Ok(vec![Target::Many(targets)]);
        }
        Ok(targets)
    }

    fn as_target(&self, mut targets: Vec<Target>) -> Result<Target, TemplateError> {
        match targets.len() {
            0 => Err(self.unexpected("a name to assign to")),
            1 => Ok(targets.remove(0)),
            _ => Ok(Target::Many(targets)),
        }
    }

    fn for_loop(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let target = self.target(Some("in"))?;
        self.expect_word("in")?;
        let iter = self.tuple(false, Some("recursive"))?;
        let filter = if self.skip_name("if") {
            Some(self.expression()?)
        } else {
            None
        };
        let recursive = self.skip_name("recursive");
        self.block_end()?;
        let body = self.body(&["endfor", "else"])?;
        let otherwise = if self.skip_name("else") {
            self.block_end()?;
            self.body(&["endfor"])?
        } else {
            Body::new()
        };
        self.expect_word("endfor")?;
        Ok(Stmt::For(Arc::new(For {
            target,
            iter,
            filter,
            recursive,
            body,
            otherwise,
        })))
    }

    fn condition(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let mut branches = Vec::new();
        let mut otherwise = Body::new();
        loop {
            let test = self.tuple(false, None)?;
            self.block_end()?;
            branches.push((test, self.body(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                self.block_end()?;
                otherwise = self.body(&["endif"])?;
            }
            self.expect_word("endif")?;
            return Ok(Stmt::If {
                branches,
                otherwise,
            });
        }
    }

    fn set(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let target = self.target(None)?;
        if self.skip_op("=") {
            return Ok(Stmt::Set(target, self.tuple(true, None)?));
        }
        let filter = if self.skip_op("|") {
            Some(self.filter(None)?)
        } else {
            None
        };
        let body = self.body_to("endset")?;
        Ok(Stmt::SetBlock {
            target,
            filter,
            body,
        })
    }

    fn with(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let mut assignments = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !assignments.is_empty() {
                self.expect_op(",")?;
            }
            let name = self.name()?;
            self.expect_op("=")?;
            assignments.push((Target::Name(name), self.expression()?));
        }
        let body = self.body_to("endwith")?;
        Ok(Stmt::With(assignments, body))
    }

    /// `(a, b=1)` of a macro or a caller.
    fn signature(&mut self) -> Result<(Vec<Name>, Vec<Expr>), TemplateError> {
        let mut params = Vec::new();
        let mut defaults: Vec<Expr> = Vec::new();
        self.expect_op("(")?;
        while !self.is_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            params.push(self.name()?);
            if self.skip_op("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return Err(self.error("a parameter without a default follows one that has one"));
            }
        }
        self.expect_op(")")?;
        Ok((params, defaults))
    }

    /// The rest of a macro, and what its body uses.
    fn macro_body(
        &mut self,
        name: Name,
        (params, defaults): (Vec<Name>, Vec<Expr>),
        end: &str,
    ) -> Result<Arc<Macro>, TemplateError> {
        let outer = std::mem::take(&mut self.seen);
        let body = self.body_to(end)?;
        let seen = std::mem::replace(&mut self.seen, outer);
        let free = |param: &str| !params.iter().any(|known| &**known == param);
        Ok(Arc::new(Macro {
            varargs: seen.varargs && free("varargs"),
            kwargs: seen.kwargs && free("kwargs"),
            caller: seen.caller && free("caller"),
            name,
            params,
            defaults,
            body,
        }))
    }

    fn macro_definition(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let name = self.name()?;
        let signature = self.signature()?;
        Ok(Stmt::Macro(self.macro_body(name, signature, "endmacro")?))
    }

    fn call_block(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let signature = if self.is_op("(") {
            self.signature()?
        } else {
            (Vec::new(), Vec::new())
        };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(TemplateError::new("`call` needs the call of a macro")
                .on(call.span.line, call.span.column));
        }
        let outer: Seen = self.seen;
        let caller = self.macro_body("caller".into(), signature, "endcall")?;
        self.seen = outer;
        Ok(Stmt::CallBlock { call, caller })
    }

    fn context(&mut self, default: bool) -> bool {
        for (word, with_context) in [("with", true), ("without", false)] {
            if self.is_name(word) {
                self.next();
                self.skip_name("context");
                return with_context;
            }
        }
        default
    }

    fn include(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        self.changes_values = true;
        let name = self.expression()?;
        let ignore_missing = self.skip_name("ignore");
        if ignore_missing {
            self.expect_word("missing")?;
        }
        Ok(Stmt::Include {
            name,
            ignore_missing,
            with_context: self.context(true),
        })
    }

    fn import(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        self.changes_values = true;
        let name = self.expression()?;
        self.expect_word("as")?;
        let target = self.name()?;
        Ok(Stmt::Import {
            name,
            target,
            with_context: self.context(false),
        })
    }

    fn imported_names(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        self.changes_values = true;
        let name = self.expression()?;
        self.expect_word("import")?;
        let mut names: Vec<(Name, Name)> = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !names.is_empty() && !self.is_name("with") && !self.is_name("without") {
                self.expect_op(",")?;
            }
            if self.is_name("with") || self.is_name("without") {
                break;
            }
            let from = self.name()?;
            let to = if self.skip_name("as") {
                self.name()?
            } else {
                Arc::clone(&from)
            };
            names.push((from, to));
        }
        if names.is_empty() {
            return Err(self.unexpected("a name to import"));
        }
        Ok(Stmt::FromImport {
            name,
            names,
            with_context: self.context(false),
        })
    }

    fn block(&mut self) -> Result<Stmt, TemplateError> {
        self.next();
        let name = self.name()?;
        let scoped = self.skip_name("scoped");
        let required = self.skip_name("required");
        let body = self.body_to("endblock")?;
        if self.is_name(&name) {
            self.next();
        }
        Ok(Stmt::Block(Arc::new(Block {
            name,
            scoped,
            required,
            body,
        })))
    }
}
