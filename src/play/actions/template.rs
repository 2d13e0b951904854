//! `template`: a file of the controller, rendered with the variables of the host.

use crate::content::place::{Fault, Place};
use crate::content::playbook::MARKERS;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs};
use crate::play::view::{absolute, fault};
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
    "follow",
];

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let src = call
        .text("src")
        .ok_or_else(|| call.fault("template: the argument src is missing"))?;
    let path = call.find("templates", &src, "src")?;
    let text = render(call, &path)?;
    let mut args = call.json_args();
    args.retain(|name, _| !OURS.contains(&name.as_str()));
    let base = path.file_name().unwrap_or_default().to_string_lossy();
    let base = base.strip_suffix(".j2").unwrap_or(&base).to_owned();
    args.insert("_original_basename".to_owned(), base.into());
    let blobs = Blobs::from([(
        "content".to_owned(),
        Blob::Bytes(Arc::from(text.into_bytes())),
    )]);
    super::copy::send(call, args, blobs).await
}

fn render(call: &Call<'_>, path: &Path) -> Result<String, Fault> {
    if let Some(arg) = MARKERS
        .iter()
        .find(|arg| call.text(arg).is_some_and(|value| value != "utf-8"))
    {
        return Err(Fault::new(format!("template: {arg} is not supported yet"))
            .at(call.place(arg))
            .hint("Write a `#jinja2: …` line at the top of the template instead."));
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        Fault::new(format!("{} can't be read: {error}", path.display())).at(call.place("src"))
    };
    let bytes = call.attempt.batch.run.request.vault.read(path);
    let bytes = bytes.map_err(|error| unreadable(&error))??;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it isn't UTF-8 text"))?;
    // As in Ansible, arguments are a header that the file's own header wins over.
    let mut header = Vec::new();
    for name in ["trim_blocks", "lstrip_blocks"] {
        if call.args.contains_key(name) {
            let value = if call.flag(name, name == "trim_blocks") {
                "True"
            } else {
                "False"
            };
            header.push(format!("{name}: {value}"));
        }
    }
    let text = if header.is_empty() || text.starts_with("#jinja2:") {
        text
    } else {
        format!("#jinja2: {}\n{text}", header.join(", "))
    };
    let lines_added = u32::from(!header.is_empty());
    let locals = [
        ("template_path", path.display().to_string()),
        ("template_fullpath", absolute(path).display().to_string()),
        ("template_run_date", String::new()),
        ("template_destpath", call.text("dest").unwrap_or_default()),
        ("ansible_managed", "Ansible managed".to_owned()),
    ];
    let defined = |name: &str| {
        call.templar
            .expr(name)
            .is_ok_and(|value| !matches!(value, crate::content::value::Value::Undefined(_)))
    };
    let locals = locals
        .into_iter()
        .filter(|(name, _)| *name != "ansible_managed" || !defined(name))
        .map(|(name, value)| {
            (
                name.to_owned(),
                crate::content::value::Value::from(value.as_str()),
            )
        });
    let templar = call.templar.with(locals.collect());
    let rendered = templar.render_file(&text).map_err(|error| {
        let (line, column) = error.at().unwrap_or((0, 0));
        let file: Arc<Path> = Arc::from(path);
        let line = line.saturating_sub(lines_added);
        let mut fault = fault(error);
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
