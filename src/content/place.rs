//! Where a value was written.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A position in a file that a person wrote. Lines and columns count from 1; line 0 means the file as a whole.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub file: Arc<Path>,
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn new(file: &Arc<Path>, line: u32, column: u32) -> Self {
        Self {
            file: Arc::clone(file),
            line,
            column,
        }
    }

    /// The whole of a file.
    pub fn file(path: &Path) -> Self {
        Self {
            file: Arc::from(path),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with something that a person wrote, where, and what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub message: String,
    pub place: Option<Place>,
    /// Each a sentence that tells what to do.
    pub hints: Vec<String>,
    pub cause: Cause,
    /// Right in Ansible, and nothing that kopsrun can do: who only lists playbooks isn't stopped by it.
    pub unsupported: bool,
    /// It comes from something undefined in a template.
    pub undefined: bool,
}

/// What a fault comes from, as far as that changes what follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cause {
    /// What was written can't be taken. Ends the run; exit code 4.
    #[default]
    Mistake,
    /// A file or a role isn't there, is something else, or is inside itself without an end. Exit code 1; at a dynamic include only the host fails.
    Absent,
    /// A word that is none of those that an option takes. Ends the run; exit code 5, as a wrong option.
    Choice,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            hints: Vec::new(),
            cause: Cause::Mistake,
            unsupported: false,
            undefined: false,
        }
    }

    /// The same fault, about a file or role that isn't there.
    #[must_use]
    pub fn absent(mut self) -> Self {
        self.cause = Cause::Absent;
        self
    }

    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Marks what Ansible could do.
    #[must_use]
    pub fn unsupported(mut self) -> Self {
        self.unsupported = true;
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
