//! The controller's end of an agent: tasks by id on one stream, content in both directions on credit.

use super::blobs::{Blob, BlobSource};
use super::error::LinkError;
use super::ssh::{Exit, Ssh, lock};
use bytes::Bytes;
use host::wire::{Control, Decoder, Frame, Hello, MAGIC, MAX_DATA, Refusal, RefusalKind, WINDOW};
use host::{BlobRef, Outcome, Task};
use std::any::Any;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Frames that wait to be written; more make their senders wait.
const QUEUE: usize = 32;

/// A running agent.
pub(super) struct Agent {
    shared: Arc<Shared>,
    pub(super) hello: Hello,
    /// Ended with the agent; then its streams close and it ends on the host.
    reading: AbortHandle,
    /// Tasks that the agent may be given: a thousand hosts may delegate to one at the same time.
    turns: Semaphore,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

struct Shared {
    /// Name in the inventory.
    host: String,
    frames: mpsc::Sender<Vec<u8>>,
    tasks: Mutex<Tasks>,
    next: AtomicU64,
}

#[derive(Default)]
struct Tasks {
    running: HashMap<u64, Running>,
    /// Why the agent is gone.
    ended: Option<String>,
}

/// Ends a task with its owner.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One task that the agent works on.
struct Running {
    doing: String,
    reply: oneshot::Sender<Result<Outcome, LinkError>>,
    blobs: Arc<dyn BlobSource>,
    offered: Vec<BlobRef>,
    /// How many more bytes the agent takes.
    credit: Arc<Semaphore>,
    /// Where the bytes go that the agent sends.
    fetched: Option<mpsc::UnboundedSender<Bytes>>,
}

/// The streams of an agent that has said hello.
pub(super) struct Streams {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub decoder: Decoder,
    pub hello: Hello,
    pub exit: Exit,
    /// Lives as long as the agent: a child process.
    pub keep: Box<dyn Any + Send>,
    /// The connection under it, which knows why it ended.
    pub ssh: Option<Arc<Ssh>>,
}

impl Agent {
    /// Takes over the streams.
    pub(super) fn start(host: &str, streams: Streams) -> Self {
        let (frames, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            host: host.to_owned(),
            frames,
            tasks: Mutex::default(),
            next: AtomicU64::new(1),
        });
        let Streams {
            reader,
            writer,
            decoder,
            hello,
            exit,
            keep,
            ssh,
        } = streams;
        let writing = AbortOnDrop(tokio::spawn(write_frames(writer, queue)).abort_handle());
        let end = Arc::clone(&shared);
        let reading = tokio::spawn(async move {
            let _held = (writing, keep);
            let ended = end.read(reader, decoder).await;
            let reason = ssh.and_then(|ssh| ssh.said()).unwrap_or(ended);
            let stderr = exit.stderr();
            end.end(if stderr.is_empty() {
                reason
            } else {
                format!("{reason}; it said: {stderr}")
            });
        });
        Self {
            shared,
            hello,
            reading: reading.abort_handle(),
            turns: Semaphore::new(host::MAX_TASKS),
        }
    }

    /// Ends it; tasks that are under way are lost.
    pub(super) fn end(&self) {
        self.shared.end("the link was closed".to_owned());
        self.reading.abort();
    }

    /// The stream has ended: no task can be run any more.
    pub(super) fn is_ended(&self) -> bool {
        lock(&self.shared.tasks).ended.is_some()
    }

    /// Runs one task. Dropping the future cancels it on the host.
    pub(super) async fn run(
        &self,
        task: Task,
        blobs: Arc<dyn BlobSource>,
    ) -> Result<Outcome, LinkError> {
        let _turn = self.turns.acquire().await;
        let (_guard, reply) = self.begin(task, blobs, None).await?;
        self.shared.settle(reply).await
    }

