//! `template`: a file of the controller, rendered with the variables of the host.

use crate::content::place::{Fault, Place};
use crate::content::playbook::MARKERS;
use crate::content::template::{self, Options};
use crate::content::value::Value;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs};
use crate::play::view::{absolute, fault};
use host::encoding::Encoding;
use indexmap::IndexMap;
use std::path::Path;
use std::sync::Arc;

/// Arguments that end at the controller.
const OURS: &[&str] = &[
    "src",
    "newline_sequence",
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "trim_blocks",
    "lstrip_blocks",
    "output_encoding",
];

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let src = call
        .text("src")
        .ok_or_else(|| call.fault("template: the argument src is missing"))?;
    let path = call.find("templates", &src, "src")?;
    let text = render(call, &src, &path)?;
    let mut args = call.json_args();
    args.retain(|name, _| !OURS.contains(&name.as_str()));
    let base = path.file_name().unwrap_or_default().to_string_lossy();
    args.insert("_original_basename".to_owned(), base.into());
    args.insert("src".to_owned(), super::copy::told(&path));
    super::copy::keep_mode(call, &path, &mut args)?;
    let blobs = Blobs::from([(
        "content".to_owned(),
        Blob::Bytes(Arc::from(encoded(call, text)?)),
    )]);
    super::copy::send(call, args, blobs).await
}

pub(super) fn render(call: &Call<'_>, src: &str, path: &Path) -> Result<String, Fault> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Fault::new(format!("{} can't be read: {error}", path.display())).at(call.place("src"))
    };
    let bytes = call.attempt.batch.run.request.vault.read(path);
    let bytes = bytes.map_err(|error| unreadable(&error))??;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it isn't UTF-8 text"))?;
    let options = options(call)?;
    let templar = call.templar.with(about_file(call, src, path));
    let rendered = templar.render_file_as(&text, options).map_err(|error| {
        let (line, column) = error.at().unwrap_or((0, 0));
        let file: Arc<Path> = Arc::from(path);
        let mut fault = fault(error);
        // It is the action that fails, not the rendering of its arguments.
        fault.undefined = false;
        // Inside a file, the line of the file is what helps.
        if line > 0 {
            fault.place = Some(Place::new(&file, line, column.max(1)));
        }
        fault.at(&Place::file(path)).hint(format!(
            "The task that renders it is at {}.",
            call.attempt.task.place
        ))
    })?;
    Ok(match call.text("newline_sequence").as_deref() {
        Some("\r\n" | "\\r\\n") => rendered.replace('\n', "\r\n"),
        Some("\r" | "\\r") => rendered.replace('\n', "\r"),
        _ => rendered,
    })
}

/// The text in `output_encoding`.
fn encoded(call: &Call<'_>, text: String) -> Result<Vec<u8>, Fault> {
    let Some(name) = call.text("output_encoding") else {
        return Ok(text.into_bytes());
    };
    let bytes = Encoding::named(&name).and_then(|encoding| encoding.encode(&text));
    bytes.map_err(|failure| {
        Fault::new(format!("template: {}", failure.message))
            .at(call.place("output_encoding"))
            .hint("Others: convert the file on the host with `iconv`.")
    })
}

/// What the task says of the marks of the template and of the space around them.
fn options(call: &Call<'_>) -> Result<Options, Fault> {
    let mut options = Options::file();
    for name in ["trim_blocks", "lstrip_blocks"] {
        if call.args.contains_key(name) {
            let flag = call.flag(name, name == "trim_blocks");
            let value = if flag { "True" } else { "False" };
            options.set(name, value).map_err(fault)?;
        }
    }
    for name in MARKERS {
        if let Some(value) = call.text(name) {
            options.set(name, &value).map_err(fault)?;
        }
    }
    Ok(options)
}

/// Variables that the file has of itself; as in Ansible 2.18 they win over those of the playbook.
fn about_file(call: &Call<'_>, src: &str, path: &Path) -> IndexMap<String, Value> {
    let managed = call.templar.settings().managed();
    let dest = call.text("dest");
    template::about(src, &absolute(path), dest.as_deref(), managed.as_deref())
}
