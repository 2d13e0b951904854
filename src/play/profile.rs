//! Where the time of a run went: spans of hosts and tasks, added up, and as a trace for a viewer.

use super::store::lock;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Collects spans while a run goes on. Clones of the `Arc` share them.
#[derive(Debug)]
pub struct Profile {
    began: Instant,
    spans: Mutex<Vec<Span>>,
}

/// What a host did in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// It waited for its turn: `forks`, `throttle`.
    Queue,
    /// A task from its conditions to its result; holds the spans below.
    Task,
    /// TCP, key exchange, log-in.
    Connect,
    /// The agent was started, or sent first.
    Agent,
    /// The host had the task; `own` is what its module took.
    Remote,
    /// A task on all of its hosts. Belongs to no host.
    Banner,
}

#[derive(Debug, Clone)]
struct Span {
    doing: Doing,
    host: Arc<str>,
    task: Arc<str>,
    start: Instant,
    end: Instant,
    own: Duration,
    /// Hosts of a banner.
    hosts: usize,
}

/// Sums over all hosts, in seconds of hosts: ten hosts that wait for one second are ten.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Of the run, on the clock.
    pub wall: f64,
    pub connect: f64,
    pub agent: f64,
    /// What modules took on their hosts.
    pub modules: f64,
    /// The network, sshd, the agent's queue.
    pub transfer: f64,
    /// Templates, conditions, actions and results on the controller.
    pub controller: f64,
    /// `forks`, `throttle`.
    pub queue: f64,
    /// For the slowest host of each task.
    pub others: f64,
    /// In the order in which they ran.
    pub tasks: Vec<TaskSums>,
    /// The busiest first.
    pub hosts: Vec<HostSums>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskSums {
    pub name: String,
    pub hosts: usize,
    /// On the clock.
    pub wall: f64,
    /// What modules took, on average over the hosts.
    pub module: f64,
    pub slowest: String,
    pub slowest_took: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostSums {
    pub name: String,
    pub busy: f64,
    pub connect: f64,
    pub agent: f64,
    pub modules: f64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            spans: Mutex::default(),
        }
    }
}

impl Profile {
    /// Notes what a host did from `start` until now; `own`: what the module took of it.
    pub fn note(&self, doing: Doing, host: &str, task: &str, start: Instant, own: Duration) {
        self.add(doing, host, task, start, own, 1);
    }

    /// Notes a task on its hosts, from `start` until now.
    pub(super) fn banner(&self, task: &str, hosts: usize, start: Instant) {
        self.add(Doing::Banner, "", task, start, Duration::ZERO, hosts);
    }

    fn add(
        &self,
        doing: Doing,
        host: &str,
        task: &str,
        start: Instant,
        own: Duration,
        hosts: usize,
    ) {
        lock(&self.spans).push(Span {
            doing,
            host: Arc::from(host),
            task: Arc::from(task),
            start,
            end: Instant::now(),
            own,
            hosts,
        });
    }

    /// Everything added up, until now.
    pub fn sums(&self) -> Sums {
        let spans = lock(&self.spans);
        let seconds = |doing: Doing| -> f64 {
            let of = spans.iter().filter(|span| span.doing == doing);
            of.map(Span::seconds).sum()
        };
        let modules: f64 = spans.iter().map(|span| span.own.as_secs_f64()).sum();
        let (connect, agent) = (seconds(Doing::Connect), seconds(Doing::Agent));
        let (remote, inside, queue) = (
            seconds(Doing::Remote),
            seconds(Doing::Task),
            seconds(Doing::Queue),
        );
        let banners = spans.iter().filter(|span| span.doing == Doing::Banner);
        let whole: f64 = banners.map(|span| span.seconds() * span.hosts as f64).sum();
        Sums {
            wall: self.began.elapsed().as_secs_f64(),
            connect,
            agent,
            modules,
            transfer: (remote - modules).max(0.0),
            controller: (inside - connect - agent - remote).max(0.0),
            queue,
            others: (whole - inside - queue).max(0.0),
            tasks: tasks(&spans),
            hosts: hosts(&spans),
        }
    }

    /// A trace in the format of Chrome's viewer (also Perfetto's): one row a host, times in microseconds.
    pub fn trace(&self) -> Json {
        let spans = lock(&self.spans);
        let mut rows: IndexMap<Arc<str>, usize> = IndexMap::new();
        let mut events = Vec::new();
        for span in spans.iter() {
            let next = rows.len();
            let row = *rows.entry(Arc::clone(&span.host)).or_insert(next);
            let name: &str = match span.doing {
                Doing::Queue => "queue",
                Doing::Connect => "connect",
                Doing::Agent => "agent",
                Doing::Remote => "host",
                Doing::Task | Doing::Banner => &span.task,
            };
            let mut event = json!({
                "name": name,
                "cat": format!("{:?}", span.doing).to_lowercase(),
                "ph": "X",
                "ts": micros(span.start.saturating_duration_since(self.began)),
                "dur": micros(span.end.saturating_duration_since(span.start)),
                "pid": 1,
                "tid": row,
            });
            match span.doing {
                Doing::Remote => event["args"] = json!({"module_us": micros(span.own)}),
                Doing::Banner => event["args"] = json!({"hosts": span.hosts}),
                _ => {}
            }
            events.push(event);
        }
        for (host, row) in &rows {
            let name = if host.is_empty() { "tasks" } else { host };
            events.push(json!({
                "name": "thread_name", "ph": "M", "pid": 1, "tid": row, "args": {"name": name}
            }));
        }
        json!({"displayTimeUnit": "ms", "traceEvents": events})
    }
}

