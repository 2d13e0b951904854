//! `assert`: conditions that must hold.

use crate::content::inventory::Var;
use crate::content::value::Value;
use crate::journal::Detail;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::keep::{as_text, condition};
use serde_json::Value as Json;

pub(super) fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let place = call.place("that").clone();
    let that = match call.args.get("that") {
        Some(Value::List(items)) => items.read().map(|items| items.clone()).unwrap_or_default(),
        Some(one) => vec![one.clone()],
        None => return Err(call.fault("assert: the argument that is missing").into()),
    };
    let quiet = call.flag("quiet", false);
    let detail = if quiet {
        Detail::Normal
    } else {
        Detail::Always
    };
    for value in that {
        let var = Var {
            value,
            place: place.clone(),
        };
        let holds = condition(call.templar, &var)?;
        if !holds {
            let rendered = call.templar.render(&var.value);
            let rendered = rendered.unwrap_or_else(|_| var.value.clone());
            let message = call.args.get("fail_msg").or_else(|| call.args.get("msg"));
            let mut done = Done::ok()
                .with("failed", true)
                .with("evaluated_to", false)
                .with("assertion", rendered.to_json())
                .with(
                    "msg",
                    message.map_or_else(|| Json::from("Assertion failed"), Value::to_json),
                );
            let mut fault = call.fault(format!("`{}` is false", as_text(&var.value)));
            fault.place = Some(place);
            let said = message.map_or_else(|| "Assertion failed".to_owned(), as_text);
            done.said = Some(format!("{said}: `{}` is false", as_text(&var.value)));
            done.fault = Some(fault);
            done.detail = detail;
            return Ok(done);
        }
    }
    let message = call
        .args
        .get("success_msg")
        .map_or_else(|| Json::from("All assertions passed"), Value::to_json);
    let mut done = Done::changed(false).with("msg", message.clone());
    done.detail = detail;
    if !quiet {
        done.said = Some(
            message
                .as_str()
                .map_or_else(|| message.to_string(), str::to_owned),
        );
    }
    Ok(done)
}
