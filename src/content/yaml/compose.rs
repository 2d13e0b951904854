//! From libyaml's events to a tree: anchors, merge keys, tags, duplicate keys, depth.

use super::guard::guarded;
use super::node::{Kind, Node};
use super::resolve::{self, Scalar};
use super::{syntax, timestamp};
use crate::content::place::{Fault, Place};
use base64::Engine;
use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};
use num_bigint::BigInt;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

/// Deepest nesting that is read, aliases followed. PyYAML gives up at a few hundred with Python's recursion limit.
const MAX_DEPTH: u32 = 200;

/// A node, and how deep what is below it goes (1: a scalar).
#[derive(Clone)]
struct Built {
    node: Node,
    height: u32,
}

enum Anchor {
    /// Its node isn't complete: an alias here would make the value contain itself.
    Open(Place),
    Done(Built),
}

/// Tag, as far as it decides what a node becomes.
enum Tag {
    None,
    Null,
    Bool,
    Int,
    Float,
    Str,
    Timestamp,
    Binary,
    Seq,
    Map,
    /// Of Ansible: kept on the node.
    Kept(Arc<str>),
}

pub struct Composer<'a> {
    parser: Parser<&'a mut &'a [u8]>,
    text: &'a str,
    file: &'a Arc<Path>,
    /// Where the last event ended.
    read: Mark,
    anchors: HashMap<String, Anchor>,
    warnings: &'a mut Vec<Fault>,
    /// Numbers are typed as in JSON.
    json: bool,
}

/// The text with an end of its last line: libyaml-safer 0.3 panics on a block scalar whose last line has none.
/// [`Composer`] takes that end away again.
pub fn ended(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{text}\n"))
    }
}

impl<'a> Composer<'a> {
    /// `input` is `text`, or what [`ended`] makes of it.
    pub fn new(
        text: &'a str,
        input: &'a mut &'a [u8],
        file: &'a Arc<Path>,
        warnings: &'a mut Vec<Fault>,
    ) -> Self {
        let mut parser = Parser::new();
        parser.set_input(input);
        Self {
            parser,
            text,
            file,
            read: Mark::default(),
            anchors: HashMap::new(),
            warnings,
            json: false,
        }
    }

    /// For text that is known to be JSON.
    pub fn json(&mut self) -> &mut Self {
        self.json = true;
        self
    }

