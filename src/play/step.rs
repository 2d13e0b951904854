//! `--step`: a person says before every task whether it is run.

use super::run::{Run, Stop};
use super::store::lock;
use crate::content::place::Fault;
use crate::content::playbook::Task;
use crate::journal::Event;

impl Run {
    /// True when the task is to run. Asks where steps are wanted; what isn't yes or continue is no.
    pub(super) async fn wants(&self, task: &Task, name: &str) -> Result<bool, Stop> {
        let Some(asker) = self.request.step.clone().filter(|_| *lock(&self.steps)) else {
            return Ok(true);
        };
        let kind = if task.handler { "HANDLER" } else { "TASK" };
        let role = task.frame.role().map(|role| format!("{} : ", role.name));
        let question = format!(
            "Perform task: {kind}: {}{name} (N)o/(y)es/(c)ontinue: ",
            role.unwrap_or_default()
        );
        let asked = question.clone();
        let answer = tokio::task::spawn_blocking(move || asker.ask(&asked, true)).await;
        let answer = answer
            .map_err(std::io::Error::other)
            .and_then(|answer| answer);
        let answer = answer.map_err(|error| {
            Stop::Fault(
                Fault::new(format!("the answer to --step can't be read: {error}")).at(&task.place),
            )
        })?;
        self.sink.emit(Event::Asked { question });
        let answer = answer.to_lowercase();
        if matches!(answer.as_str(), "c" | "continue") {
            *lock(&self.steps) = false;
            return Ok(true);
        }
        Ok(matches!(answer.as_str(), "y" | "yes"))
    }
}
