//! `k8s`: objects come from files, templates and texts of the controller; the host gets them as values.

use crate::content::place::Fault;
use crate::content::value::Value;
use crate::content::yaml;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::Blobs;
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let mut args = call.json_args();
    let mut objects = Vec::new();
    if let Some(src) = call.text("src") {
        let path = call.find("files", &src, "src")?;
        let bytes = call.attempt.batch.run.request.vault.read(&path);
        let bytes = bytes.map_err(|error| unreadable(call, &path, &error))??;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable(call, &path, &"it isn't UTF-8 text"))?;
        objects.extend(documents(&text, &path)?);
        args.remove("src");
    }
    if let Some(template) = call.args.get("template") {
        for name in names(call, template)? {
            let path = call.find("templates", &name, "template")?;
            objects.extend(documents(
                &super::template::render(call, &name, &path)?,
                &path,
            )?);
        }
        args.remove("template");
    }
    for name in ["resource_definition", "definition", "inline"] {
        if let Some(Json::String(text)) = args.get(name) {
            objects.extend(documents(text, Path::new(name))?);
            args.remove(name);
        }
    }
    if !objects.is_empty() {
        args.insert("resource_definition".to_owned(), Json::Array(objects));
    }
    call.module("k8s", args, Blobs::new()).await
}

fn unreadable(call: &Call<'_>, path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(format!("{} can't be read: {error}", path.display())).at(call.place("src"))
}

/// Names of templates: one, or a list; each a text or a mapping with `path`.
fn names(call: &Call<'_>, template: &Value) -> Result<Vec<String>, Fault> {
    let one = |value: &Json| match value {
        Json::String(name) => Ok(name.clone()),
        Json::Object(entries) if entries.len() == 1 && entries.contains_key("path") => {
            Ok(entries["path"].as_str().unwrap_or_default().to_owned())
        }
        _ => Err(Fault::new(
            "k8s: template is the name of a template, a mapping with path only, or a list of both",
        )
        .at(call.place("template"))
        .hint("Other settings stand in the template's first line: `#jinja2: …`.")),
    };
    match template.to_json() {
        Json::Array(items) => items.iter().map(one).collect(),
        other => Ok(vec![one(&other)?]),
    }
}

/// The documents of a YAML text that hold something.
fn documents(text: &str, file: &Path) -> Result<Vec<Json>, Fault> {
    let file: Arc<Path> = Arc::from(file);
    let mut objects = Vec::new();
    for node in yaml::parse(text, &file)? {
        match node.value()?.to_json() {
            Json::Null => {}
            Json::Array(items) => objects.extend(items),
            object => objects.push(object),
        }
    }
    Ok(objects)
}