    /// All documents.
    pub fn documents(&mut self) -> Result<Vec<Node>, Fault> {
        let mut documents = Vec::new();
        loop {
            let event = self.event()?;
            match event.data {
                EventData::StreamEnd => return Ok(documents),
                EventData::DocumentStart { .. } => {
                    self.anchors.clear();
                    let first = self.event()?;
                    documents.push(self.node(first, 1)?.node);
                }
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event, Fault> {
        match guarded(|| self.parser.parse()) {
            Some(Ok(mut event)) => {
                self.read = event.end_mark;
                self.take_added_end(&mut event);
                Ok(event)
            }
            Some(Err(error)) => Err(syntax::fault(&error, self.text, self.file)),
            None => Err(Fault::new("this can't be read as YAML")
                .at(&self.place(self.read))
                .hint("the mistake is at this place or soon after it; a tag (!name) must be followed by a space")),
        }
    }

    /// A block scalar at the very end of a text whose last line isn't ended has no newline there either.
    fn take_added_end(&self, event: &mut Event) {
        let beyond = event.end_mark.index > self.text.len() as u64;
        let blank = |text: &str| {
            text.lines()
                .next_back()
                .is_none_or(|line| line.trim().is_empty())
        };
        if let EventData::Scalar {
            value,
            style: ScalarStyle::Literal | ScalarStyle::Folded,
            ..
        } = &mut event.data
            && beyond
            && !blank(self.text)
            && value.ends_with('\n')
        {
            value.pop();
        }
    }

    fn place(&self, mark: Mark) -> Place {
        let count = |value: u64| u32::try_from(value + 1).unwrap_or(u32::MAX);
        Place::new(self.file, count(mark.line), count(mark.column))
    }

    fn node(&mut self, event: Event, depth: u32) -> Result<Built, Fault> {
        let place = self.place(event.start_mark);
        if depth > MAX_DEPTH {
            return Err(too_deep(&place));
        }
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, &place, depth),
            EventData::Scalar {
                anchor,
                tag,
                value,
                plain_implicit,
                ..
            } => {
                let mut node = scalar(value, tag.as_deref(), plain_implicit, place)?;
                if self.json
                    && plain_implicit
                    && let Some(value) = node.as_str().and_then(|text| text.parse().ok())
                {
                    node.kind = Kind::Float(value);
                }
                Ok(self.built(anchor, Built { node, height: 1 }))
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                self.open(anchor.as_ref(), &place);
                let built = self.sequence(tag.as_deref(), place, depth)?;
                Ok(self.built(anchor, built))
            }
            EventData::MappingStart { anchor, tag, .. } => {
                self.open(anchor.as_ref(), &place);
                let built = self.mapping(tag.as_deref(), place, depth)?;
                Ok(self.built(anchor, built))
            }
            other => Err(Fault::new(format!("unexpected {other:?} in YAML")).at(&place)),
        }
    }

    fn alias(&self, name: &str, place: &Place, depth: u32) -> Result<Built, Fault> {
        match self.anchors.get(name) {
            Some(Anchor::Done(built)) if depth + built.height > MAX_DEPTH => Err(too_deep(place)),
            Some(Anchor::Done(built)) => Ok(built.clone()),
            Some(Anchor::Open(anchor)) => Err(Fault::new(format!(
                "alias `*{name}` stands inside the value of its own anchor `&{name}` (line {})",
                anchor.line
            ))
            .at(place)
            .hint("a value can't contain itself")),
            None => {
                let mut names: Vec<&str> = self.anchors.keys().map(String::as_str).collect();
                names.sort_unstable();
                let known = if names.is_empty() {
                    "no anchor is defined above this line".to_owned()
                } else {
                    format!("anchors defined above: {}", names.join(", "))
                };
                Err(
                    Fault::new(format!("alias `*{name}` has no anchor `&{name}` before it"))
                        .at(place)
                        .hint(known)
                        .hint("text that starts with `*` must be quoted"),
                )
            }
        }
    }

    fn open(&mut self, anchor: Option<&String>, place: &Place) {
        if let Some(name) = anchor {
            self.anchors
                .insert(name.clone(), Anchor::Open(place.clone()));
        }
    }

    fn built(&mut self, anchor: Option<String>, built: Built) -> Built {
        if let Some(name) = anchor {
            self.anchors.insert(name, Anchor::Done(built.clone()));
        }
        built
    }

    fn sequence(&mut self, tag: Option<&str>, place: Place, depth: u32) -> Result<Built, Fault> {
        let tag = match known_tag(tag, &place)? {
            Tag::None | Tag::Seq => None,
            Tag::Kept(tag) if &*tag == Node::UNSAFE => Some(tag),
            _ => return Err(wrong_tag(tag, "a list", &place)),
        };
        let mut items = Vec::new();
        let mut height = 0;
        loop {
            let event = self.event()?;
            if matches!(event.data, EventData::SequenceEnd) {
                break;
            }
            let item = self.node(event, depth + 1)?;
            height = height.max(item.height);
            items.push(item.node);
        }
        let node = Node {
            place,
            tag,
            kind: Kind::Seq(items.into()),
        };
        Ok(Built {
            node,
            height: height + 1,
        })
    }

    fn mapping(&mut self, tag: Option<&str>, place: Place, depth: u32) -> Result<Built, Fault> {
        let tag = match known_tag(tag, &place)? {
            Tag::None | Tag::Map => None,
            Tag::Kept(tag) if &*tag == Node::UNSAFE => Some(tag),
            _ => return Err(wrong_tag(tag, "a mapping", &place)),
        };
        let mut merged = Vec::new();
        let mut own = Vec::new();
        let mut height = 0;
        loop {
            let event = self.event()?;
            if matches!(event.data, EventData::MappingEnd) {
                break;
            }
            let merge = is_merge_key(&event);
            let key = self.node(event, depth + 1)?.node;
            let event = self.event()?;
            let value = self.node(event, depth + 1)?;
            height = height.max(value.height);
            if merge {
                merge_into(&mut merged, &value.node, &key)?;
            } else {
                own.push((key, value.node));
            }
        }
        let entries = self.unique(merged, own)?;
        let node = Node {
            place,
            tag,
            kind: Kind::Map(entries.into()),
        };
        Ok(Built {
            node,
            height: height + 1,
        })
    }

    /// Every key once, at its first position and with its last value, as a Python dict. A key that was written twice
    /// is a warning; one that overrides a merged key is what merging is for.
    fn unique(
        &mut self,
        merged: Vec<(Node, Node)>,
        own: Vec<(Node, Node)>,
    ) -> Result<Vec<(Node, Node)>, Fault> {
        let mut entries: Vec<(Node, Node)> = Vec::with_capacity(merged.len() + own.len());
        let mut seen: HashMap<Identity, (usize, bool)> = HashMap::with_capacity(own.len());
        let merged = merged.into_iter().map(|entry| (entry, false));
        let own = own.into_iter().map(|entry| (entry, true));
        for ((key, value), is_own) in merged.chain(own) {
            let identity = Identity::of(&key).ok_or_else(|| unhashable(&key, self.text))?;
            match seen.entry(identity) {
                Entry::Vacant(vacant) => {
                    vacant.insert((entries.len(), is_own));
                    entries.push((key, value));
                }
                Entry::Occupied(mut occupied) => {
                    let (position, was_own) = occupied.insert((occupied.get().0, is_own));
                    if was_own && is_own {
                        let warning = duplicate(&key, &entries[position].0.place);
                        self.warnings.push(warning);
                    }
                    // As in a Python dict the first key stays (1 and True are one key); it now stands where its value does.
                    let first = &mut entries[position];
                    first.0.place = key.place;
                    first.1 = value;
                }
            }
        }
        Ok(entries)
    }
}

/// A plain, untagged `<<`, or one that is tagged as a merge key.
fn is_merge_key(event: &Event) -> bool {
    match &event.data {
        EventData::Scalar {
            tag,
            value,
            plain_implicit,
            ..
        } => match tag.as_deref() {
            None | Some("!") => *plain_implicit && value == "<<",
            Some(tag) => tag == "tag:yaml.org,2002:merge",
        },
        _ => false,
    }
}

/// Appends what a merge key brings. Of a list of mappings the first one wins, so it comes last.
fn merge_into(merged: &mut Vec<(Node, Node)>, source: &Node, key: &Node) -> Result<(), Fault> {
    let refuse = |node: &Node| {
        Fault::new(format!(
            "a merge key `<<` takes a mapping or a list of mappings, this is {}",
            node.describe()
        ))
        .at(&node.place)
        .hint(format!("the merge key is at {}", key.place))
    };
    match &source.kind {
        Kind::Map(entries) => merged.extend(entries.iter().cloned()),
        Kind::Seq(sources) => {
            for source in sources.iter().rev() {
                match &source.kind {
                    Kind::Map(entries) => merged.extend(entries.iter().cloned()),
                    _ => return Err(refuse(source)),
                }
            }
        }
        _ => return Err(refuse(source)),
    }
    Ok(())
}

/// What makes two keys one, as Python hashes and compares: 1, 1.0 and True are the same key.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Null,
    Int(i64),
    Big(Arc<BigInt>),
    Float(u64),
    Str(Arc<str>),
}

