//! One task on some hosts, as a play.

use crate::content::place::{Fault, Place};
use crate::content::playbook::{Loader, Play};
use std::path::Path;
use std::sync::Arc;

/// The play of `kopsrun exec PATTERN -m MODULE -a ARGS`.
pub(super) fn plays(
    loader: &Loader,
    pattern: &str,
    module: &str,
    args: &str,
    dir: &Path,
) -> Result<Vec<Arc<Play>>, Vec<Fault>> {
    // JSON is YAML: nothing of what was typed can be taken for anything else.
    let arguments: serde_json::Value = match args.trim() {
        "" => serde_json::Value::Null,
        text if text.starts_with('{') && !text.starts_with("{{") => {
            match serde_json::from_str(text) {
                Ok(map @ serde_json::Value::Object(_)) => map,
                _ => text.into(),
            }
        }
        text => text.into(),
    };
    let play = serde_json::json!([{
        "name": "Ad hoc",
        "hosts": pattern,
        "gather_facts": false,
        "tasks": [{ module: arguments }],
    }]);
    let name = Path::new("the command line");
    loader
        .plays(&play.to_string(), name, dir)
        .map_err(|faults| faults.into_iter().map(|fault| typed(fault, name)).collect())
}

/// Lines and columns of the play that was made here say nothing to the person who typed.
fn typed(mut fault: Fault, name: &Path) -> Fault {
    if let Some(place) = fault.place.take_if(|place| *place.file == *name) {
        fault.place = Some(Place::file(&place.file));
    }
    fault
}
