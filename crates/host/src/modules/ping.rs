//! `ping`: the agent answers.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Return, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Ping {
    data: String,
}

impl Module for Ping {
    const SPEC: Spec = Spec::new(
        "ping",
        "Checks that the agent runs and answers.",
        &[Arg::new("data", Kind::Str, "What to answer; `crash` fails.").default("pong")],
    )
    .returns(&[Return::new("ping", "pong, or what data says.")]);

    fn run(self, _cx: &Context) -> Result<Outcome, Failure> {
        if self.data == "crash" {
            return Err(Failure::new("boom"));
        }
        Ok(Outcome::ok().with("ping", self.data))
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::run;
    use serde_json::json;

    #[test]
    fn answers() {
        assert_eq!(run("ping", json!({})).data["ping"], "pong");
        assert_eq!(run("ping", json!({"data": 5})).data["ping"], "5");
        assert!(run("ping", json!({"data": "crash"})).failed);
    }
}