impl Identity {
    /// None for containers, which can't be keys.
    fn of(key: &Node) -> Option<Self> {
        Some(match &key.kind {
            Kind::Null => Self::Null,
            Kind::Bool(value) => Self::Int(i64::from(*value)),
            Kind::Int(value) => Self::Int(*value),
            Kind::BigInt(value) => Self::Big(Arc::clone(value)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be whole and small"
            )]
            Kind::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
                Self::Int(*value as i64)
            }
            Kind::Float(value) => Self::Float(value.to_bits()),
            Kind::Str(text) => Self::Str(Arc::clone(text)),
            Kind::Seq(_) | Kind::Map(_) => return None,
        })
    }
}

fn scalar(value: String, tag: Option<&str>, plain: bool, place: Place) -> Result<Node, Fault> {
    let wrong = |place: &Place| {
        let start: String = value.chars().take(40).collect();
        wrong_tag(tag, &format!("`{start}`"), place)
    };
    let mut kept = None;
    let kind =
        match known_tag(tag, &place)? {
            Tag::None if plain => match resolve::plain(&value) {
                Scalar::Timestamp => {
                    kept = Some(Arc::from(Node::TIMESTAMP));
                    Kind::Str(timestamp::printed(&value).into())
                }
                scalar => kind_of(scalar, value),
            },
            Tag::None | Tag::Str => Kind::Str(value.into()),
            Tag::Null => Kind::Null,
            Tag::Bool => Kind::Bool(resolve::tagged_bool(&value).ok_or_else(|| wrong(&place))?),
            Tag::Int => {
                let scalar = resolve::tagged_int(&value).ok_or_else(|| wrong(&place))?;
                kind_of(scalar, value)
            }
            Tag::Float => Kind::Float(resolve::tagged_float(&value).ok_or_else(|| wrong(&place))?),
            Tag::Timestamp => {
                kept = Some(Arc::from(Node::TIMESTAMP));
                Kind::Str(timestamp::printed(&value).into())
            }
            Tag::Binary => Kind::Str(binary(&value).ok_or_else(|| {
                wrong(&place).hint("only base64 of UTF-8 text can be a value here")
            })?),
            Tag::Kept(tag) => {
                kept = Some(tag);
                Kind::Str(value.into())
            }
            Tag::Seq | Tag::Map => return Err(wrong(&place)),
        };
    Ok(Node {
        place,
        tag: kept,
        kind,
    })
}

