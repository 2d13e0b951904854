//! The agent: reads frames, runs each task in a thread of its own, and ends with its channel.
//!
//! It never listens and has no other way in than its standard input. When that ends (the connection broke, the
//! controller was killed), whatever its tasks run is ended too.

use crate::context::{Context, Job, Port, lock};
use crate::escalate::{self, Program};
use crate::wire::{
    Control, Frame, Hello, MAGIC, Refusal, RefusalKind, WireError, read_frame, read_magic,
    write_frame,
};
use crate::{Become, Failure, Outcome, Task, modules, users};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many tasks may run at the same time; a controller with more has them wait.
pub const MAX_TASKS: usize = 256;

/// How long a program may take to end itself after it was asked to.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the agent waits for its tasks and children when its channel has ended.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Serves one channel until its end. Agents of other users are this same program with the same arguments.
pub fn serve(input: impl Read, output: impl Write + Send + 'static) -> io::Result<()> {
    leave_closed_directory();
    serve_as(input, output, std::env::args_os().skip(1).collect())
}

/// Agents of other users start in a directory of the login user, which is often closed to them.
fn leave_closed_directory() {
    use rustix::fs::{Access, access};
    if access(".", Access::READ_OK | Access::EXEC_OK).is_err() {
        let home = users::user_by_id(rustix::process::geteuid().as_raw()).map(|user| user.home);
        let moved = home.is_some_and(|home| std::env::set_current_dir(home).is_ok());
        if !moved {
            std::env::set_current_dir("/").ok();
        }
    }
}

/// As [`serve`], where the arguments that make this program an agent aren't those that it was started with.
pub fn serve_as(
    input: impl Read,
    output: impl Write + Send + 'static,
    arguments: Vec<OsString>,
) -> io::Result<()> {
    let server = Arc::new(Server {
        output: Mutex::new(Box::new(output)),
        table: Mutex::default(),
        gone: Condvar::new(),
        program: Program::new(arguments),
        alone: Mutex::default(),
        idle: Mutex::new(Some(Vec::new())),
    });
    {
        // In one piece: each costs a packet, and two changes of process, on a host that is logging others in.
        let mut greeting = MAGIC.to_vec();
        write_frame(&mut greeting, &Frame::Control(Control::Hello(hello())))?;
        let mut output = lock(&server.output);
        output.write_all(&greeting)?;
        output.flush()?;
    }
    let result = server.read(&mut BufReader::with_capacity(256 * 1024, input));
    server.close();
    result.map_err(io::Error::from)
}

fn hello() -> Hello {
    let uid = rustix::process::geteuid().as_raw();
    Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uid,
        user: users::user_by_id(uid).map_or_else(|| uid.to_string(), |user| user.name),
        machine: rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned(),
    }
}

struct Server {
    output: Mutex<Box<dyn Write + Send>>,
    table: Mutex<Table>,
    /// Notified when a task or a child has gone.
    gone: Condvar,
    program: Program,
    /// Set in an agent whose task goes on without a channel; taken when its result is written.
    alone: Mutex<Option<Alone>>,
    /// Threads that wait for their next task. None once the channel has ended.
    idle: Mutex<Option<Vec<Sender<Work>>>>,
}

/// A task for a thread.
type Work = (Box<Task>, Arc<Job>);

/// Where the result of a task goes that nobody waits for.
struct Alone {
    limit: Duration,
    file: PathBuf,
    jid: String,
}

#[derive(Default)]
struct Table {
    tasks: HashMap<u64, Slot>,
    children: HashMap<Become, Sender<Frame>>,
    /// Child agents that haven't ended, also those that `children` doesn't hold any more.
    alive: usize,
}

/// Where a task runs.
enum Slot {
    Here(Arc<Job>),
    Child(Become),
}

impl Port for Server {
    fn send(&self, frame: &Frame) -> Result<(), WireError> {
        write_frame(&mut *lock(&self.output), frame)
    }
}

impl Server {
    fn read(self: &Arc<Self>, input: &mut impl Read) -> Result<(), WireError> {
        if !read_magic(input)? {
            return Ok(());
        }
        while let Some(frame) = read_frame(input)? {
            self.take(frame)?;
        }
        Ok(())
    }

