//! `reboot`: restarts the host and waits until it is back.

use crate::content::place::Fault;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blobs, Whereabouts};
use crate::play::keep::number;
use serde_json::{Map, Value as Json};
use std::time::{Duration, Instant};

/// Changes with every boot.
const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";
/// Where programs of the system are that PATH doesn't always have.
const PATHS: &str = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin";
/// Between two attempts to reach the host.
const AGAIN: Duration = Duration::from_secs(1);

/// How long each part may take, and what is asked of the host.
struct Wanted {
    limit: Duration,
    connect: Duration,
    before: u64,
    after: Duration,
    boot: String,
    test: String,
    command: String,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let at = call.whereabouts()?;
    let nothing = |done: Done| done.with("elapsed", 0).with("rebooted", false);
    if at.connection == "local" {
        return Ok(nothing(Done::failed(
            "Running reboot with local connection would reboot the control node.",
        )));
    }
    if call.check {
        return Ok(Done::changed(true)
            .with("elapsed", 0)
            .with("rebooted", true));
    }
    let wanted = Wanted::of(call)?;
    let began = Instant::now();
    let (rc, boot) = shell(call, &wanted.boot).await?;
    if rc != 0 {
        return Ok(nothing(Done::failed(format!(
            "`{}` failed, so that a restart couldn't be told: {boot}",
            wanted.boot
        ))));
    }
    match shell(call, &wanted.command).await {
        Ok((0, _)) => {}
        Ok((_, said)) => {
            return Ok(nothing(Done::failed(format!(
                "Reboot command failed. Error was: '{said}'"
            ))));
        }
        // It was quicker than its own answer.
        Err(Problem::Lost(_)) => {}
        Err(problem) => return Err(problem),
    }
    tokio::time::sleep(Duration::from_secs(wanted.before * 60) + wanted.after).await;
    let done = |ended: Done| ended.with("elapsed", began.elapsed().as_secs());
    let is_back = |said: &(i64, String)| said.0 == 0 && said.1 != boot;
    if let Err(why) = wait(call, &at, &wanted, &wanted.boot, is_back).await? {
        return Ok(done(Done::failed(format!(
            "Timed out waiting for last boot time check (timeout={}): {why}",
            wanted.limit.as_secs()
        )))
        .with("rebooted", true)
        .with("changed", true));
    }
    if let Err(why) = wait(call, &at, &wanted, &wanted.test, |said| said.0 == 0).await? {
        return Ok(done(Done::failed(format!(
            "Timed out waiting for post-reboot test command (timeout={}): {why}",
            wanted.limit.as_secs()
        )))
        .with("rebooted", true)
        .with("changed", true));
    }
    Ok(done(Done::changed(true).with("rebooted", true)))
}

impl Wanted {
    fn of(call: &Call<'_>) -> Result<Self, Fault> {
        let seconds = |names: &[&str], default: f64| -> Result<Duration, Fault> {
            let given = names
                .iter()
                .find_map(|name| Some((name, call.args.get(*name)?)));
            let Some((name, value)) = given else {
                return Ok(Duration::from_secs_f64(default));
            };
            let number = number(value).filter(|seconds| (0.0..1e9).contains(seconds));
            number.map(Duration::from_secs_f64).ok_or_else(|| {
                let message = format!(
                    "reboot: {name} must be a number of seconds; got {}",
                    value.repr()
                );
                Fault::new(message).at(call.place(name))
            })
        };
        // `shutdown` counts minutes.
        let before = seconds(&["pre_reboot_delay", "pre_reboot_delay_sec"], 0.0)?.as_secs() / 60;
        let message = call
            .text("msg")
            .unwrap_or_else(|| "Reboot initiated by Ansible".to_owned());
        let mut paths = call.list("search_paths").join(":");
        if paths.is_empty() {
            PATHS.clone_into(&mut paths);
        }
        let command = call.text("reboot_command").unwrap_or_else(|| {
            format!(
                "PATH={}:$PATH shutdown -r {before} {}",
                quoted(&paths),
                quoted(&message)
            )
        });
        Ok(Self {
            limit: seconds(&["reboot_timeout", "reboot_timeout_sec"], 600.0)?,
            connect: seconds(&["connect_timeout", "connect_timeout_sec"], 5.0)?,
            before,
            after: seconds(&["post_reboot_delay", "post_reboot_delay_sec"], 0.0)?,
            boot: call
                .text("boot_time_command")
                .unwrap_or_else(|| BOOT.to_owned()),
            test: call
                .text("test_command")
                .unwrap_or_else(|| "whoami".to_owned()),
            command,
        })
    }
}

/// Asks the host until the answer is good. The inner error is what was wrong at the end of the time.
async fn wait(
    call: &Call<'_>,
    at: &Whereabouts,
    wanted: &Wanted,
    line: &str,
    good: impl Fn(&(i64, String)) -> bool,
) -> Result<Result<(), String>, Problem> {
    let connect = &call.attempt.batch.run.connect;
    let until = Instant::now() + wanted.limit;
    loop {
        let why = match tokio::time::timeout(wanted.connect + AGAIN, shell(call, line)).await {
            Ok(Ok(said)) if good(&said) => return Ok(Ok(())),
            Ok(Ok((rc, said))) => format!("`{line}` gave {rc}: {said}"),
            Ok(Err(Problem::Lost(lost))) => lost.message,
            Ok(Err(problem)) => return Err(problem),
            Err(_) => format!("{} didn't answer", at.name),
        };
        if Instant::now() >= until {
            return Ok(Err(why));
        }
        // A connection from before the restart may never say that it is dead.
        drop(tokio::time::timeout(AGAIN, connect.reset(at)).await);
        tokio::time::sleep(AGAIN).await;
    }
}

/// A command line on the host: its exit code and what it said.
async fn shell(call: &Call<'_>, line: &str) -> Result<(i64, String), Problem> {
    let mut args = Map::new();
    args.insert("_raw_params".to_owned(), line.into());
    let done = call.module("shell", args, Blobs::new()).await?;
    let text = |name: &str| {
        done.result
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .trim()
    };
    let rc = done.result.get("rc").and_then(Json::as_i64);
    let said = [text("stdout"), text("stderr")]
        .into_iter()
        .filter(|text| !text.is_empty());
    let mut said = said.collect::<Vec<_>>().join(", ");
    if rc.is_none() {
        text("msg").clone_into(&mut said);
    }
    Ok((rc.unwrap_or(-1), said))
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
