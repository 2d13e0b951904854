//! The agent over pipes in memory, with real programs.

use super::*;
use crate::wire::{Decoder, WINDOW};
use crate::{BlobRef, files};
use serde_json::json;
use sha1::{Digest, Sha1};
use std::io::{PipeReader, PipeWriter};
use std::path::Path;
use std::time::Instant;

/// A controller, and the agent that it talks to in a thread.
struct Controller {
    to: Option<PipeWriter>,
    from: PipeReader,
    decoder: Decoder,
    agent: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Controller {
    fn start() -> Self {
        let (input, to) = io::pipe().expect("a pipe");
        let (from, output) = io::pipe().expect("a pipe");
        let agent = thread::spawn(move || serve_as(input, output, Vec::new()));
        let mut this = Self {
            to: Some(to),
            from,
            decoder: Decoder::new(),
            agent: Some(agent),
        };
        this.write(MAGIC);
        assert!(matches!(this.next(), Frame::Control(Control::Hello(_))));
        this
    }

    fn write(&mut self, bytes: &[u8]) {
        self.to
            .as_mut()
            .expect("open")
            .write_all(bytes)
            .expect("written");
    }

    fn say(&mut self, control: Control) {
        self.write(&Frame::Control(control).encode().expect("short"));
    }

    fn run(&mut self, id: u64, module: &str, args: serde_json::Value) {
        self.say(Control::Run {
            id,
            task: Box::new(task(module, args)),
        });
    }

    fn next(&mut self) -> Frame {
        let mut chunk = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("sound frames") {
                return frame;
            }
            let count = self.from.read(&mut chunk).expect("readable");
            assert!(count > 0, "the agent ended");
            self.decoder.push(&chunk[..count]);
        }
    }

    fn done(&mut self) -> (u64, Outcome) {
        match self.next() {
            Frame::Control(Control::Done { id, outcome }) => (id, outcome),
            other => panic!("{other:?}"),
        }
    }

    fn hang_up(&mut self) -> io::Result<()> {
        drop(self.to.take());
        self.agent.take().expect("once").join().expect("no panic")
    }
}

fn task(module: &str, args: serde_json::Value) -> Task {
    let serde_json::Value::Object(args) = args else {
        panic!("a dictionary")
    };
    Task {
        module: module.to_owned(),
        args,
        ..Task::default()
    }
}

fn wait_until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(5), "it didn't happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A shell line that writes its process id to `file` and then stays, deaf to a polite request if so asked.
fn sleeper(file: &Path, deaf: bool) -> serde_json::Value {
    let trap = if deaf { "trap '' TERM; " } else { "" };
    json!({"cmd": format!("{trap}echo $$ > {f}.new; mv {f}.new {f}; while :; do sleep 1; done", f = file.display())})
}

fn pid_in(file: &Path) -> String {
    wait_until(|| file.exists());
    std::fs::read_to_string(file)
        .expect("there")
        .trim()
        .to_owned()
}

fn is_gone(pid: &str) -> bool {
    // The child of a killed program stays as a zombie until it is waited for.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn tasks_run_at_the_same_time() {
    let mut controller = Controller::start();
    controller.run(1, "command", json!({"cmd": "sleep 0.5"}));
    controller.run(2, "ping", json!({}));
    assert_eq!(controller.done().0, 2);
    let (id, outcome) = controller.done();
    assert_eq!((id, outcome.failed), (1, false));
    controller.hang_up().expect("a clean end");
}

#[test]
fn a_wrong_call_fails_and_the_agent_goes_on() {
    let mut controller = Controller::start();
    controller.run(1, "no_such_module", json!({}));
    assert!(controller.done().1.failed);
    controller.run(2, "ping", json!({"dta": 1}));
    let (_, outcome) = controller.done();
    assert!(
        outcome.data["msg"]
            .as_str()
            .expect("text")
            .contains("did you mean data?")
    );
    controller.run(3, "ping", json!({}));
    assert_eq!(controller.done().1.data["ping"], "pong");
}

