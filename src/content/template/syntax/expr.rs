//! Expressions: Jinja2's grammar, by recursive descent.

use super::ast::{Arguments, Arithmetic, Comparison, Expr, ExprKind, Span};
use super::lex::{Token, Tokens};
use crate::content::template::TemplateError;
use crate::content::value::Value;
use std::sync::Arc;

/// How deep expressions may be nested.
const MAX_DEPTH: u32 = 90;

/// Reads tokens one after the other.
pub struct Parser {
    tokens: Tokens,
    at: usize,
    depth: u32,
    /// Set once a method that changes a container is called, or another template is used.
    pub changes_values: bool,
    /// Names that macros use without naming them as parameters.
    pub seen: Seen,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    pub varargs: bool,
    pub kwargs: bool,
    pub caller: bool,
}

/// Methods that change what they are called on.
const CHANGING: [&str; 12] = [
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "popitem",
    "clear",
    "sort",
    "reverse",
    "update",
    "setdefault",
    "__setitem__",
];

impl Parser {
    pub fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            at: 0,
            depth: 0,
            changes_values: false,
            seen: Seen::default(),
        }
    }

    pub fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn peek_after(&self) -> &Token {
        let next = (self.at + 1).min(self.tokens.len() - 1);
        &self.tokens[next].0
    }

    pub fn span(&self) -> Span {
        self.tokens[self.at].1
    }

    pub fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(found) if *found == op)
    }

    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    pub fn skip_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        if found {
            self.next();
        }
        found
    }

    pub fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    pub fn expect_op(&mut self, op: &'static str) -> Result<(), TemplateError> {
        if self.skip_op(op) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{op}'")))
    }

    pub fn expect_word(&mut self, name: &str) -> Result<(), TemplateError> {
        if self.skip_name(name) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{name}'")))
    }

    pub fn name(&mut self) -> Result<Arc<str>, TemplateError> {
        match self.peek() {
            Token::Name(_) => match self.next() {
                Token::Name(name) => Ok(name.into()),
                _ => Err(self.unexpected("a name")),
            },
            _ => Err(self.unexpected("a name")),
        }
    }

    pub fn error(&self, message: impl Into<String>) -> TemplateError {
        let span = self.span();
        TemplateError::new(message).on(span.line, span.column)
    }

    pub fn unexpected(&self, expected: &str) -> TemplateError {
        self.error(format!("unexpected {}, expected {expected}", self.peek()))
    }

    /// True where a tuple can't go on.
    fn at_end_of_tuple(&self) -> bool {
        matches!(
            self.peek(),
            Token::VariableEnd | Token::BlockEnd | Token::End
        ) || self.is_op(")")
    }

    /// One expression, or several with commas: then a tuple. A word ends it, when one is given.
    pub fn tuple(&mut self, conditional: bool, end: Option<&str>) -> Result<Expr, TemplateError> {
        let span = self.span();
        let mut items = Vec::new();
        let mut is_tuple = false;
        while !self.at_end_of_tuple() && !end.is_some_and(|word| self.is_name(word)) {
            items.push(if conditional {
                self.expression()?
            } else {
                self.or()?
            });
            if !self.skip_op(",") {
                break;
            }
            is_tuple = true;
        }
        match items.pop() {
            None => Err(self.unexpected("an expression")),
            Some(only) if !is_tuple => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(Expr {
                    span,
                    kind: ExprKind::Tuple(items),
                })
            }
        }
    }

    /// An expression, with `… if … else …`.
    pub fn expression(&mut self) -> Result<Expr, TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("this expression is nested too deeply"));
        }
        let mut value = self.or()?;
        while self.is_name("if") {
            let span = self.span();
            self.next();
            let test = self.or()?;
            let otherwise = if self.skip_name("else") {
                Some(Box::new(self.expression()?))
            } else {
                None
            };
            value = Expr {
                span,
                kind: ExprKind::If {
                    test: Box::new(test),
                    then: Box::new(value),
                    otherwise,
                },
            };
        }
        self.depth -= 1;
        Ok(value)
    }

    fn or(&mut self) -> Result<Expr, TemplateError> {
        let mut left = self.and()?;
        while self.is_name("or") {
            let span = self.span();
            self.next();
            let right = self.and()?;
            let kind = ExprKind::Or(Box::new(left), Box::new(right));
            left = Expr { span, kind };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, TemplateError> {
        let mut left = self.not()?;
        while self.is_name("and") {
            let span = self.span();
            self.next();
            let right = self.not()?;
            let kind = ExprKind::And(Box::new(left), Box::new(right));
            left = Expr { span, kind };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, TemplateError> {
        if !self.is_name("not") {
            return self.compare();
        }
        let span = self.span();
        self.next();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("this expression is nested too deeply"));
        }
        let kind = ExprKind::Not(Box::new(self.not()?));
        self.depth -= 1;
        Ok(Expr { span, kind })
    }

    fn compare(&mut self) -> Result<Expr, TemplateError> {
        let span = self.span();
        let first = self.arithmetic(0)?;
        let mut rest = Vec::new();
        loop {
            let comparison = match self.peek() {
                Token::Op("==") => Comparison::Eq,
                Token::Op("!=") => Comparison::Ne,
                Token::Op("<") => Comparison::Lt,
                Token::Op("<=") => Comparison::Le,
                Token::Op(">") => Comparison::Gt,
                Token::Op(">=") => Comparison::Ge,
                Token::Name(name) if name == "in" => Comparison::In,
                Token::Name(name)
                    if name == "not"
                        && matches!(self.peek_after(), Token::Name(next) if next == "in") =>
                {
                    self.next();
                    Comparison::NotIn
                }
                _ => break,
            };
            self.next();
            rest.push((comparison, self.arithmetic(0)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let kind = ExprKind::Compare(Box::new(first), rest);
        Ok(Expr { span, kind })
    }

    /// Arithmetic whose operators bind at least as strongly as the level: `+ -`, `~`, `* / // %`, `**` (which goes from
    /// the left in Jinja2).
    fn arithmetic(&mut self, level: u8) -> Result<Expr, TemplateError> {
        let mut left = self.unary(true)?;
        loop {
            let (own, operator) = match self.peek() {
                Token::Op("+") => (0, Some(Arithmetic::Add)),
                Token::Op("-") => (0, Some(Arithmetic::Sub)),
                Token::Op("~") => (1, None),
                Token::Op("*") => (2, Some(Arithmetic::Mul)),
                Token::Op("/") => (2, Some(Arithmetic::Div)),
                Token::Op("//") => (2, Some(Arithmetic::FloorDiv)),
                Token::Op("%") => (2, Some(Arithmetic::Rem)),
                Token::Op("**") => (3, Some(Arithmetic::Pow)),
                _ => return Ok(left),
            };
            if own < level {
                return Ok(left);
            }
            let span = self.span();
            self.next();
            let right = self.arithmetic(own + 1)?;
            left = match operator {
                Some(operator) => Expr {
                    span,
                    kind: ExprKind::Arithmetic(operator, Box::new(left), Box::new(right)),
                },
                None => concat(left, right, span),
            };
        }
    }

    fn unary(&mut self, with_filter: bool) -> Result<Expr, TemplateError> {
        let span = self.span();
        let sign = match self.peek() {
            Token::Op("-") => Some(ExprKind::Negative as fn(Box<Expr>) -> ExprKind),
            Token::Op("+") => Some(ExprKind::Positive as fn(Box<Expr>) -> ExprKind),
            _ => None,
        };
        let node = match sign {
            Some(kind) => {
                self.next();
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.error("this expression is nested too deeply"));
                }
                let inner = self.unary(false)?;
                self.depth -= 1;
                Expr {
                    span,
                    kind: kind(Box::new(inner)),
                }
            }
            None => {
                let primary = self.primary()?;
                self.postfix(primary)?
            }
        };
        if with_filter {
            self.filters_and_tests(node)
        } else {
            Ok(node)
        }
    }

    fn primary(&mut self) -> Result<Expr, TemplateError> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                match name.as_str() {
                    "true" | "True" => ExprKind::Const(Value::Bool(true)),
                    "false" | "False" => ExprKind::Const(Value::Bool(false)),
                    "none" | "None" => ExprKind::Const(Value::None),
                    _ => {
                        self.seen.varargs |= name == "varargs";
                        self.seen.kwargs |= name == "kwargs";
                        self.seen.caller |= name == "caller";
                        ExprKind::Name(name.into())
                    }
                }
            }
            Token::Str(mut text) => {
                self.next();
                while let Token::Str(more) = self.peek() {
                    text.push_str(more);
                    self.next();
                }
                ExprKind::Const(Value::from(text))
            }
            Token::Int(value) => {
                self.next();
                ExprKind::Const(Value::integer(value))
            }
            Token::Float(value) => {
                self.next();
                ExprKind::Const(Value::Float(value))
            }
            Token::Op("(") => {
                self.next();
                let inner = if self.is_op(")") {
                    Expr {
                        span,
                        kind: ExprKind::Tuple(Vec::new()),
                    }
                } else {
                    self.tuple(true, None)?
                };
                self.expect_op(")")?;
                return Ok(inner);
            }
            Token::Op("[") => {
                self.next();
                ExprKind::List(self.list_items()?)
            }
            Token::Op("{") => {
                self.next();
                ExprKind::Dict(self.dict_items()?)
            }
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(Expr { span, kind })
    }

    fn list_items(&mut self) -> Result<Vec<Expr>, TemplateError> {
        let mut items = Vec::new();
        while !self.is_op("]") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op("]") {
                break;
            }
            items.push(self.expression()?);
        }
        self.expect_op("]")?;
        Ok(items)
    }

    fn dict_items(&mut self) -> Result<Vec<(Expr, Expr)>, TemplateError> {
        let mut items = Vec::new();
        while !self.is_op("}") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op("}") {
                break;
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            items.push((key, self.expression()?));
        }
        self.expect_op("}")?;
        Ok(items)
    }

    fn postfix(&mut self, mut node: Expr) -> Result<Expr, TemplateError> {
        loop {
            match self.peek() {
                Token::Op(".") => node = self.attribute(node)?,
                Token::Op("[") => node = self.subscript(node)?,
                Token::Op("(") => node = self.call(node)?,
                _ => return Ok(node),
            }
        }
    }

    fn filters_and_tests(&mut self, mut node: Expr) -> Result<Expr, TemplateError> {
        loop {
            match self.peek() {
                Token::Op("|") => node = self.filter(Some(node))?,
                Token::Name(name) if name == "is" => node = self.test(node)?,
                Token::Op("(") => node = self.call(node)?,
                _ => return Ok(node),
            }
        }
    }

    fn attribute(&mut self, node: Expr) -> Result<Expr, TemplateError> {
        let span = self.span();
        self.expect_op(".")?;
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                if CHANGING.contains(&name.as_str()) {
                    self.changes_values = true;
                }
                ExprKind::Attr(Box::new(node), name.into())
            }
            Token::Int(index) => {
                let at = self.span();
                self.next();
                let index = Expr {
                    span: at,
                    kind: ExprKind::Const(Value::integer(index)),
                };
                ExprKind::Item(Box::new(node), Box::new(index))
            }
            _ => return Err(self.unexpected("a name or a number after '.'")),
        };
        Ok(Expr { span, kind })
    }

    fn subscript(&mut self, node: Expr) -> Result<Expr, TemplateError> {
        let span = self.span();
        self.expect_op("[")?;
        let mut parts: [Option<Box<Expr>>; 3] = [None, None, None];
        let mut colons = 0;
        let mut keys = Vec::new();
        while !self.is_op("]") {
            if self.is_op(":") {
                colons += 1;
                if colons > 2 || !keys.is_empty() {
                    return Err(self.unexpected("']'"));
                }
                self.next();
            } else if self.is_op(",") && colons == 0 {
                self.next();
                keys.extend(parts[0].take());
            } else if parts[colons].is_none() {
                parts[colons] = Some(Box::new(self.expression()?));
            } else {
                return Err(self.unexpected("']'"));
            }
        }
        self.expect_op("]")?;
        let kind = if colons > 0 {
            ExprKind::Slice(Box::new(node), parts)
        } else if keys.is_empty() {
            match parts[0].take() {
                Some(key) => ExprKind::Item(Box::new(node), key),
                None => return Err(self.error("a key is expected between '[' and ']'")),
            }
        } else {
            keys.extend(parts[0].take());
            let key = Expr {
                span,
                kind: ExprKind::Tuple(keys.into_iter().map(|key| *key).collect()),
            };
            ExprKind::Item(Box::new(node), Box::new(key))
        };
        Ok(Expr { span, kind })
    }

    pub fn call(&mut self, node: Expr) -> Result<Expr, TemplateError> {
        let span = self.span();
        let arguments = self.arguments()?;
        let kind = ExprKind::Call(Box::new(node), arguments);
        Ok(Expr { span, kind })
    }

    fn arguments(&mut self) -> Result<Arguments, TemplateError> {
        self.expect_op("(")?;
        let mut arguments = Arguments::default();
        let mut first = true;
        while !self.is_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            first = false;
            if self.skip_op("*") {
                arguments.star = Some(Box::new(self.expression()?));
            } else if self.skip_op("**") {
                arguments.star_star = Some(Box::new(self.expression()?));
            } else if matches!(self.peek(), Token::Name(_))
                && matches!(self.peek_after(), Token::Op("="))
            {
                let name = self.name()?;
                self.expect_op("=")?;
                arguments.named.push((name, self.expression()?));
            } else if arguments.named.is_empty() && arguments.star_star.is_none() {
                arguments.positional.push(self.expression()?);
            } else {
                return Err(self.error("arguments without a name must stand before those with one"));
            }
        }
        self.expect_op(")")?;
        Ok(arguments)
    }

    fn dotted(&mut self) -> Result<Arc<str>, TemplateError> {
        let first = self.name()?;
        if !self.is_op(".") {
            return Ok(first);
        }
        let mut name = first.to_string();
        while self.skip_op(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name.into())
    }

    /// A chain of filters. Without a value it begins with the name of the first one.
    pub fn filter(&mut self, mut node: Option<Expr>) -> Result<Expr, TemplateError> {
        let mut inline = node.is_none();
        while inline || self.is_op("|") {
            if !inline {
                self.next();
            }
            inline = false;
            let span = self.span();
            let name = self.dotted()?;
            let arguments = if self.is_op("(") {
                self.arguments()?
            } else {
                Arguments::default()
            };
            let kind = ExprKind::Filter(node.take().map(Box::new), name, arguments);
            node = Some(Expr { span, kind });
        }
        node.ok_or_else(|| self.unexpected("a filter"))
    }

    fn test(&mut self, node: Expr) -> Result<Expr, TemplateError> {
        let span = self.span();
        self.expect_word("is")?;
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let mut arguments = Arguments::default();
        match self.peek() {
            Token::Op("(") => arguments = self.arguments()?,
            Token::Name(word)
                if matches!(word.as_str(), "else" | "or" | "and" | "if" | "in" | "not") => {}
            Token::Name(word) if word == "is" => {
                return Err(self.error("tests can't be chained with `is`"));
            }
            Token::Name(_)
            | Token::Str(_)
            | Token::Int(_)
            | Token::Float(_)
            | Token::Op("[" | "{") => {
                let primary = self.primary()?;
                arguments.positional.push(self.postfix(primary)?);
            }
            _ => {}
        }
        let kind = ExprKind::Test(Box::new(node), name, arguments);
        let test = Expr { span, kind };
        Ok(if negated {
            let kind = ExprKind::Not(Box::new(test));
            Expr { span, kind }
        } else {
            test
        })
    }
}

/// `left ~ right`, flat when the left one is joined already.
fn concat(left: Expr, right: Expr, span: Span) -> Expr {
    let items = match left.kind {
        ExprKind::Concat(mut items) => {
            items.push(right);
            items
        }
        kind => vec![
            Expr {
                span: left.span,
                kind,
            },
            right,
        ],
    };
    Expr {
        span,
        kind: ExprKind::Concat(items),
    }
}
