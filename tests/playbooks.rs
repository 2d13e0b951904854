//! Playbook cases against what ansible-core did with them; see playbooks/README.md.

mod harness;

use harness::{Here, Kept};
use kopsrun::content::inventory::Inventory;
use kopsrun::content::value::Value;
use kopsrun::journal::{Event, Sink, Status};
use kopsrun::play::{Request, Source};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playbooks")
}

fn request(playbook: &Path) -> Request {
    let inventory =
        Inventory::load(&[folder().join("inventory.ini")]).expect("the inventory is right");
    let mut request = Request::new(
        Source::Playbooks(vec![playbook.to_owned()]),
        Arc::new(inventory),
    );
    let text = std::fs::read_to_string(playbook).expect("a playbook");
    let options = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# options: "))
        .unwrap_or_default();
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "--check" => request.check = true,
            "-e" => {
                let (name, value) = words
                    .next()
                    .and_then(|pair| pair.split_once('='))
                    .expect("name=value");
                request
                    .extra_vars
                    .insert(name.to_owned(), Value::from(value));
            }
            "-t" => request.tags.push(words.next().expect("tags").to_owned()),
            other => panic!("the option {other} isn't known here"),
        }
    }
    request
}

async fn events_of(request: &Request) -> (Vec<Event>, u8) {
    let kept = Arc::new(Kept::default());
    let sink: Arc<dyn Sink> = kept.clone();
    let code = match kopsrun::play::run(request, Arc::new(Here::default()), sink).await {
        Ok(summary) => summary.exit_code,
        Err(error) => panic!("{error}: {:?}", error.faults()),
    };
    let events = kept.events();
    (events, code)
}

/// What happened, in the form of the expected files.
fn transcript(events: &[Event], code: u8) -> String {
    let mut text = String::new();
    let mut pending: Vec<(String, String)> = Vec::new();
    let mut module = String::new();
    let flush = |pending: &mut Vec<(String, String)>, text: &mut String| {
        pending.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, line) in pending.drain(..) {
            let _ = writeln!(text, "{line}");
        }
    };
    for event in events {
        match event {
            Event::PlayStarted { name, .. } => {
                flush(&mut pending, &mut text);
                let _ = writeln!(text, "PLAY {name}");
            }
            Event::TaskStarted {
                name,
                module: does,
                handler,
                ..
            } => {
                flush(&mut pending, &mut text);
                let _ = writeln!(text, "{} {name}", if *handler { "HANDLER" } else { "TASK" });
                module = does.clone().unwrap_or_default();
            }
            Event::HostResult {
                host,
                item,
                status,
                result,
                ..
            } => {
                let status = match status {
                    Status::Ok => "ok",
                    Status::Changed => "changed",
                    Status::Skipped => "skipped",
                    // Ansible tells an item that is ignored as failed, and a rescue when it begins.
                    Status::Ignored if item.is_some() => "failed",
                    Status::Failed | Status::Rescued => "failed",
                    Status::Unreachable => "unreachable",
                    Status::Ignored => "ignored",
                };
                let mut line = format!("{host} {status}");
                if let Some(item) = item {
                    let _ = write!(line, " item={item}");
                }
                if module == "debug" && status == "ok" {
                    let _ = write!(line, " {}", python_json(&said(result)));
                }
                pending.push((host.clone(), line));
            }
            Event::Stats { hosts } => {
                flush(&mut pending, &mut text);
                let sorted: BTreeMap<_, _> = hosts.iter().collect();
                for (host, c) in sorted {
                    let _ = writeln!(
                        text,
                        "RECAP {host} ok={} changed={} unreachable={} failed={} skipped={} rescued={} ignored={}",
                        c.ok, c.changed, c.unreachable, c.failed, c.skipped, c.rescued, c.ignored
                    );
                }
            }
            _ => {}
        }
    }
    let _ = writeln!(text, "EXIT {code}");
    text
}

/// What a debug task showed: its result without what every result has.
fn said(result: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    let Some(all) = result.as_object() else {
        return BTreeMap::new();
    };
    let text = |name: &str| {
        all.get(name)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let names = [text("ansible_loop_var"), text("ansible_index_var")];
    all.iter()
        .filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "changed"
                    | "failed"
                    | "skipped"
                    | "failed_when_result"
                    | "ansible_loop_var"
                    | "ansible_index_var"
            ) && !names.contains(name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// JSON as Python's `json.dumps(…, sort_keys=True)` writes it.
fn python_json(value: &BTreeMap<String, serde_json::Value>) -> String {
    fn write(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    write(item, out);
                }
                out.push(']');
            }
            serde_json::Value::Object(entries) => {
                out.push('{');
                let sorted: BTreeMap<_, _> = entries.iter().collect();
                for (index, (name, value)) in sorted.into_iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    let _ = write!(out, "{}: ", serde_json::Value::from(name.as_str()));
                    write(value, out);
                }
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    write(
        &serde_json::to_value(value).expect("names are text"),
        &mut out,
    );
    out
}

async fn case(name: &str) {
    let request = request(&folder().join(format!("cases/{name}.yml")));
    let (events, code) = events_of(&request).await;
    let expected =
        std::fs::read_to_string(folder().join(format!("expected/{name}.txt"))).expect("recorded");
    let found = transcript(&events, code);
    if found == expected {
        return;
    }
    let failures: Vec<&Event> = events
        .iter()
        .filter(|event| {
            matches!(
                event,
                Event::HostResult {
                    status: Status::Failed | Status::Ignored,
                    ..
                }
            )
        })
        .collect();
    panic!(
        "{name} differs from Ansible\n--- Ansible\n{expected}\n--- kopsrun\n{found}\n{failures:#?}"
    );
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                case(stringify!($name)).await;
            }
        )*

        #[test]
        fn no_case_is_left_out() {
            let mut found: Vec<String> = std::fs::read_dir(folder().join("cases"))
                .expect("cases")
                .filter_map(|entry| {
                    let name = entry.ok()?.file_name().into_string().ok()?;
                    name.strip_suffix(".yml").map(str::to_owned)
                })
                .collect();
            found.sort();
            let mut known = vec![$(stringify!($name)),*];
            known.sort_unstable();
            assert_eq!(found, known);
        }
    };
}

cases!(
    delegate,
    fatal,
    handlers,
    hidden,
    includes,
    loops,
    meta,
    percentage,
    precedence,
    rescue,
    results,
    roles,
    serial,
    unreachable,
);
