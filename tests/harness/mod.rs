//! Hosts in this process, and a sink that keeps what happens.
#![allow(dead_code, reason = "every test file uses a part of it")]

use futures::future::BoxFuture;
use kopsrun::journal::{Event, Sink};
use kopsrun::play::{Blob, Blobs, Connect, Exec, Lost, Tunnel, Whereabouts};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// Every host is this machine, except `down`.
#[derive(Default)]
pub struct Here {
    /// How many tasks run now, and how many ever ran at the same time.
    pub running: Mutex<(usize, usize)>,
    /// Every task that reached a host.
    pub tasks: Mutex<Vec<(Whereabouts, host::Task)>>,
}

fn lost(name: &str) -> Lost {
    Lost {
        message: format!("{name} doesn't answer"),
        hints: Vec::new(),
        reachable: false,
    }
}

async fn run_here(
    at: &Whereabouts,
    task: host::Task,
    blobs: Blobs,
) -> Result<(host::Outcome, Vec<u8>), Lost> {
    if at.name == "down" {
        return Err(lost(&at.name));
    }
    let ran = tokio::task::spawn_blocking(move || {
        let mut context = host::Context::local(task.check, task.diff);
        for (name, blob) in blobs {
            let content = match blob {
                Blob::Bytes(bytes) => bytes.to_vec(),
                Blob::File(path) => std::fs::read(path).expect("the file was hashed before"),
            };
            context.add_blob(&name, content);
        }
        let mut outcome = host::modules::run(&task, &context);
        outcome.add_lines();
        (outcome, context.sent())
    });
    Ok(ran.await.expect("modules don't panic"))
}

impl Connect for Here {
    fn run<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        blobs: Blobs,
    ) -> BoxFuture<'a, Result<host::Outcome, Lost>> {
        Box::pin(async move {
            self.tasks
                .lock()
                .expect("nobody panicked")
                .push((at.clone(), task.clone()));
            {
                let mut running = self.running.lock().expect("nobody panicked");
                running.0 += 1;
                running.1 = running.1.max(running.0);
            }
            let done = run_here(at, task, blobs).await;
            self.running.lock().expect("nobody panicked").0 -= 1;
            done.map(|(outcome, _)| outcome)
        })
    }

    fn fetch<'a>(
        &'a self,
        at: &'a Whereabouts,
        task: host::Task,
        into: PathBuf,
    ) -> BoxFuture<'a, Result<host::Outcome, Lost>> {
        Box::pin(async move {
            let (outcome, sent) = run_here(at, task, Blobs::new()).await?;
            std::fs::write(into, sent).expect("the directory was made");
            Ok(outcome)
        })
    }

    fn exec<'a>(
        &'a self,
        at: &'a Whereabouts,
        command: String,
        _stdin: Option<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Exec, Lost>> {
        Box::pin(async move {
            if at.name == "down" {
                return Err(lost(&at.name));
            }
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", &command])
                .output()
                .expect("a shell");
            Ok(Exec {
                rc: output.status.code().unwrap_or(-1),
                stdout: output.stdout,
                stderr: output.stderr,
            })
        })
    }

    fn reach<'a>(
        &'a self,
        at: &'a Whereabouts,
        _within: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(async move {
            if at.name == "down" {
                Err(lost(&at.name))
            } else {
                Ok(())
            }
        })
    }

    fn dial<'a>(
        &'a self,
        at: &'a Whereabouts,
        _address: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, Result<Tunnel, Lost>> {
        Box::pin(async move { Err(lost(&at.name)) })
    }

    fn reset<'a>(&'a self, _at: &'a Whereabouts) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// Keeps all events.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Event>>);

impl Kept {
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Sink for Kept {
    fn emit(&self, event: Event) {
        self.0.lock().expect("nobody panicked").push(event);
    }

    fn emit_synced(&self, event: Event) -> io::Result<()> {
        self.emit(event);
        Ok(())
    }
}
