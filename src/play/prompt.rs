//! `vars_prompt`: variables of a play that the operator types.

use super::keep::{as_text, boolean, render};
use super::run::{Run, Stop};
use crate::content::inventory::Var;
use crate::content::place::Fault;
use crate::content::playbook::{Frame, Play};
use crate::content::value::{Key, Value};
use std::sync::Arc;

/// One question.
struct Question {
    name: String,
    text: String,
    default: Option<Value>,
    /// What is typed doesn't show.
    private: bool,
    confirm: bool,
}

impl Question {
    fn of(value: &Value) -> Option<Self> {
        let Value::Dict(entries) = value else {
            return None;
        };
        let entries = entries.read().ok()?;
        let get = |name: &str| entries.get(&Key(Value::from(name))).cloned();
        let name = as_text(&get("name")?);
        let flag = |word: &str, default| {
            get(word)
                .and_then(|value| boolean(&value))
                .unwrap_or(default)
        };
        Some(Self {
            text: get("prompt").map_or_else(|| name.clone(), |text| as_text(&text)),
            default: get("default").filter(|value| !matches!(value, Value::None)),
            private: flag("private", true),
            confirm: flag("confirm", false),
            name,
        })
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
        let mut frame = Frame {
            keywords: play.frame.keywords.clone(),
            search: Arc::clone(&play.frame.search),
            ..Frame::empty()
        };
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
            let value = self.ask(&question).await.map_err(|error| {
                Stop::Refused(
                    Fault::new(format!(
                        "the answer to `{}` can't be read: {error}",
                        question.text
                    ))
                    .at(&var.place),
                )
            })?;
            let place = var.place.clone();
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
        let default = || question.default.clone().unwrap_or_else(|| Value::from(""));
        let Some(asker) = self.request.asker.clone() else {
            self.warn(&format!(
                "Not prompting for {} because nobody can answer; its default counts",
                question.name
            ));
            return Ok(default());
        };
        let text = match &question.default {
            Some(default) => format!("{} [{}]: ", question.text, as_text(default)),
            None => format!("{}: ", question.text),
        };
        let again = question.confirm.then(|| format!("confirm {text}"));
        let echo = !question.private;
        let typed = tokio::task::spawn_blocking(move || {
            loop {
                let typed = asker.ask(&text, echo)?;
                match &again {
                    Some(again) if asker.ask(again, echo)? != typed => {}
                    _ => return Ok::<_, std::io::Error>(typed),
                }
            }
        });
        let typed = typed.await.map_err(std::io::Error::other)??;
        // What people type is data.
        Ok(if typed.is_empty() {
            default()
        } else {
            Value::from_json(&typed.into())
        })
    }
}
