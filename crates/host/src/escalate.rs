//! The agent of another user: a child of the login user's agent, started by sudo or su.
//!
//! The password travels on standard input, after the prompt was seen and at most once: a sudo that doesn't ask
//! (NOPASSWD) never finds it between the frames, a second prompt means that it is wrong.
//!
//! The child is this same program. Its directory is usually closed to others (0700), and sudo closes inherited file
//! descriptors, so a program that the other user can't reach is copied once: into a fresh directory with an
//! unpredictable name (0711, so nobody can list it), owned by the login user, the file 0555. Nobody but the login user
//! (who may become the other anyway) and root can change it, and it holds no secret. It is removed at the end.

mod program;

pub(crate) use program::Program;

use crate::context::lock;
use crate::users::{self, User};
use crate::wire::{Control, Frame, Refusal, RefusalKind, read_frame, read_magic};
use crate::{Become, files};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long sudo or su may take for each step (a directory server may have to answer).
const STEP: Duration = Duration::from_secs(30);

/// How much of what sudo or su says is kept for the message.
const MAX_SAID: usize = 16 * 1024;

/// A started agent that has said hello.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) process: Child,
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
}

/// Whether the task can run in this very process, as its user is the one that is asked for.
pub(crate) fn is_self(who: &Become) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    known_method(&who.method).is_some()
        && users::user_by_name(&who.user).is_some_and(|user| user.uid == uid)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Sudo,
    Su,
}

fn known_method(name: &str) -> Option<Method> {
    match crate::spec::short_name(name) {
        "sudo" => Some(Method::Sudo),
        "su" => Some(Method::Su),
        _ => None,
    }
}

/// Starts the agent of another user. Blocks until it answers, at most [`STEP`] per step.
pub(crate) fn start(who: &Become, program: &Program) -> Result<Agent, Refusal> {
    let method = known_method(&who.method).ok_or_else(|| {
        refuse(
            RefusalKind::UnknownMethod,
            format!("become_method must be sudo or su; got {:?}", who.method),
        )
    })?;
    let user = users::user_by_name(&who.user).ok_or_else(|| {
        refuse(
            RefusalKind::UnknownUser,
            format!("there is no user {:?} on this host", who.user),
        )
    })?;
    if who
        .password
        .as_ref()
        .is_some_and(|password| password.contains(['\n', '\0']))
    {
        return Err(refuse(
            RefusalKind::Other,
            "the become password has a line break in it".to_owned(),
        ));
    }
    let tool = match method {
        Method::Sudo => "sudo",
        Method::Su => "su",
    };
    // A program may come with arguments of its own, as in a command line.
    let mut exe = split("become_exe", who.exe.as_deref().unwrap_or_default())?.into_iter();
    let tool_path = match exe.next() {
        Some(path) if path.contains('/') => Some(PathBuf::from(path)),
        exe => crate::process::find_program(None, exe.as_deref().unwrap_or(tool)),
    };
    let tool_path = tool_path.ok_or_else(|| missing_tool(method))?;
    let flags = who.flags.as_deref().unwrap_or(match method {
        Method::Sudo => "-H",
        Method::Su => "",
    });
    let flags = exe.chain(split("become_flags", flags)?).collect();
    let attempt = Attempt {
        who,
        user: &user,
        method,
        tool: &tool_path,
        flags,
    };
    let direct = program.path_for(&user)?;
    match attempt.run(&direct, &program.arguments) {
        // Root can't read the home of a user on NFS. The copy is somewhere else.
        Err(Refused {
            refusal,
            unreachable: true,
        }) => {
            let copy = program.shared_copy()?;
            if copy == direct {
                return Err(refusal);
            }
            attempt
                .run(&copy, &program.arguments)
                .map_err(|refused| refused.refusal)
        }
        other => other.map_err(|refused| refused.refusal),
    }
}

fn refuse(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message }
}

