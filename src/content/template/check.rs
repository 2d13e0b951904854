//! What can be told about a template before anything runs: that it parses, and that what it names exists.

use super::lookups;
use super::syntax::ast::{Arguments, Body, Expr, ExprKind, Macro, Span, Stmt, Template};
use super::{TemplateError, filters, tests};
use crate::content::value::Value;
use std::sync::Arc;

/// All that is wrong with a template, or the one thing that keeps it from being parsed.
pub fn template(parsed: Result<Arc<Template>, TemplateError>) -> Vec<TemplateError> {
    match parsed {
        Err(error) => vec![error],
        Ok(template) => {
            let mut checker = Checker::default();
            checker.body(&template.body);
            checker.found
        }
    }
}

#[derive(Default)]
struct Checker {
    found: Vec<TemplateError>,
}

impl Checker {
    fn report(&mut self, problem: Option<TemplateError>, span: Span) {
        if let Some(problem) = problem {
            self.found.push(problem.on(span.line, span.column));
        }
    }

    fn body(&mut self, body: &Body) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Text(_) | Stmt::Break(_) | Stmt::Continue(_) => {}
            Stmt::Print(expr) | Stmt::Set(_, expr) | Stmt::Do(expr) | Stmt::Extends(expr) => {
                self.expr(expr);
            }
            Stmt::For(definition) => {
                self.expr(&definition.iter);
                definition
                    .filter
                    .iter()
                    .for_each(|filter| self.expr(filter));
                self.body(&definition.body);
                self.body(&definition.otherwise);
            }
            Stmt::If {
                branches,
                otherwise,
            } => {
                for (test, body) in branches {
                    self.expr(test);
                    self.body(body);
                }
                self.body(otherwise);
            }
            Stmt::SetBlock { filter, body, .. } => {
                filter.iter().for_each(|filter| self.expr(filter));
                self.body(body);
            }
            Stmt::With(assignments, body) => {
                assignments.iter().for_each(|(_, value)| self.expr(value));
                self.body(body);
            }
            Stmt::Macro(definition) => self.definition(definition),
            Stmt::CallBlock { call, caller } => {
                self.expr(call);
                self.definition(caller);
            }
            Stmt::FilterBlock(filter, body) => {
                self.expr(filter);
                self.body(body);
            }
            Stmt::Include { name, .. }
            | Stmt::Import { name, .. }
            | Stmt::FromImport { name, .. } => {
                self.expr(name);
            }
            Stmt::Block(block) => self.body(&block.body),
        }
    }

    fn definition(&mut self, definition: &Macro) {
        definition
            .defaults
            .iter()
            .for_each(|default| self.expr(default));
        self.body(&definition.body);
    }

    fn arguments(&mut self, arguments: &Arguments) {
        let named = arguments.named.iter().map(|(_, value)| value);
        let stars = arguments
            .star
            .iter()
            .chain(&arguments.star_star)
            .map(|star| &**star);
        for value in arguments.positional.iter().chain(named).chain(stars) {
            self.expr(value);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Const(_) | ExprKind::Name(_) => {}
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Concat(items) => {
                items.iter().for_each(|item| self.expr(item));
            }
            ExprKind::Dict(items) => {
                for (key, value) in items {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::Attr(base, _) => self.expr(base),
            ExprKind::Item(base, key) => {
                self.expr(base);
                self.expr(key);
            }
            ExprKind::Slice(base, parts) => {
                self.expr(base);
                parts.iter().flatten().for_each(|part| self.expr(part));
            }
            ExprKind::Call(function, arguments) => {
                self.lookup(function, arguments, expr.span);
                self.expr(function);
                self.arguments(arguments);
            }
            ExprKind::Filter(base, name, arguments) => {
                self.report(filters::problem(name), expr.span);
                self.named_in(name, arguments, expr.span);
                base.iter().for_each(|base| self.expr(base));
                self.arguments(arguments);
            }
            ExprKind::Test(base, name, arguments) => {
                self.report(tests::problem(name), expr.span);
                self.expr(base);
                self.arguments(arguments);
            }
            ExprKind::Not(inner) | ExprKind::Negative(inner) | ExprKind::Positive(inner) => {
                self.expr(inner);
            }
            ExprKind::Arithmetic(_, left, right)
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Compare(first, rest) => {
                self.expr(first);
                rest.iter().for_each(|(_, right)| self.expr(right));
            }
            ExprKind::If {
                test,
                then,
                otherwise,
            } => {
                self.expr(test);
                self.expr(then);
                otherwise.iter().for_each(|otherwise| self.expr(otherwise));
            }
        }
    }

    /// Filters and tests that `map`, `select` and their like name.
    fn named_in(&mut self, filter: &str, arguments: &Arguments, span: Span) {
        let constant = |at: usize| match &arguments.positional.get(at)?.kind {
            ExprKind::Const(Value::Str(text)) => Some(Arc::clone(&text.text)),
            _ => None,
        };
        match filters::short(filter) {
            "map" => {
                let problem = constant(0).and_then(|name| filters::problem(&name));
                self.report(problem, span);
            }
            "select" | "reject" => {
                let problem = constant(0).and_then(|name| tests::problem(&name));
                self.report(problem, span);
            }
            "selectattr" | "rejectattr" => {
                let problem = constant(1).and_then(|name| tests::problem(&name));
                self.report(problem, span);
            }
            _ => {}
        }
    }

    fn lookup(&mut self, function: &Expr, arguments: &Arguments, span: Span) {
        let ExprKind::Name(name) = &function.kind else {
            return;
        };
        if !matches!(&**name, "lookup" | "query" | "q") {
            return;
        }
        if let Some(first) = arguments.positional.first()
            && let ExprKind::Const(Value::Str(plugin)) = &first.kind
        {
            self.report(lookups::problem(&plugin.text), span);
        }
    }
}

#[cfg(test)]
mod test {
    use crate::content::template::Templar;
    use std::path::Path;

    fn messages(text: &str) -> Vec<String> {
        Templar::check(text)
            .into_iter()
            .map(|fault| fault.message)
            .collect()
    }

    #[test]
    fn unknown_names_are_found_before_anything_runs() {
        assert!(messages("{{ a | upper | map('trim') | list }}").is_empty());
        assert!(messages("plain }} text").is_empty());
        let faults =
            messages("{{ a | uper }}{% if b is definde %}{{ lookup('fille', 'x') }}{% endif %}");
        assert_eq!(
            faults,
            [
                "there is no filter named 'uper' (line 1, column 8 of the template)",
                "there is no test named 'definde' (line 1, column 23 of the template)",
                "there is no lookup named 'fille' (line 1, column 45 of the template)",
            ]
        );
        assert_eq!(messages("{{ a | select('defind') }}").len(), 1);
    }

    #[test]
    fn broken_templates_say_where() {
        let faults = messages("a\nb {% if x %}");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("`endif`"), "{faults:?}");
        assert_eq!(Templar::check_expression("a ==").len(), 1);
        let places = |text: &str| -> Vec<String> {
            let path = Path::new("motd.j2");
            let faults = Templar::check_file(path, text).into_iter();
            faults
                .map(|fault| format!("{}: {}", fault.place.expect("a place"), fault.message))
                .collect()
        };
        assert!(places("#jinja2: trim_blocks: False\n{{ a }}").is_empty());
        assert_eq!(places("#jinja2: trim_blox: False\n{{ a }}").len(), 1);
        assert_eq!(
            places("#jinja2: trim_blocks: False\nhello\n{{ a | uper }}\n"),
            ["motd.j2:3:8: there is no filter named 'uper'"]
        );
    }
}
