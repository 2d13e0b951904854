//! `raw`: a command line without an agent, for hosts on which nothing else runs yet.

use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::Blobs;

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let line = call.free.clone().unwrap_or_default();
    if line.trim().is_empty() {
        return Err(call.fault("raw: no command is given").into());
    }
    if call.check {
        return Ok(Done::skipped("check mode")
            .with("msg", "remote module (raw) does not support check mode"));
    }
    let task = call.task("raw", serde_json::Map::new())?;
    if task.escalate.is_some() {
        return as_another(call, line).await;
    }
    let mut command = String::new();
    for (name, value) in &task.environment {
        command.push_str(&format!("{name}={} ", quoted(value)));
    }
    match call.text("executable") {
        Some(shell) => command.push_str(&format!("{shell} -c {}", quoted(&line))),
        None => command.push_str(&line),
    }
    let at = call.whereabouts()?;
    let run = &call.attempt.batch.run;
    let output = run.connect.exec(&at, command, None).await?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let mut done = Done::changed(true)
        .with("rc", output.rc)
        .with("stdout_lines", lines(&stdout))
        .with("stderr_lines", lines(&stderr))
        .with("stdout", stdout)
        .with("stderr", stderr);
    if output.rc != 0 {
        done = done
            .with("failed", true)
            .with("msg", "non-zero return code");
    }
    Ok(done)
}

/// Another user's rights come with the agent's child; a raw command that needs them goes through it.
async fn as_another(call: &Call<'_>, line: String) -> Result<Done, Problem> {
    let mut args = call.json_args();
    args.insert("_raw_params".to_owned(), line.into());
    let mut done = call.module("shell", args, Blobs::new()).await?;
    for name in ["cmd", "start", "end", "delta"] {
        done.result.shift_remove(name);
    }
    Ok(done)
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
