//! `pause`: waits for a time.

use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::keep::number;
use std::time::{Duration, Instant};

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let amount = |name: &str| -> Result<Option<f64>, Problem> {
        let Some(value) = call.args.get(name) else {
            return Ok(None);
        };
        number(value)
            .filter(|amount| amount.is_finite())
            .map(Some)
            .ok_or_else(|| {
                call.fault(format!(
                    "pause: {name} must be a number; got {}",
                    value.repr()
                ))
                .into()
            })
    };
    let seconds = match (amount("seconds")?, amount("minutes")?) {
        (Some(seconds), _) => seconds,
        (None, Some(minutes)) => minutes * 60.0,
        (None, None) => {
            return Err(call
                .fault("pause: waiting for an answer of the operator is not supported yet")
                .hint("It comes with a later version; until then give `seconds:` or `minutes:`, or skip the task with `--skip-tags`.")
                .into());
        }
    };
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(seconds.max(0.0))).await;
    Ok(Done::changed(false)
        .with("rc", 0)
        .with("delta", started.elapsed().as_secs())
        .with("stdout", format!("Paused for {seconds} seconds"))
        .with("stderr", "")
        .with("user_input", ""))
}
