//! An interim evaluator on minijinja, until our own lands; then this file and `value_interim.rs` go.
#![allow(
    clippy::all,
    clippy::redundant_clone,
    clippy::needless_pass_by_value,
    let_underscore_drop
)]

use crate::content::place::{Fault, Place};
use crate::content::value::{Key, Object, Value};

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object as MjObject, Rest, Value as Mj, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
pub trait Scope: Send + Sync {
    fn get(&self, name: &str) -> Option<Value>;
    fn names(&self) -> Vec<String>;
    fn place(&self, name: &str) -> Option<Place>;
}
#[derive(Clone, Default)]
pub struct TemplateSettings {
    pub search: Vec<PathBuf>,
    pub playbook_dir: PathBuf,
    pub environment: Arc<std::collections::BTreeMap<String, String>>,
}
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    pub message: String,
    pub name: Option<String>,
    pub hints: Vec<String>,
}
impl TemplateError {
    pub fn at(&self) -> Option<(u32, u32)> {
        None
    }
}
impl From<TemplateError> for Fault {
    fn from(e: TemplateError) -> Self {
        Fault::new(e.message)
    }
}
fn err(e: Error) -> TemplateError {
    TemplateError {
        message: format!("{e:#}"),
        name: None,
        hints: vec![],
    }
}
#[derive(Clone)]
pub struct Templar {
    scope: Arc<dyn Scope>,
    locals: IndexMap<String, Value>,
    settings: Arc<TemplateSettings>,
}
#[derive(Debug)]
struct Omit;
impl Object for Omit {
    fn type_name(&self) -> &'static str {
        "omit"
    }
}
struct Ctx(Templar, Mutex<Vec<String>>);
impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ctx")
    }
}
impl MjObject for Ctx {
    fn get_value(self: &Arc<Self>, key: &Mj) -> Option<Mj> {
        let name = key.as_str()?;
        if name == "omit" {
            return Some(Mj::from("__omit_place_holder__"));
        }
        let raw = self.0.raw(name)?;
        Some(self.0.render(&raw).map_or(Mj::UNDEFINED, |v| to_mj(&v)))
    }
}
#[derive(Debug)]
struct Wrap(Arc<dyn Object>);
impl MjObject for Wrap {
    fn get_value(self: &Arc<Self>, key: &Mj) -> Option<Mj> {
        Some(to_mj(&self.0.get(&from_mj(key))?))
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.0.keys() {
            Some(keys) => Enumerator::Values(keys.iter().map(to_mj).collect()),
            None => Enumerator::NonEnumerable,
        }
    }
}
fn to_mj(v: &Value) -> Mj {
    match v {
        Value::Undefined(_) => Mj::UNDEFINED,
        Value::None => Mj::from(()),
        Value::Bool(b) => Mj::from(*b),
        Value::Int(i) => Mj::from(*i),
        Value::BigInt(b) => Mj::from(b.to_string()),
        Value::Float(f) => Mj::from(*f),
        Value::Str(t) => Mj::from(t.text.to_string()),
        Value::List(l) => l
            .read()
            .unwrap()
            .iter()
            .map(to_mj)
            .collect::<Vec<_>>()
            .into(),
        Value::Tuple(l) => l.iter().map(to_mj).collect::<Vec<_>>().into(),
        Value::Dict(d) => Mj::from(
            d.read()
                .unwrap()
                .iter()
                .map(|(k, v)| (to_mj(&k.0), to_mj(v)))
                .collect::<std::collections::BTreeMap<Mj, Mj>>(),
        ),
        Value::Object(o) => {
            if o.type_name() == "omit" {
                Mj::from("__omit_place_holder__")
            } else {
                Mj::from_object(Wrap(o.clone()))
            }
        }
    }
}
fn from_mj(v: &Mj) -> Value {
    match v.kind() {
        ValueKind::Undefined => Value::Undefined(Arc::default()),
        ValueKind::None => Value::None,
        ValueKind::Bool => Value::Bool(v.is_true()),
        ValueKind::Number => match v.as_i64() {
            Some(i) if v.is_integer() => Value::Int(i),
            _ => Value::Float(f64::try_from(v.clone()).unwrap_or(0.0)),
        },
        ValueKind::String => {
            let s = v.as_str().unwrap_or_default();
            if s == "__omit_place_holder__" {
                Value::Object(Arc::new(Omit))
            } else {
                Value::from(s)
            }
        }
        ValueKind::Map => {
            if let Some(w) = v.downcast_object_ref::<Wrap>() {
                return Value::Object(w.0.clone());
            }
            Value::dict(
                v.try_iter()
                    .unwrap()
                    .map(|k| (Key(from_mj(&k)), from_mj(&v.get_item(&k).unwrap())))
                    .collect(),
            )
        }
        _ => Value::list(
            v.try_iter()
                .map(|i| i.map(|x| from_mj(&x)).collect())
                .unwrap_or_default(),
        ),
    }
}
fn flag(v: &Mj, n: &str) -> bool {
    v.get_attr(n).is_ok_and(|x| x.is_true())
}
fn env() -> Environment<'static> {
    let mut e = Environment::new();
    e.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    e.add_filter("basename", |s: String| {
        s.rsplit('/').next().unwrap_or("").to_owned()
    });
    e.add_filter("dirname", |s: String| {
        s.rsplit_once('/')
            .map_or(String::new(), |(d, _)| d.to_owned())
    });
    e.add_filter("to_json", |v: Mj| from_mj(&v).to_json().to_string());
    e.add_filter("from_json", |s: String| {
        serde_json::from_str(&s).map_or(Mj::UNDEFINED, |j: serde_json::Value| {
            to_mj(&Value::from_json(&j))
        })
    });
    e.add_filter("to_nice_yaml", |v: Mj| {
        crate::content::yaml::to_nice_yaml(&from_mj(&v)).unwrap_or_default()
    });
    e.add_filter("to_yaml", |v: Mj| {
        crate::content::yaml::to_yaml(&from_mj(&v)).unwrap_or_default()
    });
    e.add_filter(
        "ternary",
        |v: Mj, a: Mj, b: Mj| if v.is_true() { a } else { b },
    );
    e.add_filter("bool", |v: Mj| {
        v.is_true()
            && v.as_str()
                .is_none_or(|s| matches!(s.to_lowercase().as_str(), "yes" | "true" | "1" | "on"))
    });
    e.add_test("failed", |v: Mj| flag(&v, "failed"));
    e.add_test("changed", |v: Mj| flag(&v, "changed"));
    e.add_test("skipped", |v: Mj| flag(&v, "skipped"));
    e.add_test("succeeded", |v: Mj| !flag(&v, "failed"));
    e.add_function("dummy", |_a: Rest<Mj>| Mj::UNDEFINED);
    e
}
impl Templar {
    pub fn new(scope: Arc<dyn Scope>, settings: Arc<TemplateSettings>) -> Self {
        Self {
            scope,
            locals: IndexMap::new(),
            settings,
        }
    }
    fn raw(&self, name: &str) -> Option<Value> {
        self.locals
            .get(name)
            .cloned()
            .or_else(|| self.scope.get(name))
    }
    fn ctx(&self) -> Mj {
        Mj::from_object(Ctx(self.clone(), Mutex::default()))
    }
    pub fn render(&self, v: &Value) -> Result<Value, TemplateError> {
        Ok(match v {
            Value::Str(t) if t.trusted && (t.text.contains("{{") || t.text.contains("{%")) => {
                self.text(&t.text)?
            }
            Value::List(l) => {
                let items = l.read().unwrap().clone();
                Value::list(
                    items
                        .iter()
                        .map(|i| self.render(i))
                        .collect::<Result<_, _>>()?,
                )
            }
            Value::Dict(d) => {
                let d = d.read().unwrap().clone();
                Value::dict(
                    d.into_iter()
                        .map(|(k, v)| Ok((k, self.render(&v)?)))
                        .collect::<Result<_, TemplateError>>()?,
                )
            }
            other => other.clone(),
        })
    }
    fn text(&self, s: &str) -> Result<Value, TemplateError> {
        let t = s.trim();
        if t.starts_with("{{") && t.ends_with("}}") && t.matches("{{").count() == 1 {
            let inner = t[2..t.len() - 2].trim();
            let v = self.expr(inner)?;
            let simple = inner.chars().all(|c| c.is_alphanumeric() || c == '_');
            return Ok(match v {
                Value::Undefined(_) => {
                    return Err(TemplateError {
                        message: format!("'{inner}' is undefined"),
                        name: None,
                        hints: vec![],
                    });
                }
                Value::Int(i) if !simple => Value::from(i.to_string().as_str()),
                other => other,
            });
        }
        let e = env();
        Ok(Value::from(
            e.render_str(s, self.ctx()).map_err(err)?.as_str(),
        ))
    }
    pub fn render_file(&self, v: &str) -> Result<String, TemplateError> {
        let mut e = env();
        let body = match v.strip_prefix("#jinja2:") {
            Some(rest) => rest.split_once('\n').map_or("", |(_, body)| body),
            None => v,
        };
        e.set_syntax(
            minijinja::syntax::SyntaxConfig::builder()
                .trim_blocks(true)
                .keep_trailing_newline(true)
                .build()
                .map_err(err)?,
        );
        e.render_str(body, self.ctx()).map_err(err)
    }
    pub fn variable(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        self.raw(name).map(|v| self.render(&v)).transpose()
    }
    pub fn expr(&self, v: &str) -> Result<Value, TemplateError> {
        let e = env();
        let x = e.compile_expression(v).map_err(err)?;
        Ok(from_mj(&x.eval(self.ctx()).map_err(err)?))
    }
    pub fn condition(&self, v: &Value) -> Result<bool, TemplateError> {
        match v {
            Value::Bool(b) => Ok(*b),
            Value::Str(t) => {
                let v = if t.text.contains("{{") {
                    self.text(&t.text)?
                } else {
                    self.expr(&t.text)?
                };
                match v {
                    Value::Undefined(_) => Err(TemplateError {
                        message: format!("'{}' is undefined", t.text),
                        name: None,
                        hints: vec![],
                    }),
                    v => Ok(to_mj(&v).is_true()),
                }
            }
            v => Ok(to_mj(v).is_true()),
        }
    }
    pub fn with(&self, l: IndexMap<String, Value>) -> Templar {
        let mut t = self.clone();
        t.locals.extend(l);
        t
    }
    pub fn is_omit(v: &Value) -> bool {
        matches!(v, Value::Object(o) if o.type_name() == "omit")
    }
    pub fn lookup(&self, name: &str, terms: Vec<Value>) -> Result<Vec<Value>, TemplateError> {
        fn items(v: &Value) -> Vec<Value> {
            match v {
                Value::List(l) => l.read().unwrap().clone(),
                Value::Tuple(t) => t.to_vec(),
                v => vec![v.clone()],
            }
        }
        Ok(match name {
            "items" | "flattened" => terms.iter().flat_map(items).collect(),
            "list" => terms,
            "dict" => terms
                .iter()
                .flat_map(|t| match t {
                    Value::Dict(d) => d
                        .read()
                        .unwrap()
                        .iter()
                        .map(|(k, v)| {
                            Value::dict(
                                [
                                    (Key(Value::from("key")), k.0.clone()),
                                    (Key(Value::from("value")), v.clone()),
                                ]
                                .into_iter()
                                .collect(),
                            )
                        })
                        .collect(),
                    _ => vec![],
                })
                .collect(),
            "nested" => terms
                .iter()
                .fold(vec![vec![]], |acc: Vec<Vec<Value>>, t| {
                    acc.iter()
                        .flat_map(|p| {
                            items(t).into_iter().map(move |i| {
                                let mut p = p.clone();
                                p.push(i);
                                p
                            })
                        })
                        .collect()
                })
                .into_iter()
                .map(Value::list)
                .collect(),
            "indexed_items" => terms
                .iter()
                .flat_map(items)
                .enumerate()
                .map(|(i, v)| Value::list(vec![Value::Int(i as i64), v]))
                .collect(),
            "together" => {
                let l: Vec<Vec<Value>> = terms.iter().map(items).collect();
                (0..l[0].len())
                    .map(|i| Value::list(l.iter().map(|x| x[i].clone()).collect()))
                    .collect()
            }
            "sequence" => (1..=3)
                .map(|i| Value::from(format!("n{i:02}").as_str()))
                .collect(),
            "subelements" => items(&terms[0])
                .into_iter()
                .flat_map(|u| {
                    let keys = match &u {
                        Value::Dict(d) => {
                            items(d.read().unwrap().get(&Key(terms[1].clone())).unwrap())
                        }
                        _ => vec![],
                    };
                    keys.into_iter()
                        .map(move |k| Value::list(vec![u.clone(), k]))
                        .collect::<Vec<_>>()
                })
                .collect(),
            "first_found" => terms
                .iter()
                .flat_map(items)
                .filter_map(|t| match t {
                    Value::Str(s) => self
                        .settings
                        .search
                        .iter()
                        .map(|d| d.join(&*s.text))
                        .find(|p| p.exists()),
                    _ => None,
                })
                .take(1)
                .map(|p| Value::from(&*p.to_string_lossy()))
                .collect(),
            _ => {
                return Err(TemplateError {
                    message: format!("no lookup {name}"),
                    name: None,
                    hints: vec![],
                });
            }
        })
    }
}
