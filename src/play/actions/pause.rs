//! `pause`: waits for a time, or for an answer of the operator.

use crate::content::place::Fault;
use crate::journal::{Event, Level};
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::keep::number;
use jiff::Zoned;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PRESS: &str = "Press enter to continue, Ctrl+C to interrupt";

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let (seconds, minutes) = (amount(call, "seconds")?, amount(call, "minutes")?);
    if seconds.is_some() && minutes.is_some() {
        return Err(call
            .fault("pause: parameters are mutually exclusive: minutes|seconds")
            .into());
    }
    let echo = call.flag("echo", true);
    let (began, start) = (Instant::now(), Zoned::now());
    let mut answer = String::new();
    match seconds.or(minutes.map(|minutes| minutes * 60.0)) {
        Some(wait) => {
            let wait = wait.trunc().max(1.0);
            if let Some(prompt) = call.text("prompt") {
                note(
                    call,
                    Level::Info,
                    &format!("[{}]\n{prompt}", call.attempt.name),
                );
            }
            note(call, Level::Info, &format!("Pausing for {wait} seconds"));
            tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        }
        None => answer = asked(call, echo).await?,
    }
    let took = began.elapsed();
    let (unit, amount) = match seconds {
        Some(_) => ("seconds", took.as_secs_f64()),
        None => ("minutes", took.as_secs_f64() / 60.0),
    };
    let time = |at: &Zoned| at.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
    Ok(Done::changed(false)
        .with("rc", 0)
        .with("delta", took.as_secs())
        .with("echo", echo)
        .with("start", time(&start))
        .with("stop", time(&Zoned::now()))
        // Two digits, as Python prints them: 0.0, 1.01.
        .with(
            "stdout",
            format!("Paused for {:?} {unit}", (amount * 100.0).round() / 100.0),
        )
        .with("stderr", "")
        .with("user_input", answer))
}

/// Seconds or minutes, when they are given.
fn amount(call: &Call<'_>, name: &str) -> Result<Option<f64>, Fault> {
    let Some(value) = call.args.get(name) else {
        return Ok(None);
    };
    let number = number(value).filter(|amount| amount.is_finite() && *amount < 1e9);
    number.map(Some).ok_or_else(|| {
        let message = format!("pause: {name} must be a whole number; got {}", value.repr());
        Fault::new(message).at(call.place(name))
    })
}

/// What the operator typed; nothing where nobody can be asked.
async fn asked(call: &Call<'_>, echo: bool) -> Result<String, Fault> {
    let prompt = call.text("prompt").unwrap_or_else(|| PRESS.to_owned());
    let Some(asker) = call.attempt.batch.run.request.asker.clone() else {
        let text = "Not waiting for response to prompt as stdin is not interactive";
        note(call, Level::Warning, text);
        return Ok(String::new());
    };
    let hidden = if echo { "" } else { " (output is hidden)" };
    let question = format!("[{}]\n{prompt}{hidden}:", call.attempt.name);
    let asker = Arc::clone(&asker);
    let answer = tokio::task::spawn_blocking(move || asker.ask(&question, echo)).await;
    answer
        .map_err(std::io::Error::other)
        .and_then(|answer| answer)
        .map_err(|error| call.fault(format!("pause: the answer can't be read: {error}")))
}

fn note(call: &Call<'_>, level: Level, text: &str) {
    call.attempt.batch.run.sink.emit(Event::Note {
        level,
        text: text.to_owned(),
        host: None,
    });
}