impl Span {
    fn seconds(&self) -> f64 {
        self.end.saturating_duration_since(self.start).as_secs_f64()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Tasks in the order in which they ended; the spans of their hosts come before their own.
fn tasks(spans: &[Span]) -> Vec<TaskSums> {
    let mut all = Vec::new();
    let mut own: f64 = 0.0;
    let mut slowest: Option<&Span> = None;
    for span in spans {
        match span.doing {
            Doing::Task if slowest.is_none_or(|known| span.seconds() > known.seconds()) => {
                slowest = Some(span);
            }
            Doing::Remote => own += span.own.as_secs_f64(),
            Doing::Banner => {
                let slow = slowest.take();
                all.push(TaskSums {
                    name: span.task.to_string(),
                    hosts: span.hosts,
                    wall: span.seconds(),
                    module: std::mem::take(&mut own) / span.hosts.max(1) as f64,
                    slowest: slow.map_or_else(String::new, |slow| slow.host.to_string()),
                    slowest_took: slow.map_or(0.0, Span::seconds),
                });
            }
            _ => {}
        }
    }
    all
}

fn hosts(spans: &[Span]) -> Vec<HostSums> {
    let mut all: IndexMap<&str, HostSums> = IndexMap::new();
    for span in spans.iter().filter(|span| !span.host.is_empty()) {
        let host = all.entry(&span.host).or_default();
        match span.doing {
            Doing::Task => host.busy += span.seconds(),
            Doing::Connect => host.connect += span.seconds(),
            Doing::Agent => host.agent += span.seconds(),
            Doing::Remote => host.modules += span.own.as_secs_f64(),
            Doing::Queue | Doing::Banner => {}
        }
    }
    let mut all: Vec<HostSums> = all
        .into_iter()
        .map(|(name, sums)| HostSums {
            name: name.to_owned(),
            ..sums
        })
        .collect();
    all.sort_by(|a, b| b.busy.total_cmp(&a.busy));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile with spans at these milliseconds.
    fn of(spans: &[(Doing, &str, u64, u64, u64, usize)]) -> Profile {
        let profile = Profile::default();
        let at = |ms: u64| profile.began + Duration::from_millis(ms);
        let spans = spans
            .iter()
            .map(|(doing, host, start, end, own, hosts)| Span {
                doing: *doing,
                host: Arc::from(*host),
                task: Arc::from("one"),
                start: at(*start),
                end: at(*end),
                own: Duration::from_millis(*own),
                hosts: *hosts,
            });
        *lock(&profile.spans) = spans.collect();
        profile
    }

    fn two_hosts() -> Profile {
        of(&[
            (Doing::Queue, "a", 0, 100, 0, 1),
            (Doing::Connect, "a", 100, 300, 0, 1),
            (Doing::Agent, "a", 300, 400, 0, 1),
            (Doing::Remote, "a", 400, 900, 200, 1),
            (Doing::Task, "a", 100, 1000, 0, 1),
            (Doing::Remote, "b", 0, 400, 400, 1),
            (Doing::Task, "b", 0, 400, 0, 1),
            (Doing::Banner, "", 0, 1000, 0, 2),
        ])
    }

    #[test]
    fn every_second_of_a_host_is_in_one_sum() {
        let sums = two_hosts().sums();
        let near = |value: f64, wanted: f64| (value - wanted).abs() < 1e-6;
        assert!(near(sums.connect, 0.2) && near(sums.agent, 0.1), "{sums:?}");
        assert!(
            near(sums.modules, 0.6) && near(sums.transfer, 0.3),
            "{sums:?}"
        );
        assert!(
            near(sums.controller, 0.1) && near(sums.queue, 0.1),
            "{sums:?}"
        );
        assert!(near(sums.others, 0.6), "{sums:?}");
        let all = sums.connect + sums.agent + sums.modules + sums.transfer;
        let all = all + sums.controller + sums.queue + sums.others;
        assert!(near(all, 2.0), "two hosts for a second: {all}");
        assert_eq!(sums.tasks[0].slowest, "a");
        assert!(near(sums.tasks[0].module, 0.3), "{sums:?}");
        let names: Vec<&str> = sums.hosts.iter().map(|host| &*host.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_trace_has_a_row_for_each_host() {
        let trace = two_hosts().trace();
        let events = trace["traceEvents"].as_array().expect("events");
        let rows: Vec<&str> = events
            .iter()
            .filter(|event| event["ph"] == "M")
            .filter_map(|event| event["args"]["name"].as_str())
            .collect();
        assert_eq!(rows, ["a", "b", "tasks"]);
        let agent = events.iter().find(|event| event["name"] == "agent");
        let agent = agent.expect("the start of the agent");
        assert_eq!(
            (&agent["ts"], &agent["dur"]),
            (&json!(300_000), &json!(100_000))
        );
    }
}