fn kind_of(scalar: Scalar, text: String) -> Kind {
    match scalar {
        Scalar::Null => Kind::Null,
        Scalar::Bool(value) => Kind::Bool(value),
        Scalar::Int(value) => Kind::Int(value),
        Scalar::BigInt(value) => Kind::BigInt(value),
        Scalar::Float(value) => Kind::Float(value),
        Scalar::Timestamp | Scalar::Merge | Scalar::Str => Kind::Str(text.into()),
    }
}

fn binary(text: &str) -> Option<Arc<str>> {
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .ok()?;
    Some(String::from_utf8(bytes).ok()?.into())
}

fn known_tag(tag: Option<&str>, place: &Place) -> Result<Tag, Fault> {
    let Some(tag) = tag.filter(|tag| *tag != "!") else {
        return Ok(Tag::None);
    };
    Ok(match tag.strip_prefix("tag:yaml.org,2002:") {
        Some("null") => Tag::Null,
        Some("bool") => Tag::Bool,
        Some("int") => Tag::Int,
        Some("float") => Tag::Float,
        Some("str" | "python/unicode" | "merge" | "value") => Tag::Str,
        Some("timestamp") => Tag::Timestamp,
        Some("binary") => Tag::Binary,
        Some("seq") => Tag::Seq,
        Some("map" | "python/dict") => Tag::Map,
        Some(other) => {
            return Err(Fault::new(format!("the YAML tag `!!{other}` isn't supported"))
                .at(place)
                .hint("known tags: !!str !!int !!float !!bool !!null !!timestamp !!binary !!seq !!map"));
        }
        None if matches!(tag, Node::VAULT | "!vault-encrypted") => {
            Tag::Kept(Arc::from(Node::VAULT))
        }
        None if tag == Node::UNSAFE => Tag::Kept(Arc::from(tag)),
        None => {
            return Err(Fault::new(format!("unknown YAML tag `{tag}`"))
                .at(place)
                .hint("tags of Ansible: !vault and !unsafe")
                .hint("text that starts with `!` must be quoted"));
        }
    })
}

fn wrong_tag(tag: Option<&str>, what: &str, place: &Place) -> Fault {
    let tag = tag.unwrap_or_default();
    let tag = match tag.strip_prefix("tag:yaml.org,2002:") {
        Some(short) => format!("!!{short}"),
        None => tag.to_owned(),
    };
    Fault::new(format!("the YAML tag `{tag}` doesn't fit {what}")).at(place)
}

fn too_deep(place: &Place) -> Fault {
    Fault::new(format!(
        "this is nested more than {MAX_DEPTH} levels deep (aliases included)"
    ))
    .at(place)
    .hint("check for a run of opening brackets or for aliases of aliases")
}

fn duplicate(key: &Node, first: &Place) -> Fault {
    let name = match &key.kind {
        Kind::Str(text) => text.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Bool(value) => value.to_string(),
        _ => key.describe().to_owned(),
    };
    Fault::new(format!(
        "duplicate key `{name}`: the last value wins, the one at line {}, column {} is lost",
        first.line, first.column
    ))
    .at(&key.place)
    .hint(format!("remove one of them; the first is at {first}"))
}

/// A container as key: nearly always an unquoted `{{ template }}`.
fn unhashable(key: &Node, text: &str) -> Fault {
    let fault = Fault::new(format!("{} can't be the key of a mapping", key.describe()));
    if let Some(line) = syntax::line(text, key.place.line) {
        let column = key.place.column.saturating_sub(2) as usize;
        let before: String = line.chars().skip(column).take(2).collect();
        if before == "{{" {
            return Fault::new("a value that starts with `{{` must be quoted")
                .at(&Place {
                    column: key.place.column.saturating_sub(1),
                    ..key.place.clone()
                })
                .hint(syntax::quote_template_hint(line));
        }
    }
    fault.at(&key.place)
}
