//! What a template says, as a tree that owns its text and knows its places.

use crate::content::value::Value;
use std::sync::Arc;

/// Line and column in the template's text, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub line: u32,
    pub column: u32,
}

pub type Name = Arc<str>;

#[derive(Debug)]
pub struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Debug)]
pub enum ExprKind {
    Const(Value),
    Name(Name),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `value.name`
    Attr(Box<Expr>, Name),
    /// `value[key]`, and `value.0`
    Item(Box<Expr>, Box<Expr>),
    /// `value[start:stop:step]`
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Arguments),
    /// The value is missing in the filters of blocks, which work on the block's text.
    Filter(Option<Box<Expr>>, Name, Arguments),
    Test(Box<Expr>, Name, Arguments),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// `a ~ b ~ c`
    Concat(Vec<Expr>),
    If {
        test: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// Arguments as they are written in a call.
#[derive(Debug, Default)]
pub struct Arguments {
    pub positional: Vec<Expr>,
    pub named: Vec<(Name, Expr)>,
    pub star: Option<Box<Expr>>,
    pub star_star: Option<Box<Expr>>,
}

/// What is assigned to: a name, an attribute of a namespace, or several of them.
#[derive(Debug)]
pub enum Target {
    Name(Name),
    Namespace(Name, Name),
    Many(Vec<Target>),
}

pub type Body = Vec<Stmt>;

#[derive(Debug)]
pub enum Stmt {
    Text(Arc<str>),
    Print(Expr),
    For(Arc<For>),
    If {
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    Set(Target, Expr),
    SetBlock {
        target: Target,
        filter: Option<Expr>,
        body: Body,
    },
    With(Vec<(Target, Expr)>, Body),
    Macro(Arc<Macro>),
    CallBlock {
        call: Expr,
        caller: Arc<Macro>,
    },
    FilterBlock(Expr, Body),
    Include {
        name: Expr,
        ignore_missing: bool,
        with_context: bool,
    },
    Import {
        name: Expr,
        target: Name,
        with_context: bool,
    },
    FromImport {
        name: Expr,
        names: Vec<(Name, Name)>,
        with_context: bool,
    },
    Extends(Expr),
    Block(Arc<Block>),
    Do(Expr),
    Break(Span),
    Continue(Span),
}

#[derive(Debug)]
pub struct For {
    pub target: Target,
    pub iter: Expr,
    pub filter: Option<Expr>,
    pub recursive: bool,
    pub body: Body,
    pub otherwise: Body,
}

#[derive(Debug)]
pub struct Macro {
    pub name: Name,
    pub params: Vec<Name>,
    /// Of the last parameters.
    pub defaults: Vec<Expr>,
    pub body: Body,
    /// Which of the names that catch more arguments the body uses.
    pub varargs: bool,
    pub kwargs: bool,
    pub caller: bool,
}

#[derive(Debug)]
pub struct Block {
    pub name: Name,
    pub scoped: bool,
    pub required: bool,
    pub body: Body,
}

/// A template, parsed.
#[derive(Debug)]
pub struct Template {
    pub body: Body,
    /// It calls methods that change lists or dictionaries, or other templates that may: variables are copied for it.
    pub changes_values: bool,
    /// The name in `{{ name }}`, when that is all there is.
    pub single: Option<Name>,
}
