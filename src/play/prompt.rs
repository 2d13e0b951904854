//! `vars_prompt`: variables of a play that the operator types.

use super::keep::{as_text, boolean, render};
use super::run::{Run, Stop};
use crate::content::inventory::{Var, Vars};
use crate::content::place::{Fault, Place};
use crate::content::playbook::{Frame, Play};
use crate::content::template::Templar;
use crate::content::value::{Key, Value};
use crate::journal::{Event, Level};
use std::sync::Arc;

/// One question.
struct Question {
    name: String,
    text: String,
    default: Option<Value>,
    /// What is typed doesn't show.
    private: bool,
    confirm: bool,
    /// Only the hash of what is typed is kept.
    hash: Option<Hash>,
    /// What is typed is no template.
    raw: bool,
}

/// How an answer is hashed: arguments of `password_hash`.
struct Hash {
    kind: Value,
    salt: Value,
    size: Value,
}

impl Question {
    fn of(value: &Value) -> Option<Self> {
        let Value::Dict(entries) = value else {
            return None;
        };
        let entries = entries.read().ok()?;
        let get = |name: &str| entries.get(&Key(Value::from(name))).cloned();
        let given = |name: &str| get(name).filter(|value| !matches!(value, Value::None));
        let name = as_text(&get("name")?);
        let flag = |word: &str, default| {
            get(word)
                .and_then(|value| boolean(&value))
                .unwrap_or(default)
        };
        Some(Self {
            text: get("prompt").map_or_else(|| name.clone(), |text| as_text(&text)),
            default: given("default"),
            private: flag("private", true),
            confirm: flag("confirm", false),
            hash: given("encrypt").map(|kind| Hash {
                kind,
                salt: get("salt").unwrap_or(Value::None),
                size: get("salt_size").unwrap_or(Value::None),
            }),
            raw: flag("unsafe", false),
            name,
        })
    }
}

impl Question {
    /// What becomes of the answer.
    fn kept(&self, answer: Value, templar: &Templar, place: &Place) -> Result<Value, Fault> {
        let (Some(hash), false) = (&self.hash, matches!(answer, Value::None)) else {
            return Ok(answer);
        };
        let known = [
            ("answer", answer),
            ("kind", hash.kind.clone()),
            ("salt", hash.salt.clone()),
            ("size", hash.size.clone()),
        ];
        let known = known.map(|(name, value)| (name.to_owned(), value));
        let hashed = Var {
            value: Value::from("{{ answer | password_hash(kind, salt, size) }}"),
            place: place.clone(),
        };
        render(&templar.with(known.into_iter().collect()), &hashed)
    }
}

/// The play with the defaults of its questions: listings ask nobody.
pub(super) fn unanswered(play: &Play, extra: &Vars) -> Play {
    let mut play = play.clone();
    let mut frame = of_answers(&play);
    for var in &play.prompts {
        let Some(question) = Question::of(&var.value) else {
            continue;
        };
        if !extra.contains_key(&question.name) {
            let value = question.default.unwrap_or(Value::None);
            let place = var.place.clone();
            frame
                .keywords
                .vars
                .insert(question.name, Var { value, place });
        }
    }
    play.frame = Arc::new(frame);
    play
}

/// Where the answers of a play belong.
fn of_answers(play: &Play) -> Frame {
    Frame {
        keywords: play.frame.keywords.clone(),
        search: Arc::clone(&play.frame.search),
        ..Frame::empty()
    }
}

impl Run {
    /// The play with the variables that the operator was asked for. Extra variables need no question; where nobody can
    /// answer, the default counts.
    pub(super) async fn answered(&self, play: &Arc<Play>) -> Result<Arc<Play>, Stop> {
        if play.prompts.is_empty() {
            return Ok(Arc::clone(play));
        }
        let templar = self.play_templar(play);
        let mut frame = of_answers(play);
        for var in &play.prompts {
            let value = render(&templar, var).map_err(Stop::Refused)?;
            let question = Question::of(&value).ok_or_else(|| {
                Stop::Refused(
                    Fault::new("a question of `vars_prompt` is a mapping with a `name`")
                        .at(&var.place),
                )
            })?;
            if self.extra.contains_key(&question.name) {
                continue;
            }
            let answer = self.ask(&question).await.map_err(|error| {
                Stop::Refused(
                    Fault::new(format!(
                        "the answer to `{}` can't be read: {error}",
                        question.text
                    ))
                    .at(&var.place),
                )
            })?;
            let place = var.place.clone();
            let value = question
                .kept(answer, &templar, &place)
                .map_err(Stop::Refused)?;
            frame
                .keywords
                .vars
                .insert(question.name, Var { value, place });
        }
        let mut answered = Play::clone(play);
        // Only here are variables of the play looked up; its tasks inherit nothing else of it that changes.
        answered.frame = Arc::new(frame);
        Ok(Arc::new(answered))
    }

    async fn ask(&self, question: &Question) -> std::io::Result<Value> {
        let Some(asker) = self.request.asker.clone() else {
            self.warn("Not prompting as we are not in interactive mode");
            // What Ansible makes of no answer.
            return Ok(question
                .default
                .clone()
                .unwrap_or_else(|| Value::from("None")));
        };
        let text = match &question.default {
            Some(default) => format!("{} [{}]: ", question.text, as_text(default)),
            None => format!("{}: ", question.text),
        };
        let again = question.confirm.then(|| format!("confirm {text}"));
        let sink = Arc::clone(&self.sink);
        let echo = !question.private;
        let typed = tokio::task::spawn_blocking(move || {
            loop {
                let typed = asker.ask(&text, echo)?;
                match &again {
                    Some(again) if asker.ask(again, echo)? != typed => sink.emit(Event::Note {
                        level: Level::Info,
                        text: "***** VALUES ENTERED DO NOT MATCH ****".to_owned(),
                        host: None,
                    }),
                    _ => return Ok::<_, std::io::Error>(typed),
                }
            }
        });
        let typed = typed.await.map_err(std::io::Error::other)??;
        Ok(match &question.default {
            Some(default) if typed.is_empty() => default.clone(),
            _ if question.raw => Value::from_json(&typed.into()),
            // As in Ansible, the operator may answer with a template.
            _ => Value::from(typed),
        })
    }
}