fn split(name: &str, line: &str) -> Result<Vec<String>, Refusal> {
    crate::words::split(line).map_err(|_| {
        let message = format!("{name} can't be taken apart: {line:?}");
        refuse(RefusalKind::Other, message)
    })
}

fn missing_tool(method: Method) -> Refusal {
    match method {
        Method::Sudo => refuse(
            RefusalKind::NoSudo,
            "sudo isn't installed on this host: install it, set become_method: su, or connect as the user that is needed"
                .to_owned(),
        ),
        Method::Su => refuse(RefusalKind::NoSu, "su isn't installed on this host: set become_method: sudo".to_owned()),
    }
}

struct Attempt<'a> {
    who: &'a Become,
    user: &'a User,
    method: Method,
    tool: &'a Path,
    flags: Vec<String>,
}

struct Refused {
    refusal: Refusal,
    /// The tool worked, but its user couldn't execute the program.
    unreachable: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            unreachable: false,
        }
    }
}

/// What happens while the tool runs.
enum Event {
    Prompt,
    Magic(ChildStdout),
    /// Standard output ended, after this.
    Ended(String),
}

impl Attempt<'_> {
    fn run(&self, program: &Path, arguments: &[OsString]) -> Result<Agent, Refused> {
        let prompt = match self.method {
            Method::Sudo => format!("[kopsrun {}]", files::random_hex()),
            Method::Su => "assword:".to_owned(),
        };
        let mut process = self
            .command(program, arguments, &prompt)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| {
                self.other(&format!("cannot start {}: {error}", self.tool.display()))
            })?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let (sender, events) = channel();
        let (Some(stdin), Some(stdout), Some(stderr)) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        ) else {
            return Err(self.other("no pipes").into());
        };
        watch_errors(stderr, prompt, Arc::clone(&said), sender.clone());
        watch_output(stdout, sender);
        let mut stdin = Some(stdin);
        match self.converse(&events, &mut stdin, &said) {
            Ok(stdout) => match stdin {
                Some(stdin) => self
                    .greet(Agent {
                        process,
                        stdin,
                        stdout,
                    })
                    .map_err(Refused::from),
                None => Err(self.other("its input is closed").into()),
            },
            Err(refused) => {
                // It may run as root, out of reach; without input it ends by itself.
                drop(stdin);
                process.kill().ok();
                thread::spawn(move || process.wait());
                Err(refused)
            }
        }
    }

    fn command(&self, program: &Path, arguments: &[OsString], prompt: &str) -> Command {
        let mut command = Command::new(self.tool);
        english(&mut command);
        match self.method {
            Method::Sudo => {
                // In front: who names a program that runs sudo names sudo here.
                command.args(self.flags.iter().filter(|flag| *flag != "-n"));
                match self.who.password {
                    None => command.arg("-n"),
                    Some(_) => command.args(["-S", "-k", "-p", prompt]),
                };
                command
                    .args(["-u", &self.user.name, "--"])
                    .arg(program)
                    .args(arguments);
            }
            Method::Su => {
                let mut line = OsString::from("exec");
                for word in std::iter::once(program.as_os_str())
                    .chain(arguments.iter().map(OsString::as_os_str))
                {
                    line.push(" ");
                    line.push(quote(word));
                }
                // Users of services often have no login shell.
                command
                    .args(&self.flags)
                    .args(["-s", "/bin/sh", "-c"])
                    .arg(line)
                    .arg(&self.user.name);
            }
        }
        command
    }

    /// Answers the prompt, until the agent starts.
    fn converse(
        &self,
        events: &Receiver<Event>,
        stdin: &mut Option<ChildStdin>,
        said: &Mutex<Vec<u8>>,
    ) -> Result<ChildStdout, Refused> {
        let mut asked = false;
        loop {
            match events.recv_timeout(STEP) {
                Ok(Event::Magic(stdout)) => return Ok(stdout),
                Ok(Event::Prompt) if asked => return Err(self.password_wrong().into()),
                Ok(Event::Prompt) => {
                    asked = true;
                    let Some(password) = &self.who.password else {
                        return Err(self.password_needed().into());
                    };
                    let answer = format!("{password}\n");
                    let sent = stdin.as_mut().map(|stdin| {
                        stdin
                            .write_all(answer.as_bytes())
                            .and_then(|()| stdin.flush())
                    });
                    if let Some(Err(error)) = sent {
                        return Err(self
                            .other(&format!("it doesn't take the password: {error}"))
                            .into());
                    }
                }
                Ok(Event::Ended(output)) => {
                    // What it said on standard error is complete a moment later.
                    while events.recv_timeout(Duration::from_secs(1)).is_ok() {}
                    let words = String::from_utf8_lossy(&lock(said)).into_owned();
                    return Err(self.explain(&format!("{words}\n{output}"), asked));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let words = String::from_utf8_lossy(&lock(said)).trim().to_owned();
                    return Err(refuse(
                        RefusalKind::Timeout,
                        format!(
                            "{} to {} did not answer within {} s; it said: {words:?}",
                            self.name(),
                            self.user.name,
                            STEP.as_secs()
                        ),
                    )
                    .into());
                }
            }
        }
    }

    /// Takes the first frame and checks that the right user answers.
    fn greet(&self, mut agent: Agent) -> Result<Agent, Refusal> {
        match read_frame(&mut agent.stdout) {
            Ok(Some(Frame::Control(Control::Hello(hello)))) if hello.uid == self.user.uid => {
                Ok(agent)
            }
            Ok(Some(Frame::Control(Control::Hello(hello)))) => Err(self.other(&format!(
                "it became {} (uid {}) instead of uid {}",
                hello.user, hello.uid, self.user.uid
            ))),
            Ok(_) => Err(self.other("its agent ended at once")),
            Err(error) => Err(self.other(&error.to_string())),
        }
    }

    /// Finds out from its words why sudo or su didn't start the agent.
    fn explain(&self, words: &str, asked: bool) -> Refused {
        let lower = words.to_lowercase();
        let has = |any: &[&str]| any.iter().any(|text| lower.contains(text));
        let user = &self.user.name;
        let me = users::user_by_id(rustix::process::geteuid().as_raw())
            .map_or_else(|| "this user".to_owned(), |user| user.name);
        let shown = shorten(words);
        if has(&[
            "command not found",
            "unable to execute",
            "permission denied",
            "not found\n",
            "cannot execute",
        ]) && !has(&["su: permission denied"])
        {
            let message = format!(
                "{} became {user}, who can't execute the agent: {shown}",
                self.name()
            );
            return Refused {
                refusal: refuse(RefusalKind::NoProgram, message),
                unreachable: true,
            };
        }
        let refusal = match self.method {
            Method::Sudo if has(&["must have a tty"]) => refuse(
                RefusalKind::SudoNeedsTerminal,
                format!(
                    "sudo wants a terminal (requiretty): put `Defaults:{me} !requiretty` into /etc/sudoers.d/kopsrun on the host"
                ),
            ),
            Method::Sudo
                if has(&[
                    "not in the sudoers",
                    "is not allowed to",
                    "may not run sudo",
                    "not allowed to run sudo",
                ]) =>
            {
                refuse(
                    RefusalKind::SudoNotAllowed,
                    format!("{me} may not become {user} by sudo: {shown}"),
                )
            }
            Method::Sudo if has(&["incorrect password", "sorry, try again"]) || asked => {
                self.password_wrong()
            }
            Method::Sudo
                if has(&[
                    "password is required",
                    "no password was provided",
                    "a terminal is required",
                ]) =>
            {
                self.password_needed()
            }
            Method::Su if has(&["must be run from a terminal", "standard in must be a tty"]) => {
                refuse(
                    RefusalKind::SuNeedsTerminal,
                    "this su takes a password only from a terminal: set become_method: sudo"
                        .to_owned(),
                )
            }
            Method::Su
                if has(&[
                    "authentication failure",
                    "incorrect password",
                    "su: permission denied",
                ]) && asked =>
            {
                self.password_wrong()
            }
            Method::Su if has(&["authentication failure", "incorrect password"]) => {
                self.password_needed()
            }
            _ => self.other(&shown),
        };
        refusal.into()
    }

    fn name(&self) -> &'static str {
        match self.method {
            Method::Sudo => "sudo",
            Method::Su => "su",
        }
    }

    fn password_needed(&self) -> Refusal {
        let (kind, whose) = match self.method {
            Method::Sudo => (RefusalKind::SudoPasswordNeeded, "the login user's"),
            Method::Su => (RefusalKind::SuPasswordNeeded, "that user's"),
        };
        refuse(
            kind,
            format!(
                "{} to {} asks for {whose} password: give it (--ask-become-pass or ansible_become_password)",
                self.name(),
                self.user.name
            ),
        )
    }

    fn password_wrong(&self) -> Refusal {
        let kind = match self.method {
            Method::Sudo => RefusalKind::SudoPasswordWrong,
            Method::Su => RefusalKind::SuPasswordWrong,
        };
        refuse(
            kind,
            format!(
                "{} to {} doesn't accept the password",
                self.name(),
                self.user.name
            ),
        )
    }

    fn other(&self, what: &str) -> Refusal {
        refuse(
            RefusalKind::Other,
            format!("{} to {} failed: {what}", self.name(), self.user.name),
        )
    }
}