    fn take(self: &Arc<Self>, frame: Frame) -> Result<(), WireError> {
        match &frame {
            Frame::Control(Control::Run { .. }) => return self.start(frame),
            Frame::Data(id, data) => self.route(*id, &frame, |job| job.receive(data)),
            Frame::Control(Control::More { id, bytes }) => {
                self.route(*id, &frame, |job| job.allow(*bytes));
            }
            Frame::Control(Control::Missing { id, message }) => {
                self.route(*id, &frame, |job| job.miss(message.clone()));
            }
            Frame::Control(Control::Cancel { id }) => {
                self.route(*id, &frame, |job| job.cancel(PATIENCE));
            }
            Frame::Control(Control::Alone { seconds, file, jid }) => {
                // Whoever ends the processes of the session that started this one doesn't mean this one.
                rustix::process::setsid().ok();
                *lock(&self.alone) = Some(Alone {
                    limit: Duration::from_secs(*seconds),
                    file: PathBuf::from(file),
                    jid: jid.clone(),
                });
            }
            Frame::Control(_) => {
                return Err(WireError::Malformed("only an agent says this".to_owned()));
            }
        }
        Ok(())
    }

    /// Gives a frame to the task that it is for. A task that has just ended may still be spoken to.
    fn route(&self, id: u64, frame: &Frame, here: impl FnOnce(&Arc<Job>)) {
        let table = lock(&self.table);
        match table.tasks.get(&id) {
            Some(Slot::Here(job)) => here(&Arc::clone(job)),
            Some(Slot::Child(key)) => {
                if let Some(child) = table.children.get(key) {
                    // A child that has just ended takes its tasks with it, and says so itself.
                    child.send(frame.clone()).ok();
                }
            }
            None => {}
        }
    }

    fn start(self: &Arc<Self>, frame: Frame) -> Result<(), WireError> {
        let Frame::Control(Control::Run { id, mut task }) = frame else {
            return Ok(());
        };
        let mut table = lock(&self.table);
        if table.tasks.contains_key(&id) {
            return Err(WireError::Malformed(format!("the id {id} is in use")));
        }
        if table.tasks.len() >= MAX_TASKS {
            drop(table);
            let failure = Failure::new(format!("{MAX_TASKS} tasks run on this host already"));
            self.finish(id, failure.into());
            return Ok(());
        }
        match task.escalate.take().filter(|who| !escalate::is_self(who)) {
            None => {
                let job = Arc::new(Job::new(id));
                table.tasks.insert(id, Slot::Here(Arc::clone(&job)));
                drop(table);
                if let Err(error) = self.hand_over((task, job)) {
                    let failure =
                        Failure::new(format!("this host has no room for another task: {error}"));
                    self.finish(id, failure.into());
                }
            }
            Some(key) => {
                let child = table.children.get(&key).cloned().unwrap_or_else(|| {
                    let (sender, receiver) = channel();
                    table.children.insert(key.clone(), sender.clone());
                    table.alive += 1;
                    let (server, key) = (Arc::clone(self), key.clone());
                    thread::spawn(move || server.keep_child(&key, &receiver));
                    sender
                });
                child.send(Frame::Control(Control::Run { id, task })).ok();
                table.tasks.insert(id, Slot::Child(key));
            }
        }
        Ok(())
    }

    /// Gives a task to a thread that waits for one, else to a new one: a thread with its stack and its arena of memory
    /// costs more than most tasks.
    fn hand_over(self: &Arc<Self>, work: Work) -> io::Result<()> {
        let waiting = lock(&self.idle).as_mut().and_then(Vec::pop);
        let mut work = match waiting {
            None => work,
            Some(thread) => match thread.send(work) {
                Ok(()) => return Ok(()),
                Err(unsent) => unsent.0,
            },
        };
        let server = Arc::clone(self);
        let body = move || {
            loop {
                let (id, begun) = (work.1.id, Instant::now());
                let mut outcome = server.run(&work.0, work.1);
                outcome.micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                let next = server.rest();
                server.finish(id, outcome);
                match next.and_then(|next| next.recv().ok()) {
                    Some(more) => work = more,
                    None => return,
                }
            }
        };
        thread::Builder::new().spawn(body).map(drop)
    }

    /// Says that this thread is about to be idle, before the end of its task is told: the next task may follow at once.
    fn rest(&self) -> Option<Receiver<Work>> {
        let (sender, receiver) = channel();
        lock(&self.idle).as_mut()?.push(sender);
        Some(receiver)
    }

    /// Runs one task in this thread.
    fn run(self: &Arc<Self>, task: &Task, job: Arc<Job>) -> Outcome {
        let cx = Context::over_channel(task, job, Arc::clone(self) as Arc<dyn Port>);
        catch_unwind(AssertUnwindSafe(|| modules::run(task, &cx))).unwrap_or_else(|panic| {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given");
            Failure::new(format!(
                "{} broke, which is a bug of kopsrun: {reason}",
                task.module
            ))
            .into()
        })
    }

