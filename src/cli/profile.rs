//! `--profile`: where the time of a run went, as a table, and as a trace for a viewer.

use super::args::Format;
use super::context::Context;
use super::failure::{Failure, Kind};
use crate::journal::Run;
use crate::play::profile::{Profile, Sums};
use crate::ui::table::Table;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The trace's file in the folder of the run.
const TRACE: &str = "trace.json";

/// How many of the slowest tasks and hosts are listed.
const LISTED: usize = 10;

/// What `--profile` asks for.
#[derive(Debug, Clone, Default)]
pub(super) enum Wanted {
    #[default]
    Nothing,
    /// The trace goes into the folder of the run.
    Table,
    TraceIn(PathBuf),
}

impl Wanted {
    /// By the option's value; empty where it has none.
    pub(super) fn of(option: Option<&str>, context: &Context) -> Self {
        match option {
            None => Self::Nothing,
            Some("") => Self::Table,
            Some(file) => Self::TraceIn(context.path(Path::new(file))),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// Writes the trace and shows the table.
pub(super) fn tell(
    profile: &Profile,
    wanted: &Wanted,
    record: &Run,
    context: &Context,
) -> Result<(), Failure> {
    let trace = serde_json::to_vec(&profile.trace()).unwrap_or_default();
    let (path, written) = match wanted {
        Wanted::TraceIn(path) => (path.clone(), std::fs::write(path, &trace)),
        _ => (record.dir().join(TRACE), record.keep(TRACE, &trace)),
    };
    written.map_err(|error| {
        let message = format!("the trace {} can't be written: {error}", path.display());
        Failure::new(Kind::Broken, message)
    })?;
    let text = format!(
        "{}\ntrace: {} (open it in chrome://tracing or ui.perfetto.dev)\n",
        text(&profile.sums()),
        path.display()
    );
    match context.format {
        Format::Text => context.print(&text),
        Format::Json => {
            let _closed = io::stderr().write_all(text.as_bytes());
            Ok(())
        }
    }
}

fn text(sums: &Sums) -> String {
    let rows = [
        ("connecting and logging in", sums.connect),
        ("starting agents", sums.agent),
        ("modules on hosts", sums.modules),
        ("network, sshd and queues of agents", sums.transfer),
        ("templates and results on the controller", sums.controller),
        ("waiting for a turn (forks, controller)", sums.queue),
        ("waiting for slower hosts", sums.others),
    ];
    let all: f64 = rows.iter().map(|(_, seconds)| seconds).sum();
    let mut text = format!(
        "\nPROFILE: {:.3} s for {} hosts and {} tasks\n\n",
        sums.wall,
        sums.hosts.len(),
        sums.tasks.len()
    );
    let mut table = Table::new(["HOSTS WERE", "SECONDS OF HOSTS", "SHARE"]);
    for (what, seconds) in rows {
        let share = if all > 0.0 {
            100.0 * seconds / all
        } else {
            0.0
        };
        table.row([what.to_owned(), clock(seconds), format!("{share:.1} %")]);
    }
    text.push_str(&table.text());
    let _infallible = write!(text, "\n{}\n{}", tasks(sums), hosts(sums));
    text
}

fn tasks(sums: &Sums) -> String {
    let mut slowest: Vec<_> = sums.tasks.iter().collect();
    slowest.sort_by(|a, b| b.wall.total_cmp(&a.wall));
    let mut table = Table::new([
        "SLOWEST TASKS",
        "WALL",
        "MODULE (MEAN)",
        "HOSTS",
        "LAST HOST",
    ]);
    for task in slowest.iter().take(LISTED) {
        table.row([
            task.name.clone(),
            clock(task.wall),
            clock(task.module),
            task.hosts.to_string(),
            format!("{} {}", task.slowest, clock(task.slowest_took)),
        ]);
    }
    table.text()
}

fn hosts(sums: &Sums) -> String {
    let mut table = Table::new(["BUSIEST HOSTS", "BUSY", "CONNECT", "AGENT", "MODULES"]);
    for host in sums.hosts.iter().take(LISTED) {
        table.row([
            host.name.clone(),
            clock(host.busy),
            clock(host.connect),
            clock(host.agent),
            clock(host.modules),
        ]);
    }
    table.text()
}

/// Seconds with as many places as a terminal needs.
fn clock(seconds: f64) -> String {
    format!("{seconds:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::profile::{HostSums, TaskSums};

    #[test]
    fn tables_name_the_slowest() {
        let task = |name: &str, wall: f64| TaskSums {
            name: name.to_owned(),
            hosts: 2,
            wall,
            module: 0.1,
            slowest: "b".to_owned(),
            slowest_took: wall,
        };
        let host = |name: &str, busy: f64| HostSums {
            name: name.to_owned(),
            busy,
            connect: 0.2,
            agent: 0.05,
            modules: 0.3,
        };
        let sums = Sums {
            wall: 1.5,
            connect: 0.4,
            agent: 0.1,
            modules: 0.6,
            transfer: 0.2,
            controller: 0.2,
            queue: 0.0,
            others: 0.5,
            tasks: vec![task("install", 0.4), task("wait", 1.1)],
            hosts: vec![host("b", 1.4), host("a", 0.6)],
        };
        insta::assert_snapshot!(text(&sums), @"
        PROFILE: 1.500 s for 2 hosts and 2 tasks

        HOSTS WERE                               SECONDS OF HOSTS  SHARE
        connecting and logging in                0.400             20.0 %
        starting agents                          0.100             5.0 %
        modules on hosts                         0.600             30.0 %
        network, sshd and queues of agents       0.200             10.0 %
        templates and results on the controller  0.200             10.0 %
        waiting for a turn (forks, controller)   0.000             0.0 %
        waiting for slower hosts                 0.500             25.0 %

        SLOWEST TASKS  WALL   MODULE (MEAN)  HOSTS  LAST HOST
        wait           1.100  0.100          2      b 1.100
        install        0.400  0.100          2      b 0.400

        BUSIEST HOSTS  BUSY   CONNECT  AGENT  MODULES
        b              1.400  0.200    0.050  0.300
        a              0.600  0.200    0.050  0.300
        ");
    }
}
