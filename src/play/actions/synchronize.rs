//! `synchronize`: a tree of one end brought to the other over their connections. What is at the source and what differs
//! at the destination is found out by their agents; content goes through the controller, only where it differs.

use crate::content::playbook::synchronize::options;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::{Blob, Blobs, Whereabouts};
use host::modules::sync::Options;
use host::{Become, Outcome};
use serde_json::{Map, Value as Json, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// From this length on, a file of the controller is sent by itself and not in a bundle that has to be written first.
const LARGE: u64 = 1 << 20;

/// One side of the transfer.
struct End {
    at: Whereabouts,
    escalate: Option<Become>,
    path: String,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let args = call.json_args();
    let read = |name: &str| {
        let path = call
            .find("files", name, "rsync_opts")
            .map_err(|fault| fault.message)?;
        std::fs::read_to_string(&path)
            .map_err(|error| format!("{} can't be read: {error}", path.display()))
    };
    let spec = crate::content::playbook::documented();
    let spec = spec.into_iter().find(|spec| spec.name == "synchronize");
    let args = match spec.map(|spec| host::normalise(spec, &args)) {
        Some(Ok(args)) => args,
        Some(Err(error)) => return Ok(call.refused(error)),
        None => args,
    };
    let options = match options(&args, &read) {
        Ok(options) => options,
        Err(why) => return Ok(Done::failed(why).with("rc", 1)),
    };
    let (source, dest, arrow) = ends(call, &args)?;
    let sync = Sync {
        call,
        options,
        source,
        dest,
        arrow,
    };
    sync.all().await
}

/// Where from, where to, and how rsync draws a transfer between them.
fn ends(call: &Call<'_>, args: &Map<String, Json>) -> Result<(End, End, char), Problem> {
    let text = |name: &str| {
        args.get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let pull = text("mode") == "pull";
    let (src, dest) = (text("src"), text("dest"));
    for (name, path) in [("src", &src), ("dest", &dest)] {
        let remote = path
            .split_once(':')
            .is_some_and(|(host, _)| !host.contains('/'));
        if path.contains("://") || remote {
            let fault = call.fault(format!("synchronize: {name}: {path} names a host"));
            return Err(fault
                .hint("Hosts are those of the play and of `delegate_to`.")
                .into());
        }
    }
    let home = call.at_home();
    let there = home.whereabouts()?;
    let here = match call.delegated_to() {
        Some(_) => call.whereabouts()?,
        None => Whereabouts::controller(),
    };
    // Rights are for the host; where both ends are one machine, for both of them.
    let one_machine = here == there || (here.connection == "local" && there.connection == "local");
    let escalate = home.task("_sync_list", Map::new())?.escalate;
    let own = if one_machine { escalate.clone() } else { None };
    let local = if pull { &dest } else { &src };
    let local = if here.connection == "local" {
        on_controller(call, local, pull)?
    } else {
        local.clone()
    };
    let arrow = if pull || one_machine { '>' } else { '<' };
    let near = |path| End {
        at: here.clone(),
        escalate: own.clone(),
        path,
    };
    let far = |path| End {
        at: there.clone(),
        escalate: escalate.clone(),
        path,
    };
    Ok(if pull {
        (far(src), near(local), arrow)
    } else {
        (near(local), far(dest), arrow)
    })
}

/// A path of the controller: a source is looked for like other files, a destination is relative to the playbook. A slash
/// at its end means something and stays.
fn on_controller(call: &Call<'_>, path: &str, pull: bool) -> Result<String, Problem> {
    if path.starts_with(['/', '~', '$']) {
        return Ok(path.to_owned());
    }
    let slash = if path.ends_with('/') { "/" } else { "" };
    let found = if pull {
        call.attempt.batch.play.dir().join(path)
    } else {
        call.find("files", path.trim_end_matches('/'), "src")?
    };
    let found = std::path::absolute(&found).unwrap_or(found);
    Ok(format!(
        "{}{slash}",
        found.to_string_lossy().trim_end_matches('/')
    ))
}

struct Sync<'a, 'c> {
    call: &'a Call<'c>,
    options: Options,
    source: End,
    dest: End,
    arrow: char,
}

impl Sync<'_, '_> {
    async fn all(&self) -> Result<Done, Problem> {
        let options = serde_json::to_value(&self.options).unwrap_or_default();
        let list = json!({"src": self.source.path, "options": options});
        let listed = self
            .at(&self.source, "_sync_list", list, Blobs::new())
            .await?;
        if listed.failed {
            return Ok(failed(listed));
        }
        let mut put = json!({
            "dest": self.dest.path, "manifest": listed.data["manifest"], "options": options,
            "arrow": self.arrow.to_string(), "plan": true,
        });
        let planned = self
            .at(&self.dest, "_sync_put", put.clone(), Blobs::new())
            .await?;
        if planned.failed {
            return Ok(failed(planned));
        }
        let mut lines = strings(&listed.data["said"]);
        lines.extend(strings(&planned.data["lines"]));
        // A directory that is only made is no change that rsync itemizes, but it is made.
        if !self.call.check && !strings(&planned.data["lines"]).is_empty() {
            let root = listed.data["root"].as_str().unwrap_or_default();
            let content = self
                .content(root, &listed.data["manifest"], &planned.data["need"])
                .await?;
            put["plan"] = false.into();
            put["bundled"] = content.bundled.into();
            put["single"] = content.single.into();
            let done = self.at(&self.dest, "_sync_put", put, content.blobs).await?;
            if done.failed {
                return Ok(failed(done));
            }
        }
        let mut message: String = lines.join("\n");
        if !message.is_empty() {
            message.push('\n');
        }
        let mut done = Done::changed(planned.changed)
            .with("msg", message.as_str())
            .with("rc", 0)
            .with("stdout_lines", lines);
        if self.call.diff {
            done = done.with("diff", json!({"prepared": message}));
        }
        Ok(done)
    }

    /// Runs a module at one end.
    async fn at(
        &self,
        end: &End,
        module: &str,
        args: Json,
        blobs: Blobs,
    ) -> Result<Outcome, Problem> {
        let Json::Object(args) = args else {
            return Ok(Outcome::default());
        };
        let mut task = self.call.task(module, args)?;
        task.escalate.clone_from(&end.escalate);
        task.diff = false;
        let sums = &self.call.attempt.batch.run.sums;
        for (name, blob) in &blobs {
            let found = sums.reference(name, blob, blobs.len() == 1).await;
            task.blobs.push(found.map_err(|error| {
                self.call.fault(format!(
                    "synchronize: what is to be sent can't be read: {error}"
                ))
            })?);
        }
        Ok(self
            .call
            .attempt
            .batch
            .run
            .connect
            .run(&end.at, task, blobs)
            .await?)
    }

    /// What the destination asked for.
    async fn content(&self, root: &str, manifest: &Json, need: &Json) -> Result<Content, Problem> {
        let need: Vec<(usize, &str, u64)> = need
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|index| {
                let index = usize::try_from(index.as_u64()?).ok()?;
                let entry = &manifest["entries"][index];
                Some((index, entry["name"].as_str()?, entry["size"].as_u64()?))
            })
            .collect();
        let mut content = Content::default();
        if need.is_empty() {
            return Ok(content);
        }
        let own = self.source.at.connection == "local" && self.source.escalate.is_none();
        let (large, small): (Vec<_>, Vec<_>) = need
            .into_iter()
            .partition(|(.., size)| own && *size >= LARGE);
        if own && !large.is_empty() {
            let base = base(root, &self.source.path);
            for (index, name, _) in large {
                let path = host::modules::sync::below(&base, name)
                    .map_err(|failure| self.call.fault(failure.message))?;
                content.single.push(index);
                content.blobs.insert(index.to_string(), Blob::File(path));
            }
        }
        if !small.is_empty() {
            let names: Vec<&str> = small.iter().map(|(_, name, _)| *name).collect();
            let bundle = Bundle::new().map_err(|error| {
                self.call.fault(format!(
                    "synchronize: there is no room for files on their way: {error}"
                ))
            })?;
            let args = json!({"src": self.source.path, "names": names});
            let Json::Object(args) = args else {
                return Ok(content);
            };
            let mut task = self.call.task("_sync_read", args)?;
            task.escalate.clone_from(&self.source.escalate);
            let connect = &self.call.attempt.batch.run.connect;
            let read = connect.fetch(&self.source.at, task, bundle.path()).await?;
            if read.failed {
                let said = read.data["msg"].as_str().unwrap_or_default().to_owned();
                return Err(self.call.fault(said).into());
            }
            content.bundled = small.iter().map(|(index, ..)| *index).collect();
            content
                .blobs
                .insert("bundle".to_owned(), Blob::File(bundle.path()));
            content.bundle = Some(bundle);
        }
        Ok(content)
    }
}

/// What the names of a list are relative to, on the controller.
fn base(root: &str, src: &str) -> PathBuf {
    let root = Path::new(root);
    if src.ends_with('/') {
        return root.to_owned();
    }
    root.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Content on its way.
#[derive(Default)]
struct Content {
    bundled: Vec<usize>,
    single: Vec<usize>,
    blobs: Blobs,
    /// Kept until it is sent.
    bundle: Option<Bundle>,
}

/// A directory of our own for one file, removed with it.
struct Bundle(PathBuf);

impl Bundle {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let dir = std::env::temp_dir().join(format!(".kopsrun-{:016x}", rand::random::<u64>()));
        std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let bundle = Self(dir);
        // Found out now, not after all has travelled.
        std::fs::File::create(bundle.path())?.flush()?;
        Ok(bundle)
    }

    fn path(&self) -> PathBuf {
        self.0.join("bundle")
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn strings(value: &Json) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(Json::as_str)
        .map(ToOwned::to_owned)
        .collect()
}

fn failed(outcome: Outcome) -> Done {
    Done::from_outcome(outcome)
}
