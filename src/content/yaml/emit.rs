//! Writing YAML, byte for byte as Ansible's `to_yaml` and `to_nice_yaml`: PyYAML's representer and serializer in front
//! of libyaml's emitter, which PyYAML uses itself where it is built with it.

use super::astral::Disguise;
use super::resolve::{self, Scalar};
use crate::content::place::Fault;
use crate::content::value::{Key, Value};
use indexmap::IndexMap;
use libyaml_safer::{Break, Emitter, Encoding, Event, MappingStyle, ScalarStyle, SequenceStyle};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

const NULL: &str = "tag:yaml.org,2002:null";
const BOOL: &str = "tag:yaml.org,2002:bool";
const INT: &str = "tag:yaml.org,2002:int";
const FLOAT: &str = "tag:yaml.org,2002:float";
const STR: &str = "tag:yaml.org,2002:str";
const SEQ: &str = "tag:yaml.org,2002:seq";
const MAP: &str = "tag:yaml.org,2002:map";

/// Deepest nesting that is written; a container that holds itself is shown by an alias and ends there.
const MAX_DEPTH: u32 = 200;

/// The keyword arguments of `yaml.dump` that Ansible's filters pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// Spaces per level, 2 to 9; others are taken as 2.
    pub indent: Option<i32>,
    /// Column where lines are folded; None is 80, and a negative one never folds.
    pub width: Option<i32>,
    pub sort_keys: bool,
    /// Some(false): blocks; Some(true): brackets; None: brackets for containers that hold only plain scalars.
    pub flow: Option<bool>,
    /// Style of all scalars: `'`, `"` or `|`.
    pub scalars: Option<char>,
    /// Text of several lines in `|` style, as Ansible's callbacks show it; Some(true): also what that style can't hold,
    /// which then loses spaces, tabs and control characters.
    pub blocks: Option<bool>,
    pub explicit_start: bool,
    pub explicit_end: bool,
}

impl Style {
    /// What `to_yaml` uses when it is given no arguments.
    pub const YAML: Self = Self {
        indent: None,
        width: None,
        sort_keys: true,
        flow: None,
        scalars: None,
        blocks: None,
        explicit_start: false,
        explicit_end: false,
    };

    /// What `to_nice_yaml` uses when it is given no arguments.
    pub const NICE: Self = Self {
        indent: Some(4),
        flow: Some(false),
        ..Self::YAML
    };
}

/// As the filter `to_yaml` without arguments.
pub fn to_yaml(value: &Value) -> Result<String, Fault> {
    dump(value, &Style::YAML)
}

/// As the filter `to_nice_yaml` without arguments.
pub fn to_nice_yaml(value: &Value) -> Result<String, Fault> {
    dump(value, &Style::NICE)
}