#[test]
fn the_environment_of_the_task_reaches_its_programs() {
    let mut controller = Controller::start();
    let mut task = task("shell", json!({"cmd": "echo $KOPS_A"}));
    task.environment
        .insert("KOPS_A".to_owned(), "b c".to_owned());
    controller.say(Control::Run {
        id: 1,
        task: Box::new(task),
    });
    assert_eq!(controller.done().1.data["stdout"], "b c");
}

#[test]
fn cancel_ends_the_whole_group_also_when_it_is_deaf() {
    for deaf in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pid");
        let mut controller = Controller::start();
        controller.run(1, "shell", sleeper(&file, deaf));
        let pid = pid_in(&file);
        controller.say(Control::Cancel { id: 1 });
        let (id, outcome) = controller.done();
        assert_eq!((id, outcome.failed), (1, true));
        assert_eq!(outcome.data["msg"], "cancelled");
        wait_until(|| is_gone(&pid));
        controller.run(2, "ping", json!({}));
        assert!(!controller.done().1.failed);
    }
}

#[test]
fn the_end_of_the_channel_ends_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pid");
    let mut controller = Controller::start();
    controller.run(1, "shell", sleeper(&file, false));
    let pid = pid_in(&file);
    let start = Instant::now();
    controller.hang_up().expect("a clean end");
    assert!(start.elapsed() < Duration::from_secs(2));
    wait_until(|| is_gone(&pid));
}

#[test]
fn broken_frames_end_the_agent_and_its_tasks() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pid");
    let mut controller = Controller::start();
    controller.run(1, "shell", sleeper(&file, false));
    let pid = pid_in(&file);
    controller.write(&[b'C', 0xff, 0xff, 0xff, 0xff]);
    let result = controller
        .agent
        .take()
        .expect("once")
        .join()
        .expect("no panic");
    assert!(result.is_err());
    wait_until(|| is_gone(&pid));
}

#[test]
fn the_same_id_twice_is_refused() {
    let mut controller = Controller::start();
    controller.run(1, "command", json!({"cmd": "sleep 5"}));
    controller.run(1, "ping", json!({}));
    assert!(
        controller
            .agent
            .take()
            .expect("once")
            .join()
            .expect("no panic")
            .is_err()
    );
}

#[test]
fn a_huge_result_is_a_clear_failure() {
    let mut controller = Controller::start();
    // Control characters take six bytes each as JSON.
    controller.run(1, "shell", json!({"cmd": "head -c 20000000 /dev/zero"}));
    let (_, outcome) = controller.done();
    assert!(outcome.failed);
    assert!(
        outcome.data["msg"]
            .as_str()
            .expect("text")
            .contains("more than can be returned")
    );
}

/// Modules that exist only here: one that takes a blob and one that sends.
fn blob_task(content: &[u8]) -> (Task, BlobRef) {
    let blob = BlobRef {
        name: "content".to_owned(),
        sha1: files::hex(&Sha1::digest(content)),
        size: content.len() as u64,
        inline: None,
    };
    let mut task = task("ping", json!({}));
    task.blobs = vec![blob.clone()];
    (task, blob)
}