/// English messages for what sudo or su say themselves, the user's character set for what the agent starts.
fn english(command: &mut Command) {
    if let Some(all) = std::env::var_os("LC_ALL") {
        command.env("LANG", all);
    }
    command
        .env_remove("LC_ALL")
        .env_remove("LANGUAGE")
        .env("LC_MESSAGES", "C");
}

fn shorten(words: &str) -> String {
    let text = words
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None if text.is_empty() => "it said nothing".to_owned(),
        None => text,
    }
}

/// A word for the shell.
fn quote(word: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    OsStr::from_bytes(&quoted).to_os_string()
}

/// Keeps what is said on standard error, and tells of each prompt in it.
fn watch_errors(
    mut stderr: impl Read + Send + 'static,
    prompt: String,
    said: Arc<Mutex<Vec<u8>>>,
    events: Sender<Event>,
) {
    thread::spawn(move || {
        let mut chunk = [0; 1024];
        let mut unsearched = Vec::new();
        while let Ok(count) = stderr.read(&mut chunk) {
            if count == 0 {
                break;
            }
            unsearched.extend_from_slice(&chunk[..count]);
            while let Some(at) = unsearched
                .windows(prompt.len())
                .position(|window| window == prompt.as_bytes())
            {
                unsearched.drain(..at + prompt.len());
                events.send(Event::Prompt).ok();
            }
            let keep = unsearched.len().min(prompt.len());
            unsearched.drain(..unsearched.len() - keep);
            let mut said = lock(&said);
            let room = MAX_SAID.saturating_sub(said.len());
            said.extend_from_slice(&chunk[..count.min(room)]);
        }
    });
}

fn watch_output(mut stdout: ChildStdout, events: Sender<Event>) {
    thread::spawn(move || {
        let mut before = Recorder {
            inner: &mut stdout,
            seen: Vec::new(),
        };
        let started = read_magic(&mut before);
        let noise = String::from_utf8_lossy(&before.seen).into_owned();
        let event = match started {
            Ok(true) => Event::Magic(stdout),
            Ok(false) => Event::Ended(noise),
            Err(error) => Event::Ended(error.to_string()),
        };
        events.send(event).ok();
    });
}

/// Remembers the beginning of what is read through it.
struct Recorder<R> {
    inner: R,
    seen: Vec<u8>,
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if self.seen.len() < MAX_SAID {
            self.seen.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}