/// As `yaml.dump(value, Dumper=AnsibleDumper, allow_unicode=True, …)`. A list or dictionary that occurs several times
/// (the same object, not an equal one) is written once with an anchor.
pub fn dump(value: &Value, style: &Style) -> Result<String, Fault> {
    if let Some(other) = style
        .scalars
        .filter(|style| !matches!(style, '\'' | '"' | '|'))
    {
        return Err(
            Fault::new(format!("default_style='{other}' isn't supported"))
                .hint("known styles: single quotes, double quotes and `|`"),
        );
    }
    let mut representer = Representer {
        style,
        nodes: Vec::new(),
        known: HashMap::new(),
    };
    let root = representer.node(value, 0)?;
    let mut output = Vec::new();
    let mut emitter = Emitter::new();
    emitter.set_output_string(&mut output);
    emitter.set_unicode(true);
    emitter.set_break(Break::Ln);
    if let Some(indent) = style.indent {
        emitter.set_indent(indent);
    }
    if let Some(width) = style.width {
        emitter.set_width(width);
    }
    let texts = representer.nodes.iter().filter_map(|node| match node {
        Repr::Scalar { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    let mut serializer = Serializer {
        disguise: Disguise::for_texts(&texts),
        anchors: anchors(&representer.nodes, root),
        written: vec![false; representer.nodes.len()],
        nodes: representer.nodes,
        blocks: false,
        emitter,
    };
    serializer
        .document(root, style)
        .map_err(|error| Fault::new(format!("cannot write this value as YAML: {error}")))?;
    let disguise = serializer.disguise;
    drop(serializer.emitter);
    String::from_utf8(output)
        .map(|text| disguise.reveal(text))
        .map_err(|error| Fault::new(format!("YAML isn't UTF-8: {error}")))
}

/// What PyYAML's representer makes of a value. Nodes name each other by index, so that shared ones stay one.
enum Repr {
    Scalar {
        tag: &'static str,
        text: String,
    },
    Seq {
        items: Vec<usize>,
        flow: bool,
    },
    Map {
        entries: Vec<(usize, usize)>,
        flow: bool,
    },
}

struct Representer<'a> {
    style: &'a Style,
    nodes: Vec<Repr>,
    /// Containers by address.
    known: HashMap<usize, usize>,
}

impl Representer<'_> {
    fn node(&mut self, value: &Value, depth: u32) -> Result<usize, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::new(format!(
                "this value is nested more than {MAX_DEPTH} levels deep"
            )));
        }
        Ok(match value {
            Value::None => self.scalar(NULL, "null".to_owned()),
            Value::Bool(true) => self.scalar(BOOL, "true".to_owned()),
            Value::Bool(false) => self.scalar(BOOL, "false".to_owned()),
            Value::Int(value) => self.scalar(INT, value.to_string()),
            Value::BigInt(value) => self.scalar(INT, value.to_string()),
            Value::Float(value) => self.scalar(FLOAT, float(*value)),
            Value::Str(text) => match self.style.blocks {
                Some(true) if is_block(&text.text) => self.scalar(STR, for_block(&text.text)),
                _ => self.scalar(STR, text.text.to_string()),
            },
            Value::List(items) => {
                let address = Arc::as_ptr(items).cast::<()>() as usize;
                let items = items.read().unwrap_or_else(PoisonError::into_inner).clone();
                self.seq(Some(address), &items, depth)?
            }
            Value::Tuple(items) => {
                let address = Arc::as_ptr(items).cast::<()>() as usize;
                self.seq((!items.is_empty()).then_some(address), items, depth)?
            }
            Value::Dict(entries) => {
                let address = Arc::as_ptr(entries).cast::<()>() as usize;
                let entries = entries
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                self.map(address, entries, depth)?
            }
            Value::Undefined(missing) => {
                return Err(Fault::new(format!("'{}' is undefined", missing.name)));
            }
            Value::Object(object) => self.object(&**object, depth)?,
        })
    }

    fn push(&mut self, node: Repr) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn scalar(&mut self, tag: &'static str, text: String) -> usize {
        self.push(Repr::Scalar { tag, text })
    }

    /// Whether a node leaves its parent in brackets when the style is left to the content.
    fn is_plain(&self, node: usize) -> bool {
        matches!(self.nodes[node], Repr::Scalar { .. }) && self.style.scalars.is_none()
    }

    fn seq(&mut self, address: Option<usize>, items: &[Value], depth: u32) -> Result<usize, Fault> {
        if let Some(node) = address.and_then(|address| self.known.get(&address)) {
            return Ok(*node);
        }
        let node = self.push(Repr::Seq {
            items: Vec::new(),
            flow: false,
        });
        self.known.extend(address.map(|address| (address, node)));
        let items = items.iter().map(|item| self.node(item, depth + 1));
        let items: Vec<usize> = items.collect::<Result<_, _>>()?;
        let flow = items.iter().all(|item| self.is_plain(*item));
        let flow = self.style.flow.unwrap_or(flow);
        self.nodes[node] = Repr::Seq { items, flow };
        Ok(node)
    }

    fn map(
        &mut self,
        address: usize,
        entries: IndexMap<Key, Value>,
        depth: u32,
    ) -> Result<usize, Fault> {
        if let Some(node) = self.known.get(&address) {
            return Ok(*node);
        }
        let node = self.push(Repr::Map {
            entries: Vec::new(),
            flow: false,
        });
        self.known.insert(address, node);
        let mut entries: Vec<(Key, Value)> = entries.into_iter().collect();
        if self.style.sort_keys && comparable(&entries) {
            entries.sort_by(|(one, _), (other, _)| {
                compare(&one.0, &other.0).unwrap_or(Ordering::Equal)
            });
        }
        let mut nodes = Vec::with_capacity(entries.len());
        for (key, value) in &entries {
            nodes.push((self.node(&key.0, depth + 1)?, self.node(value, depth + 1)?));
        }
        let flow = nodes
            .iter()
            .all(|(key, value)| self.is_plain(*key) && self.is_plain(*value));
        let flow = self.style.flow.unwrap_or(flow);
        self.nodes[node] = Repr::Map {
            entries: nodes,
            flow,
        };
        Ok(node)
    }

    /// Mappings with behaviour (hostvars) are written as mappings, sequences as lists.
    fn object(
        &mut self,
        object: &dyn crate::content::value::Object,
        depth: u32,
    ) -> Result<usize, Fault> {
        if let Some(keys) = object.keys() {
            let entries = keys.into_iter().map(|key| {
                let value = object.get(&key).unwrap_or(Value::None);
                (Key(key), value)
            });
            let address = std::ptr::from_ref(object).cast::<()>() as usize;
            return self.map(address, entries.collect(), depth);
        }
        if let Some(items) = object.items() {
            return self.seq(None, &items, depth);
        }
        Err(Fault::new(format!(
            "cannot represent an object: {}",
            object.type_name()
        )))
    }
}