/// Both ends of a transfer over a real channel: the job and port of a server, and what it writes.
#[test]
fn blobs_stream_within_the_window() {
    let content: Vec<u8> = (0..5_000_000u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let (task, _) = blob_task(&content);
    let (mut from, output) = io::pipe().expect("a pipe");
    let server = Arc::new(Server {
        output: Mutex::new(Box::new(output)),
        table: Mutex::default(),
        gone: Condvar::new(),
        program: Program::new(Vec::new()),
        alone: Mutex::default(),
        idle: Mutex::new(Some(Vec::new())),
    });
    let job = Arc::new(Job::new(9));
    let cx = Context::over_channel(&task, Arc::clone(&job), server as Arc<dyn Port>);
    let receiver = thread::spawn(move || cx.blob_bytes("content"));
    assert_eq!(
        read_frame(&mut from).expect("sound"),
        Some(Frame::Control(Control::Need {
            id: 9,
            name: "content".to_owned()
        }))
    );
    let mut credit = WINDOW as usize;
    let mut rest = &content[..];
    while !rest.is_empty() {
        let count = credit.min(60_000).min(rest.len());
        if count == 0 {
            let Some(Frame::Control(Control::More { id: 9, bytes })) =
                read_frame(&mut from).expect("sound")
            else {
                panic!("it doesn't ask for more")
            };
            credit += bytes as usize;
            continue;
        }
        job.receive(&rest[..count]);
        rest = &rest[count..];
        credit -= count;
    }
    assert!(receiver.join().expect("no panic") == Ok(content));
}

#[test]
fn sending_waits_for_credit() {
    let (mut from, output) = io::pipe().expect("a pipe");
    let server = Arc::new(Server {
        output: Mutex::new(Box::new(output)),
        table: Mutex::default(),
        gone: Condvar::new(),
        program: Program::new(Vec::new()),
        alone: Mutex::default(),
        idle: Mutex::new(Some(Vec::new())),
    });
    let job = Arc::new(Job::new(9));
    let cx = Context::over_channel(&Task::default(), Arc::clone(&job), server as Arc<dyn Port>);
    let total = 3 * WINDOW as usize;
    let sender = thread::spawn(move || cx.send(&vec![7; total]));
    let mut got = 0;
    let mut credit = WINDOW as usize;
    while got < total {
        let Some(Frame::Data(9, data)) = read_frame(&mut from).expect("sound") else {
            panic!("only data")
        };
        got += data.len();
        credit -= data.len();
        if credit == 0 {
            credit = WINDOW as usize;
            job.allow(WINDOW);
        }
    }
    assert_eq!(sender.join().expect("no panic"), Ok(()));
}

#[test]
fn a_missing_blob_is_a_failure_that_says_so() {
    let (task, _) = blob_task(b"x");
    let server = Arc::new(Server {
        output: Mutex::new(Box::new(io::sink())),
        table: Mutex::default(),
        gone: Condvar::new(),
        program: Program::new(Vec::new()),
        alone: Mutex::default(),
        idle: Mutex::new(Some(Vec::new())),
    });
    let job = Arc::new(Job::new(9));
    let cx = Context::over_channel(&task, Arc::clone(&job), server as Arc<dyn Port>);
    job.miss("the file is gone".to_owned());
    let failure = cx.blob_bytes("content").expect_err("missing");
    assert!(failure.message.contains("the file is gone"), "{failure}");
}

#[test]
fn refusals_of_users_are_told_apart() {
    let mut controller = Controller::start();
    for (id, (user, method, kind)) in [
        ("nobody-of-this-name", "sudo", RefusalKind::UnknownUser),
        ("root", "doas", RefusalKind::UnknownMethod),
    ]
    .into_iter()
    .enumerate()
    {
        let mut task = task("ping", json!({}));
        task.escalate = Some(Become {
            user: user.to_owned(),
            method: method.to_owned(),
            password: None,
            exe: None,
            flags: None,
        });
        let id = id as u64;
        controller.say(Control::Run {
            id,
            task: Box::new(task),
        });
        match controller.next() {
            Frame::Control(Control::Refused {
                id: refused,
                refusal,
            }) => {
                assert_eq!((refused, refusal.kind), (id, kind), "{refusal}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn becoming_oneself_needs_no_other_agent() {
    let mut controller = Controller::start();
    let me = hello().user;
    let mut task = task("command", json!({"cmd": "id -un"}));
    task.escalate = Some(Become {
        user: me.clone(),
        method: "sudo".to_owned(),
        password: None,
        exe: None,
        flags: None,
    });
    controller.say(Control::Run {
        id: 1,
        task: Box::new(task),
    });
    assert_eq!(controller.done().1.data["stdout"], me);
}
