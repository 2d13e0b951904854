//! From the words of JMESPath to a tree, by binding powers.

use super::lex::{Token, tokens};
use crate::content::value::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// An expression. Boxes hold what is evaluated on the value that stands before.
#[derive(Debug, Clone)]
pub enum Node {
    Current,
    Field(String),
    Literal(Value),
    Index(i64),
    Slice([Option<i64>; 3]),
    /// The second on what the first finds.
    Then(Box<Node>, Box<Node>),
    /// The second on each item of a list.
    Each(Box<Node>, Box<Node>),
    /// The second on each value of an object.
    EachValue(Box<Node>, Box<Node>),
    /// The second on each item for which the condition holds.
    Filtered {
        base: Box<Node>,
        each: Box<Node>,
        condition: Box<Node>,
    },
    Flat(Box<Node>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Function(String, Vec<Node>),
    /// `&expression`: what a function applies to each item.
    Reference(Box<Node>),
}

/// Deepest nesting that is read.
const MAX_DEPTH: u32 = 100;
/// Below this power a projection ends.
const STOPS: u8 = 10;

/// The tree of an expression, or what is wrong with it.
pub fn expression(text: &str) -> Result<Node, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let node = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        other => Err(format!("{} isn't expected there", other.shown())),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

fn power(token: &Token) -> u8 {
    let Token::Sign(sign) = token else { return 0 };
    match *sign {
        "|" => 1,
        "||" => 2,
        "&&" => 3,
        "==" | "!=" | "<" | "<=" | ">" | ">=" => 5,
        "[]" => 9,
        "*" => 20,
        "[?" => 21,
        "." => 40,
        "{" => 50,
        "[" => 55,
        "(" => 60,
        _ => 0,
    }
}

impl Parser {
    fn peek(&self) -> Token {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> Token {
        self.tokens
            .get(self.at + count)
            .cloned()
            .unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(match self.peek() {
            Token::End => format!("it ends where '{sign}' is missing"),
            other => format!("{} stands where '{sign}' is expected", other.shown()),
        })
    }

    fn expression(&mut self, least: u8) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let mut left = self.prefix()?;
        while power(&self.peek()) > least {
            left = self.infix(left)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Node, String> {
        let token = self.next();
        let sign = match token {
            Token::Literal(value) => return Ok(Node::Literal(value)),
            Token::Name(name) if self.eat("(") => return self.function(name),
            Token::Name(name) => return Ok(Node::Field(name)),
            Token::Quoted(_) if self.is("(") => {
                return Err("a function's name has no quotes".to_owned());
            }
            Token::Quoted(name) => return Ok(Node::Field(name)),
            Token::End => return Err("it ends where an expression is missing".to_owned()),
            Token::Number(number) => {
                return Err(format!(
                    "'{number}' isn't expected there; literals stand in backticks"
                ));
            }
            Token::Sign(sign) => sign,
        };
        match sign {
            "*" => {
                let each = if self.is("]") {
                    Node::Current
                } else {
                    self.projected(20)?
                };
                Ok(Node::EachValue(Box::new(Node::Current), Box::new(each)))
            }
            "[?" => self.filter(Node::Current),
            "{" => self.object(),
            "(" => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            "!" => Ok(Node::Not(Box::new(self.expression(45)?))),
            "[]" => self.flat(Node::Current),
            "[" => self.bracket(),
            "&" => Ok(Node::Reference(Box::new(self.expression(0)?))),
            "@" => Ok(Node::Current),
            other => Err(format!("'{other}' stands where an expression is expected")),
        }
    }

    fn infix(&mut self, left: Node) -> Result<Node, String> {
        let Token::Sign(sign) = self.next() else {
            return Err("an operator is missing".to_owned());
        };
        let base = Box::new(left);
        Ok(match sign {
            "." if self.eat("*") => Node::EachValue(base, Box::new(self.projected(20)?)),
            "." => Node::Then(base, Box::new(self.after_dot(40)?)),
            "|" => Node::Then(base, Box::new(self.expression(1)?)),
            "||" => Node::Or(base, Box::new(self.expression(2)?)),
            "&&" => Node::And(base, Box::new(self.expression(3)?)),
            "[?" => return self.filter(*base),
            "[]" => return self.flat(*base),
            "[" => return self.indexed(*base),
            other => {
                let comparison = match other {
                    "==" => Comparison::Eq,
                    "!=" => Comparison::Ne,
                    "<" => Comparison::Lt,
                    "<=" => Comparison::Le,
                    ">" => Comparison::Gt,
                    ">=" => Comparison::Ge,
                    _ => return Err(format!("'{other}' isn't expected there")),
                };
                Node::Compare(comparison, base, Box::new(self.expression(5)?))
            }
        })
    }

    fn flat(&mut self, base: Node) -> Result<Node, String> {
        let each = self.projected(9)?;
        Ok(Node::Each(
            Box::new(Node::Flat(Box::new(base))),
            Box::new(each),
        ))
    }

    fn filter(&mut self, base: Node) -> Result<Node, String> {
        let condition = Box::new(self.expression(0)?);
        self.expect("]")?;
        let each = if self.is("[]") {
            Node::Current
        } else {
            self.projected(21)?
        };
        Ok(Node::Filtered {
            base: Box::new(base),
            each: Box::new(each),
            condition,
        })
    }

    /// After `[` at the beginning of an expression.
    fn bracket(&mut self) -> Result<Node, String> {
        match self.peek() {
            Token::Number(_) | Token::Sign(":") => {
                let index = self.index()?;
                self.sliced(Node::Current, index)
            }
            Token::Sign("*") if self.ahead(1) == Token::Sign("]") => {
                self.at += 2;
                let each = self.projected(20)?;
                Ok(Node::Each(Box::new(Node::Current), Box::new(each)))
            }
            _ => self.list(),
        }
    }

    /// After `[` behind an expression.
    fn indexed(&mut self, base: Node) -> Result<Node, String> {
        if matches!(self.peek(), Token::Number(_) | Token::Sign(":")) {
            let index = self.index()?;
            return self.sliced(base, index);
        }
        self.expect("*")?;
        self.expect("]")?;
        let each = self.projected(20)?;
        Ok(Node::Each(Box::new(base), Box::new(each)))
    }

    fn sliced(&mut self, base: Node, index: Node) -> Result<Node, String> {
        let slice = matches!(index, Node::Slice(_));
        let found = Node::Then(Box::new(base), Box::new(index));
        if !slice {
            return Ok(found);
        }
        let each = self.projected(20)?;
        Ok(Node::Each(Box::new(found), Box::new(each)))
    }

    /// `3]` or `1:2:3]`.
    fn index(&mut self) -> Result<Node, String> {
        let mut parts = [None; 3];
        let mut part = 0;
        loop {
            match self.next() {
                Token::Number(number) => parts[part] = Some(number),
                Token::Sign(":") if part < 2 => part += 1,
                Token::Sign("]") => break,
                Token::End => return Err("it ends where ']' is missing".to_owned()),
                other => return Err(format!("{} stands in an index", other.shown())),
            }
        }
        match (part, parts[0]) {
            (0, Some(index)) => Ok(Node::Index(index)),
            _ if parts[2] == Some(0) => Err("a slice has the step 0".to_owned()),
            _ => Ok(Node::Slice(parts)),
        }
    }

    /// What is done with each item of a projection.
    fn projected(&mut self, least: u8) -> Result<Node, String> {
        let next = self.peek();
        if power(&next) < STOPS {
            return Ok(Node::Current);
        }
        match next {
            Token::Sign("[" | "[?") => self.expression(least),
            Token::Sign(".") => {
                self.at += 1;
                self.after_dot(least)
            }
            other => Err(format!("{} isn't expected there", other.shown())),
        }
    }

    fn after_dot(&mut self, least: u8) -> Result<Node, String> {
        match self.peek() {
            Token::Name(_) | Token::Quoted(_) | Token::Sign("*") => self.expression(least),
            Token::Sign("[") => {
                self.at += 1;
                self.list()
            }
            Token::Sign("{") => {
                self.at += 1;
                self.object()
            }
            Token::End => Err("it ends after '.'".to_owned()),
            other => Err(format!("{} stands after '.'", other.shown())),
        }
    }

    fn list(&mut self) -> Result<Node, String> {
        let mut items = vec![self.expression(0)?];
        while self.eat(",") {
            items.push(self.expression(0)?);
        }
        self.expect("]")?;
        Ok(Node::List(items))
    }

    fn object(&mut self) -> Result<Node, String> {
        let mut entries = Vec::new();
        loop {
            let name = match self.next() {
                Token::Name(name) | Token::Quoted(name) => name,
                other => return Err(format!("{} stands where a name is expected", other.shown())),
            };
            self.expect(":")?;
            entries.push((name, self.expression(0)?));
            if !self.eat(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(Node::Object(entries))
    }

    fn function(&mut self, name: String) -> Result<Node, String> {
        let mut args = Vec::new();
        while !self.is(")") {
            args.push(self.expression(0)?);
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(Node::Function(name, args))
    }
}