    fn finish(&self, id: u64, outcome: Outcome) {
        self.leave_result(&outcome);
        lock(&self.table).tasks.remove(&id);
        let sent = self.send(&Frame::Control(Control::Done { id, outcome }));
        if let Err(WireError::TooLong(length)) = sent {
            let failure = Failure::new(format!(
                "the result is {} MiB long, more than can be returned: write it to a file and fetch that",
                length >> 20
            ));
            self.send(&Frame::Control(Control::Done {
                id,
                outcome: failure.into(),
            }))
            .ok();
        }
        self.gone.notify_all();
    }

    /// Starts the agent of another user and passes frames to it until its queue is closed.
    fn keep_child(self: &Arc<Self>, key: &Become, frames: &Receiver<Frame>) {
        match escalate::start(key, &self.program) {
            Err(refusal) => self.lose_child(key, &refusal),
            Ok(mut agent) => {
                let (server, name, stdout) = (Arc::clone(self), key.clone(), agent.stdout);
                let reader = thread::spawn(move || server.relay(&name, stdout));
                let mut open = agent.stdin.write_all(MAGIC).is_ok();
                for frame in frames {
                    open = open && write_frame(&mut agent.stdin, &frame).is_ok();
                }
                drop(agent.stdin);
                reader.join().ok();
                agent.process.wait().ok();
            }
        }
        lock(&self.table).alive -= 1;
        self.gone.notify_all();
    }

    /// Passes on what a child says, until it ends.
    fn relay(&self, key: &Become, stdout: impl Read) {
        let mut stdout = BufReader::with_capacity(256 * 1024, stdout);
        let reason = loop {
            match read_frame(&mut stdout) {
                Ok(Some(frame)) => {
                    if let Frame::Control(Control::Done { id, .. } | Control::Refused { id, .. }) =
                        &frame
                    {
                        lock(&self.table).tasks.remove(id);
                    }
                    self.send(&frame).ok();
                    self.gone.notify_all();
                }
                Ok(None) => break String::new(),
                Err(error) => break format!(": {error}"),
            }
        };
        self.lose_child(
            key,
            &Refusal {
                kind: RefusalKind::Lost,
                message: format!("the agent of {} ended while its task ran{reason}", key.user),
            },
        );
    }

    /// Forgets a child that couldn't start or has ended, and tells so of every task that it had.
    fn lose_child(&self, key: &Become, refusal: &Refusal) {
        let mut table = lock(&self.table);
        table.children.remove(key);
        let orphans: Vec<u64> = table
            .tasks
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Child(child) if child == key))
            .map(|(id, _)| *id)
            .collect();
        for id in &orphans {
            table.tasks.remove(id);
        }
        drop(table);
        for id in orphans {
            self.send(&Frame::Control(Control::Refused {
                id,
                refusal: refusal.clone(),
            }))
            .ok();
        }
        self.gone.notify_all();
    }

    /// Writes the result of a task that nobody waits for; the first one counts.
    fn leave_result(&self, outcome: &Outcome) {
        let Some(Alone { file, jid, .. }) = lock(&self.alone).take() else {
            return;
        };
        let mut result = serde_json::to_value(outcome).unwrap_or_default();
        if let Some(result) = result.as_object_mut() {
            result.remove("kopsrun_micros");
        }
        result["ansible_job_id"] = jid.into();
        // Nobody is left who could be told that the disk is full; the file then says that the task still runs.
        modules::background::keep(&file, &result).ok();
    }

    /// The channel has ended and the task goes on: until it ends, or its time is over.
    fn go_on(&self, limit: Duration) {
        let table = lock(&self.table);
        let (table, _) = self
            .gone
            .wait_timeout_while(table, limit, |table| {
                !table.tasks.is_empty() || table.alive > 0
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(table);
        let over = Failure::new(format!(
            "Job reached maximum time limit of {} seconds.",
            limit.as_secs()
        ));
        self.leave_result(&over.with("child_pid", std::process::id()).into());
    }

    /// The channel has ended: so does everything that was started through it.
    fn close(&self) {
        let limit = lock(&self.alone).as_ref().map(|alone| alone.limit);
        if let Some(limit) = limit {
            self.go_on(limit);
        }
        // Threads that wait for a task end.
        lock(&self.idle).take();
        let mut table = lock(&self.table);
        // Closes the input of each child, which then does the same as this.
        table.children.clear();
        for slot in table.tasks.values() {
            if let Slot::Here(job) = slot {
                job.cancel(PATIENCE);
            }
        }
        table.tasks.retain(|_, slot| matches!(slot, Slot::Here(_)));
        let (table, _) = self
            .gone
            .wait_timeout_while(table, LAST_WAIT, |table| {
                !table.tasks.is_empty() || table.alive > 0
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(table);
        self.program.remove_copy();
    }
}

#[cfg(test)]
mod tests;
