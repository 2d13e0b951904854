//! The ansible-core of this machine, where there is one: it finds Python modules that kopsrun has no native twin for, and
//! packs them with what they import, as it does for itself. It runs as a program of its own, started when the first such
//! module is met and asked in lines of JSON; nothing of it becomes a part of kopsrun.

use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const HELPER: &str = include_str!("helper.py");

/// A module that Ansible has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Module {
    /// With its collection.
    pub name: String,
    pub path: PathBuf,
    /// A plugin that runs on the controller belongs to it.
    pub action: bool,
}

/// A module with everything that it imports, as one text of Python.
pub struct Packed {
    pub text: Vec<u8>,
    /// Where in the text the arguments belong: a literal of Python that is JSON.
    pub at: usize,
}

/// Ansible as it is found through the Python that runs it.
pub struct Installed {
    python: PathBuf,
    /// Directories that hold `ansible_collections`, searched before those of Ansible's own settings.
    collections: Vec<PathBuf>,
    helper: Mutex<State>,
    packed: Mutex<HashMap<PathBuf, Arc<Packed>>>,
}

enum State {
    Unasked,
    Running(Helper),
    /// Why it can't be asked.
    Absent(String),
}

struct Helper {
    child: Child,
    /// Closed, which ends the program, when this is dropped.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Installed {
    /// Nothing is started yet.
    pub fn new(python: PathBuf, collections: Vec<PathBuf>) -> Self {
        Self {
            python,
            collections,
            helper: Mutex::new(State::Unasked),
            packed: Mutex::default(),
        }
    }

    /// The module that Ansible means by a name: `collections` are searched for a name without one, `library` are more
    /// directories of modules. The error says why Ansible can't be asked, or what it says.
    pub fn find(
        &self,
        name: &str,
        collections: &[String],
        library: &[PathBuf],
    ) -> Result<Option<Module>, String> {
        #[derive(Deserialize)]
        struct Answer {
            found: Option<Module>,
        }
        let request = json!({ "find": name, "collections": collections, "library": library });
        let answer: Answer = self.ask(&request)?;
        Ok(answer.found)
    }

    /// Packs a module, once. `module_utils` are more directories of what modules import.
    pub fn pack(
        &self,
        name: &str,
        path: &Path,
        module_utils: &[PathBuf],
    ) -> Result<Arc<Packed>, String> {
        #[derive(Deserialize)]
        struct Answer {
            before: String,
            after: String,
        }
        let mut packed = lock(&self.packed);
        if let Some(known) = packed.get(path) {
            return Ok(Arc::clone(known));
        }
        let request = json!({ "pack": name, "path": path, "module_utils": module_utils });
        let Answer { before, after } = self.ask(&request)?;
        let made = Arc::new(Packed {
            at: before.len(),
            text: [before, after].concat().into_bytes(),
        });
        packed.insert(path.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    fn ask<T: for<'de> Deserialize<'de>>(&self, request: &serde_json::Value) -> Result<T, String> {
        let mut state = lock(&self.helper);
        if matches!(*state, State::Unasked) {
            *state = match Helper::start(&self.python, &self.collections) {
                Ok(helper) => State::Running(helper),
                Err(why) => State::Absent(why),
            };
        }
        let helper = match &mut *state {
            State::Running(helper) => helper,
            State::Absent(why) => return Err(why.clone()),
            State::Unasked => unreachable!("it was just started"),
        };
        let answer = helper.ask(request);
        if answer.is_err() {
            *state = State::Absent("the program that asks Ansible has ended".to_owned());
        }
        let answer = answer?;
        if let Some(error) = answer.get("error").and_then(serde_json::Value::as_str) {
            return Err(error.to_owned());
        }
        serde_json::from_value(answer).map_err(|error| format!("Ansible's answer: {error}"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Helper {
    fn start(python: &Path, collections: &[PathBuf]) -> Result<Self, String> {
        let settings = json!({ "collections": collections }).to_string();
        let mut child = Command::new(python)
            .args(["-c", HELPER, &settings])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", python.display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the program that asks Ansible has no pipes".to_owned());
        };
        let mut helper = Self {
            child,
            input: Some(input),
            output: BufReader::new(output),
        };
        let first = helper.read()?;
        match first.get("error").and_then(serde_json::Value::as_str) {
            Some(error) => Err(format!("{}: {error}", python.display())),
            None => Ok(helper),
        }
    }

    fn ask(&mut self, request: &serde_json::Value) -> Result<serde_json::Value, String> {
        let line = format!("{request}\n");
        let input = self.input.as_mut().ok_or("its input is closed")?;
        input
            .write_all(line.as_bytes())
            .and_then(|()| input.flush())
            .map_err(|error| format!("Ansible can't be asked: {error}"))?;
        self.read()
    }

    fn read(&mut self) -> Result<serde_json::Value, String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|error| format!("Ansible doesn't answer: {error}"))?;
        serde_json::from_str(&line).map_err(|error| format!("Ansible's answer: {error}"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