/// Text that is shown in a block where the style asks for that.
fn is_block(text: &str) -> bool {
    text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Text as a block can hold it: no tabs, nothing that isn't printed, and no spaces before an end of a line.
fn for_block(text: &str) -> String {
    let printed = |c: &char| {
        matches!(*c, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
            && *c != '\u{feff}'
            || *c > '\u{ffff}'
    };
    let mut out = String::new();
    let mut column = 0;
    for c in text.trim_end().chars() {
        match c {
            '\t' => {
                let width = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    let mut found = String::new();
    for c in out.chars().filter(printed) {
        if is_block(c.encode_utf8(&mut [0; 4])) {
            found.truncate(found.trim_end_matches(' ').len());
        }
        found.push(c);
    }
    found
}

/// True when Python could sort these keys: all numbers, all text, or all tuples of such.
fn comparable(entries: &[(Key, Value)]) -> bool {
    entries
        .windows(2)
        .all(|pair| compare(&pair[0].0.0, &pair[1].0.0).is_some())
}

/// Python's order of two keys; None where Python raises an error.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Str(one), Value::Str(other)) => Some(one.text.cmp(&other.text)),
        (Value::Tuple(one), Value::Tuple(other)) => {
            for (one, other) in one.iter().zip(other.iter()) {
                match compare(one, other)? {
                    Ordering::Equal => {}
                    order => return Some(order),
                }
            }
            Some(one.len().cmp(&other.len()))
        }
        (Value::None, Value::None) => Some(Ordering::Equal),
        _ => {
            if let (Some(one), Some(other)) = (integer(one), integer(other)) {
                return Some(one.cmp(&other));
            }
            number(one)?.partial_cmp(&number(other)?)
        }
    }
}

fn integer(value: &Value) -> Option<num_bigint::BigInt> {
    match value {
        Value::Bool(value) => Some(i64::from(*value).into()),
        Value::Int(value) => Some((*value).into()),
        Value::BigInt(value) => Some((**value).clone()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        other => num_traits::ToPrimitive::to_f64(&integer(other)?),
    }
}

/// A float as PyYAML writes it: Python's `repr`, with `.0` before a bare exponent.
fn float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let fixed = format!("{value}");
        return if fixed.contains('.') {
            fixed
        } else {
            format!("{fixed}.0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}e{sign}{:02}", exponent.abs())
}

/// Anchors of nodes that occur more than once below the root, numbered in the order in which they are found to.
fn anchors(nodes: &[Repr], root: usize) -> Vec<Option<String>> {
    fn visit(
        nodes: &[Repr],
        node: usize,
        seen: &mut [bool],
        state: &mut (Vec<Option<String>>, u32),
    ) {
        if seen[node] {
            if state.0[node].is_none() {
                state.1 += 1;
                state.0[node] = Some(format!("id{:03}", state.1));
            }
            return;
        }
        seen[node] = true;
        match &nodes[node] {
            Repr::Scalar { .. } => {}
            Repr::Seq { items, .. } => {
                for item in items {
                    visit(nodes, *item, seen, state);
                }
            }
            Repr::Map { entries, .. } => {
                for (key, value) in entries {
                    visit(nodes, *key, seen, state);
                    visit(nodes, *value, seen, state);
                }
            }
        }
    }
    let mut state = (vec![None; nodes.len()], 0);
    visit(nodes, root, &mut vec![false; nodes.len()], &mut state);
    state.0
}

struct Serializer<'w> {
    nodes: Vec<Repr>,
    anchors: Vec<Option<String>>,
    written: Vec<bool>,
    disguise: Disguise,
    blocks: bool,
    emitter: Emitter<'w>,
}

impl Serializer<'_> {
    fn document(&mut self, root: usize, style: &Style) -> libyaml_safer::Result<()> {
        self.emitter.emit(Event::stream_start(Encoding::Utf8))?;
        self.emitter
            .emit(Event::document_start(None, &[], !style.explicit_start))?;
        self.blocks = style.blocks.is_some();
        self.node(root, style.scalars)?;
        self.emitter
            .emit(Event::document_end(!style.explicit_end))?;
        self.emitter.emit(Event::stream_end())?;
        self.emitter.flush()
    }

    fn node(&mut self, node: usize, scalars: Option<char>) -> libyaml_safer::Result<()> {
        let anchor = self.anchors[node].clone();
        if let (true, Some(anchor)) = (self.written[node], &anchor) {
            return self.emitter.emit(Event::alias(anchor));
        }
        self.written[node] = true;
        let anchor = anchor.as_deref();
        match &self.nodes[node] {
            Repr::Scalar { tag, text } => {
                let text = self.disguise.hide(text);
                let block = self.blocks && *tag == STR && is_block(&text);
                let scalars = if block { Some('|') } else { scalars };
                let event = scalar_event(anchor, tag, &text, scalars);
                self.emitter.emit(event)
            }
            Repr::Seq { items, flow } => {
                let style = if *flow {
                    SequenceStyle::Flow
                } else {
                    SequenceStyle::Block
                };
                let items = items.clone();
                let start = Event::sequence_start(anchor, Some(SEQ), true, style);
                self.emitter.emit(start)?;
                for item in items {
                    self.node(item, scalars)?;
                }
                self.emitter.emit(Event::sequence_end())
            }
            Repr::Map { entries, flow } => {
                let style = if *flow {
                    MappingStyle::Flow
                } else {
                    MappingStyle::Block
                };
                let entries = entries.clone();
                let start = Event::mapping_start(anchor, Some(MAP), true, style);
                self.emitter.emit(start)?;
                for (key, value) in entries {
                    self.node(key, scalars)?;
                    self.node(value, scalars)?;
                }
                self.emitter.emit(Event::mapping_end())
            }
        }
    }
}

fn scalar_event(anchor: Option<&str>, tag: &str, text: &str, style: Option<char>) -> Event {
    let style = match style {
        Some('\'') => ScalarStyle::SingleQuoted,
        Some('"') => ScalarStyle::DoubleQuoted,
        Some('|') => ScalarStyle::Literal,
        _ => ScalarStyle::Plain,
    };
    let plain = resolved_tag(text) == tag;
    Event::scalar(anchor, Some(tag), text, plain, tag == STR, style)
}

/// The tag that PyYAML would give this text if it were plain. Its `$` also matches before a final line break.
fn resolved_tag(text: &str) -> &'static str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    match resolve::plain(text) {
        Scalar::Null => NULL,
        Scalar::Bool(_) => BOOL,
        Scalar::Int(_) | Scalar::BigInt(_) => INT,
        Scalar::Float(_) => FLOAT,
        Scalar::Timestamp => "tag:yaml.org,2002:timestamp",
        Scalar::Merge => "tag:yaml.org,2002:merge",
        Scalar::Str if text == "=" => "tag:yaml.org,2002:value",
        Scalar::Str if matches!(text, "!" | "&" | "*") => "tag:yaml.org,2002:yaml",
        Scalar::Str => STR,
    }
}
