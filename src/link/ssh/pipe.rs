//! A channel as streams. Its own task always reads it: a channel that nobody reads stops the whole connection.

use super::lock;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelWriteHalf};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How much may wait for a reader that doesn't read, before the channel is given up instead of the connection.
const MOST_WAITING: usize = 64 * 1024 * 1024;

/// How much of standard error is kept, for messages.
const STDERR_KEPT: usize = 16 * 1024;

/// How a command ended, and what it said on standard error.
#[derive(Debug, Default)]
pub(in crate::link) struct ExitState {
    pub status: Option<u32>,
    pub stderr: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::link) struct Exit(Arc<Mutex<ExitState>>);

impl Exit {
    pub(in crate::link) fn status(&self) -> Option<u32> {
        lock(&self.0).status
    }

    pub(in crate::link) fn set_status(&self, status: u32) {
        lock(&self.0).status = Some(status);
    }

    pub(in crate::link) fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0).stderr)
            .trim()
            .to_owned()
    }

    /// Keeps the end of standard error.
    pub(in crate::link) fn add_stderr(&self, data: &[u8]) {
        let mut state = lock(&self.0);
        state.stderr.extend_from_slice(data);
        let over = state.stderr.len().saturating_sub(STDERR_KEPT);
        state.stderr.drain(..over);
    }
}

/// The streams of one channel.
pub(in crate::link) struct Pipe {
    pub reader: PipeReader,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub exit: Exit,
}

pub(in crate::link) struct PipeReader {
    incoming: UnboundedReceiver<bytes::Bytes>,
    rest: bytes::Bytes,
    waiting: Arc<AtomicUsize>,
}

impl Pipe {
    pub(super) fn new(channel: Channel<Msg>) -> Self {
        let (sender, incoming) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let exit = Exit::default();
        let (mut read, write) = channel.split();
        let writer = Box::new(write.make_writer());
        let (ended, counter) = (exit.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            let mut open = Some(write);
            loop {
                let message = tokio::select! {
                    message = read.wait() => message,
                    () = sender.closed(), if open.is_some() => {
                        close(open.take());
                        continue;
                    }
                };
                match message {
                    Some(ChannelMsg::Data { data }) => {
                        let size = data.len();
                        let full = counter.fetch_add(size, Ordering::Relaxed) + size > MOST_WAITING;
                        if full || sender.send(data).is_err() {
                            // What still comes is thrown away until the other side closes.
                            close(open.take());
                        }
                    }
                    Some(ChannelMsg::ExtendedData { data, .. }) => ended.add_stderr(&data),
                    Some(ChannelMsg::ExitStatus { exit_status }) => ended.set_status(exit_status),
                    None | Some(ChannelMsg::Close) => break,
                    Some(_) => {}
                }
            }
        });
        Self {
            reader: PipeReader {
                incoming,
                rest: bytes::Bytes::new(),
                waiting,
            },
            writer,
            exit,
        }
    }

    /// Both directions as one.
    pub(in crate::link) fn into_stream(self) -> PipeStream {
        PipeStream {
            reader: self.reader,
            writer: self.writer,
        }
    }
}

/// Asks for the channel's end, in a task of its own: the connection may be waiting for us to read before it takes more.
fn close(write: Option<ChannelWriteHalf<Msg>>) {
    if let Some(write) = write {
        tokio::spawn(async move { write.close().await });
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.incoming.poll_recv(cx)) {
                Some(data) => self.rest = data,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buf.remaining());
        let part = self.rest.split_to(count);
        buf.put_slice(&part);
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// A channel as a socket.
pub(in crate::link) struct PipeStream {
    reader: PipeReader,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl AsyncRead for PipeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for PipeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