    /// Runs one task that streams content back; the bytes go to `into` as they come.
    pub(super) async fn fetch(
        &self,
        task: Task,
        into: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Outcome, LinkError> {
        let (sender, mut data) = mpsc::unbounded_channel::<Bytes>();
        let _turn = self.turns.acquire().await;
        let (guard, reply) = self.begin(task, Arc::new(()), Some(sender)).await?;
        // Ends when the task is over: then nobody holds the sender any more.
        while let Some(bytes) = data.recv().await {
            into.write_all(&bytes)
                .await
                .map_err(|error| self.unwritable(&error))?;
            self.shared
                .say(&Control::More {
                    id: guard.id,
                    bytes: bytes.len() as u64,
                })
                .await;
        }
        into.flush()
            .await
            .map_err(|error| self.unwritable(&error))?;
        self.shared.settle(reply).await
    }

    fn unwritable(&self, error: &std::io::Error) -> LinkError {
        LinkError::Content {
            host: self.shared.host.clone(),
            what: "what was fetched can't be written".to_owned(),
            reason: error.to_string(),
        }
    }

    async fn begin(
        &self,
        task: Task,
        blobs: Arc<dyn BlobSource>,
        fetched: Option<mpsc::UnboundedSender<Bytes>>,
    ) -> Result<(Guard, oneshot::Receiver<Result<Outcome, LinkError>>), LinkError> {
        let shared = &self.shared;
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let (reply, receiver) = oneshot::channel();
        let running = Running {
            doing: format!("running {}", task.module),
            reply,
            blobs,
            offered: task.blobs.clone(),
            credit: Arc::new(Semaphore::new(WINDOW as usize)),
            fetched,
        };
        let frame = Frame::Control(Control::Run {
            id,
            task: Box::new(task),
        })
        .encode();
        let frame = frame.map_err(|error| LinkError::Content {
            host: shared.host.clone(),
            what: running.doing.clone(),
            reason: error.to_string(),
        })?;
        {
            let mut tasks = lock(&shared.tasks);
            if let Some(reason) = &tasks.ended {
                return Err(shared.lost(&running.doing, reason));
            }
            tasks.running.insert(id, running);
        }
        let guard = Guard {
            shared: Arc::clone(shared),
            id,
        };
        // When nobody takes it, the reader has noticed or is about to, and tells why.
        drop(shared.frames.send(frame).await);
        Ok((guard, receiver))
    }
}

/// Cancels the task on the host when its caller goes away.
struct Guard {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(running) = lock(&self.shared.tasks).running.remove(&self.id) else {
            return;
        };
        running.credit.close();
        let (shared, id) = (Arc::clone(&self.shared), self.id);
        // Outside of a runtime nothing runs any more, and the agent ends with its stream.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { shared.say(&Control::Cancel { id }).await });
        }
    }
}

async fn write_frames(
    mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    mut queue: mpsc::Receiver<Vec<u8>>,
) {
    let mut result = writer.write_all(MAGIC).await;
    while result.is_ok() {
        let Some(frame) = queue.recv().await else {
            break;
        };
        result = writer.write_all(&frame).await;
        if result.is_ok() && queue.is_empty() {
            result = writer.flush().await;
        }
    }
    // A stream that takes nothing ends on the reading side too, where it is told.
    drop(writer.shutdown().await);
}

impl Shared {
    fn lost(&self, doing: &str, reason: &str) -> LinkError {
        LinkError::Lost {
            host: self.host.clone(),
            doing: doing.to_owned(),
            reason: reason.to_owned(),
        }
    }

    async fn say(&self, control: &Control) {
        if let Ok(frame) = Frame::Control(control.clone()).encode() {
            drop(self.frames.send(frame).await);
        }
    }

    async fn settle(
        &self,
        reply: oneshot::Receiver<Result<Outcome, LinkError>>,
    ) -> Result<Outcome, LinkError> {
        reply
            .await
            .unwrap_or_else(|_| Err(self.lost("running a task", "the agent was closed")))
    }

