//! `wait_for_connection`: until the host can be worked on.

use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::keep::number;
use std::time::{Duration, Instant};

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let seconds = |name: &str, default: f64| {
        call.args
            .get(name)
            .and_then(number)
            .unwrap_or(default)
            .max(0.0)
    };
    let duration = |name: &str, default: f64| Duration::from_secs_f64(seconds(name, default));
    let (limit, one) = (duration("timeout", 600.0), duration("connect_timeout", 5.0));
    let pause = duration("sleep", 1.0);
    if call.check {
        return Ok(Done::skipped("check mode").with("elapsed", 0));
    }
    let at = call.whereabouts()?;
    let connect = &call.attempt.batch.run.connect;
    let started = Instant::now();
    tokio::time::sleep(duration("delay", 0.0)).await;
    // What is open now may be what is about to go away.
    connect.reset(&at).await;
    loop {
        let lost = match connect.reach(&at, Some(one)).await {
            Ok(()) => return Ok(Done::changed(false).with("elapsed", started.elapsed().as_secs())),
            Err(lost) => lost,
        };
        if started.elapsed() + pause >= limit {
            let mut done = Done::failed(format!(
                "timed out waiting for a connection after {} seconds: {}",
                limit.as_secs(),
                lost.message
            ))
            .with("elapsed", started.elapsed().as_secs());
            let mut fault = call.fault(lost.message);
            fault.hints = lost.hints;
            done.fault = Some(fault);
            return Ok(done);
        }
        tokio::time::sleep(pause).await;
    }
}
