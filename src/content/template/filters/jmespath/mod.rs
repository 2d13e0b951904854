//! JMESPath, the language of `json_query`, with the meaning of Python's `jmespath`.
//! Grammar and functions: <https://jmespath.org/specification.html>.

mod eval;
mod functions;
mod lex;
mod parse;

use super::{Filter, filter};
use crate::content::template::TemplateError;
use crate::content::template::eval::args::{Args, required, text_of};
use crate::content::template::eval::{Interp, Outcome};
use crate::content::value::Value;

pub(super) const FILTERS: &[Filter] = &[filter(
    "json_query",
    json_query,
    (
        "[{'a': 1}, {'a': 5}] | community.general.json_query('[?a > `2`].a')",
        "[5]",
    ),
)];

fn json_query(_: &mut Interp, value: &Value, args: Args) -> Outcome {
    let [expression] = args.bind("json_query", ["expr"])?;
    let expression = text_of(&required("json_query", "expr", expression)?)?;
    search(&expression, value).map_err(|problem| {
        TemplateError::new(format!("json_query: {problem} in the query `{expression}`"))
            .hint("The language is described on https://jmespath.org.")
    })
}

/// What an expression finds in a value; None where it finds nothing.
///
/// # Errors
/// What is wrong with the expression, or which function doesn't take what it was given.
fn search(expression: &str, value: &Value) -> Result<Value, String> {
    let tree = parse::expression(expression)?;
    eval::eval(&tree, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::template::eval::parse_literal;

    fn found(expression: &str, data: &str) -> String {
        let data = parse_literal(data).expect("data of tests are literals");
        match search(expression, &data) {
            Ok(value) => value.repr(),
            Err(problem) => format!("error: {problem}"),
        }
    }

    #[test]
    fn expressions_find_what_the_specification_says() {
        let data = "{'a': {'b': [1, 2, {'c': 'x'}]}, 'l': [{'n': 'q', 'v': 3, 't': [1]}, {'n': 'p', 'v': 9, 't': [2, 3]}], 'x-y': True, 'e': None}";
        let cases = [
            ("a.b[0]", "1"),
            ("a.b[-1].c", "'x'"),
            ("a.nothing.more", "None"),
            ("\"x-y\"", "True"),
            ("l[*].n", "['q', 'p']"),
            ("l[?v > `3`].n | [0]", "'p'"),
            ("l[].t[]", "[1, 2, 3]"),
            ("l[*].t[0]", "[1, 2]"),
            ("l[::-1].n", "['p', 'q']"),
            ("l[0:1].v", "[3]"),
            (
                "l[].{name: n, twice: [v, v]}",
                "[{'name': 'q', 'twice': [3, 3]}, {'name': 'p', 'twice': [9, 9]}]",
            ),
            ("l[?n == 'q' || v == `9`] | length(@)", "2"),
            ("l[?!(n == 'q')].v", "[9]"),
            ("a.* | [0][0]", "1"),
            ("sort_by(l, &n)[*].n", "['p', 'q']"),
            ("max_by(l, &v).n", "'p'"),
            ("sum(l[*].v)", "12"),
            ("keys(a)", "['b']"),
            ("join(',', l[*].n)", "'q,p'"),
            ("to_string(l[0].t)", "'[1]'"),
            ("contains(a.b, `2`)", "True"),
            ("not_null(e, a.z, 'last')", "'last'"),
            ("map(&v, l)", "[3, 9]"),
            ("type(@)", "'object'"),
            ("`{\"k\": [1]}`.k", "[1]"),
            ("e && a", "None"),
            ("l[?contains(t, `1`)] | [0].n", "'q'"),
        ];
        for (expression, expected) in cases {
            assert_eq!(found(expression, data), expected, "{expression}");
        }
    }

    #[test]
    fn mistakes_say_where_and_what() {
        for (expression, part) in [
            ("a.[", "ends"),
            ("a b", "'b'"),
            ("nope(@)", "nope"),
            ("length(`1`)", "length"),
            ("abs(@, @)", "abs"),
            ("a[?b", "ends"),
        ] {
            let text = found(expression, "{'a': 1}");
            assert!(
                text.starts_with("error: ") && text.contains(part),
                "{expression}: {text}"
            );
        }
    }
}