    /// Reads until the stream ends; says why it did.
    async fn read(
        self: &Arc<Self>,
        mut reader: Box<dyn AsyncRead + Send + Unpin>,
        mut decoder: Decoder,
    ) -> String {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => self.take(frame),
                    Ok(None) => break,
                    Err(error) => return error.to_string(),
                }
            }
            match reader.read(&mut buffer).await {
                Ok(0) => return "the agent's stream ended".to_owned(),
                Ok(count) => decoder.push(&buffer[..count]),
                Err(error) => return error.to_string(),
            }
        }
    }

    fn take(self: &Arc<Self>, frame: Frame) {
        match frame {
            Frame::Data(id, data) => self.take_data(id, data),
            Frame::Control(Control::Done { id, outcome }) => self.finish(id, Ok(outcome)),
            Frame::Control(Control::Refused { id, refusal }) => {
                let doing = lock(&self.tasks)
                    .running
                    .get(&id)
                    .map(|r| r.doing.clone())
                    .unwrap_or_default();
                self.finish(id, Err(refused(&self.host, &doing, &refusal)));
            }
            Frame::Control(Control::Need { id, name }) => self.serve(id, name),
            Frame::Control(Control::More { id, bytes }) => {
                if let Some(running) = lock(&self.tasks).running.get(&id) {
                    let room = Semaphore::MAX_PERMITS - running.credit.available_permits();
                    running
                        .credit
                        .add_permits(usize::try_from(bytes).unwrap_or(room).min(room));
                }
            }
            // Said once, or only by this side.
            Frame::Control(_) => {}
        }
    }

    fn take_data(self: &Arc<Self>, id: u64, data: Vec<u8>) {
        let size = data.len() as u64;
        let taken = lock(&self.tasks)
            .running
            .get(&id)
            .and_then(|running| running.fetched.as_ref())
            .is_some_and(|fetched| fetched.send(data.into()).is_ok());
        if !taken {
            // Of a task that was cancelled, or that nobody wanted bytes from: let it go on to its end.
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.say(&Control::More { id, bytes: size }).await });
        }
    }

    fn finish(&self, id: u64, result: Result<Outcome, LinkError>) {
        let running = lock(&self.tasks).running.remove(&id);
        if let Some(running) = running {
            running.credit.close();
            // The caller may be gone.
            drop(running.reply.send(result));
        }
    }

    fn end(&self, reason: String) {
        let mut tasks = lock(&self.tasks);
        let running = std::mem::take(&mut tasks.running);
        for running in running.into_values() {
            let lost = self.lost(&running.doing, &reason);
            running.credit.close();
            drop(running.reply.send(Err(lost)));
        }
        tasks.ended.get_or_insert(reason);
    }

    /// Sends a blob that the agent asked for, beside everything else.
    fn serve(self: &Arc<Self>, id: u64, name: String) {
        let found = lock(&self.tasks).running.get(&id).map(|running| {
            let offered = running
                .offered
                .iter()
                .find(|blob| blob.name == name)
                .cloned();
            (
                Arc::clone(&running.blobs),
                offered,
                Arc::clone(&running.credit),
            )
        });
        let Some((blobs, offered, credit)) = found else {
            return;
        };
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let Some(offered) = offered else {
                let message = format!("the task has no content named {name}");
                return shared.say(&Control::Missing { id, message }).await;
            };
            match blobs.blob(&name) {
                None => {
                    let message = format!("the controller has no content named {name}");
                    shared.say(&Control::Missing { id, message }).await;
                }
                Some(Blob::Bytes(bytes)) if bytes.len() as u64 == offered.size => {
                    shared
                        .send_all(id, &mut &bytes[..], offered.size, &credit)
                        .await
                        .unwrap_or_default();
                }
                Some(Blob::Bytes(_)) => {
                    let message =
                        format!("the content named {name} hasn't the size that the task says");
                    shared.say(&Control::Missing { id, message }).await;
                }
                Some(Blob::File(path)) => shared.send_file(id, &path, offered.size, &credit).await,
            }
        });
    }

    async fn send_file(&self, id: u64, path: &Path, size: u64, credit: &Semaphore) {
        let opened = async {
            let file = tokio::fs::File::open(path).await?;
            let found = file.metadata().await?.len();
            Ok::<_, std::io::Error>((file, found))
        };
        let message = match opened.await {
            Ok((mut file, found)) if found == size => {
                match self.send_all(id, &mut file, size, credit).await {
                    Ok(()) => return,
                    // Too late for Missing: part of it is on the way.
                    Err(error) => {
                        let what = path.display().to_string();
                        let error = LinkError::Content {
                            host: self.host.clone(),
                            what,
                            reason: error.to_string(),
                        };
                        self.finish(id, Err(error));
                        return self.say(&Control::Cancel { id }).await;
                    }
                }
            }
            Ok((_, found)) => {
                format!(
                    "{} has {found} bytes and had {size} when the task began",
                    path.display()
                )
            }
            Err(error) => format!("{}: {error}", path.display()),
        };
        self.say(&Control::Missing { id, message }).await;
    }

    /// Sends exactly `size` bytes, never more ahead than the agent allows. An error is one of reading.
    async fn send_all(
        &self,
        id: u64,
        from: &mut (dyn AsyncRead + Send + Unpin),
        size: u64,
        credit: &Semaphore,
    ) -> std::io::Result<()> {
        let mut left = size;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(MAX_DATA).min(MAX_DATA);
            let mut bytes = vec![0; part];
            from.read_exact(&mut bytes).await?;
            // Closed: the agent is gone, and everybody has been told.
            let Ok(permit) = credit.acquire_many(part as u32).await else {
                return Ok(());
            };
            permit.forget();
            let Ok(frame) = Frame::Data(id, bytes).encode() else {
                return Ok(());
            };
            if self.frames.send(frame).await.is_err() {
                return Ok(());
            }
            left -= part as u64;
        }
        Ok(())
    }
}

/// Why another user's agent couldn't be had, by what the operator has to do about it.
fn refused(host: &str, doing: &str, refusal: &Refusal) -> LinkError {
    let (host, reason) = (host.to_owned(), refusal.message.clone());
    let doing = doing.to_owned();
    match refusal.kind {
        RefusalKind::SudoPasswordNeeded
        | RefusalKind::SudoPasswordWrong
        | RefusalKind::SuPasswordNeeded
        | RefusalKind::SuPasswordWrong => LinkError::SudoPassword {
            host,
            doing,
            reason,
        },
        RefusalKind::NoProgram => LinkError::NoExec {
            host,
            tried: vec![("as the other user".to_owned(), reason)],
        },
        RefusalKind::Lost => LinkError::Lost {
            host,
            doing,
            reason,
        },
        _ => LinkError::NoSudo {
            host,
            doing,
            reason,
        },
    }
}

#[cfg(test)]
mod tests;
