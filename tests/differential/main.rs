//! Small cases run through ansible-core and through kopsrun, and what comes of them is compared; see README.md.
#![allow(
    clippy::disallowed_methods,
    reason = "settings of tests come from the environment"
)]

mod case;
#[path = "../oracle/mod.rs"]
mod oracle;
mod ours;
mod outcome;
mod theirs;

use case::Case;
use outcome::{Outcome, transcript};
use similar::TextDiff;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Cases at the same time, for each of the two programs.
const WIDTH: usize = 2;

/// Times that Ansible is asked again where the two disagree: on a busy machine it sometimes handles the results of hosts
/// in another order, and what it does then is Ansible's too.
const ASKED_AGAIN: usize = 2;

/// What is compared of a case, all of its runs.
fn compared(case: &Case, outcomes: &[Outcome]) -> String {
    let one = |outcome: &Outcome| {
        if case.stdout {
            let text = timeless(&hosts_sorted(&outcome.stdout));
            format!("{text}EXIT {}\n", outcome.rc)
        } else {
            transcript(outcome, case.by_host)
        }
    };
    outcomes.iter().map(one).collect::<Vec<_>>().join("----\n")
}

/// What no two runs have in common: times, and the ids of jobs and plays.
fn timeless(text: &str) -> String {
    const CHANGING: [(&str, &str); 7] = [
        (r#""(delta|start|end)": ?"[^"]*""#, r#""$1": "TIME""#),
        (r"(delta|start|end): .*\d:\d\d.*", "$1: TIME"),
        (r#"(jid=|"ansible_job_id": ")j?\d+\.\d+"#, "${1}JOB"),
        (r"\.ansible_async/j?\d+\.\d+", ".ansible_async/JOB"),
        (r#""id": "[-0-9a-f]{36}""#, r#""id": "ID""#),
        (r"[A-Z]\w+day \d\d \w+ \d{4} .*", "CLOCK"),
        (r"-* \d+\.\d\ds$", "TOOK"),
    ];
    let mut text = text.to_owned();
    for (changing, put) in CHANGING {
        let changing = fancy_regex::Regex::new(&format!("(?m){changing}")).expect("written here");
        text = changing.replace_all(&text, put).into_owned();
    }
    text
}

/// Lists of hosts, which Ansible prints in no order.
fn hosts_sorted(text: &str) -> String {
    let (mut out, mut hosts) = (Vec::new(), Vec::new());
    let mut listing = false;
    for line in text.lines() {
        if listing && line.starts_with("      ") {
            hosts.push(line);
            continue;
        }
        hosts.sort_unstable();
        out.append(&mut hosts);
        listing = line.trim_start().starts_with("hosts (");
        out.push(line);
    }
    hosts.sort_unstable();
    out.append(&mut hosts);
    out.iter().map(|line| format!("{line}\n")).collect()
}

/// How a case came out: none is as it should be.
fn verdict(case: &Case, theirs: &[Outcome], ours: &[Outcome]) -> Option<String> {
    let (expected, found) = (compared(case, theirs), compared(case, ours));
    match (&case.differs, expected == found) {
        (None, true) | (Some(_), false) => None,
        (Some(reason), true) => Some(format!(
            "{}: agrees now; take `differs: {reason}` out of it\n",
            case.name
        )),
        (None, false) => {
            let diff = TextDiff::from_lines(&expected, &found)
                .unified_diff()
                .context_radius(4)
                .header("Ansible", "kopsrun")
                .to_string();
            let errors: String = ours
                .iter()
                .flat_map(|outcome| outcome.stderr.lines())
                .take(30)
                .map(|line| format!("  | {line}\n"))
                .collect();
            Some(format!("{}\n{diff}{errors}", case.name))
        }
    }
}

/// `DIFFERENTIAL=loops/` runs the cases with that in their name.
#[test]
fn playbooks_do_what_they_do_in_ansible() {
    let wanted = std::env::var("DIFFERENTIAL").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/cases");
    let mut cases = case::all(&folder);
    cases.retain(|case| case.name.contains(&wanted));
    assert!(!cases.is_empty(), "no case has `{wanted}` in its name");
    let below = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differential");
    let by_ansible = theirs::outcomes(&cases, &below, WIDTH);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WIDTH {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = ours::outcomes(case, &below);
                    if let Some(text) = verdict(case, &by_ansible[&case.name], &found) {
                        let mut wrong = wrong.lock().expect("nobody panicked");
                        wrong.push((case.clone(), found, text));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("nobody panicked");
    for _ in 0..ASKED_AGAIN {
        let doubtful: Vec<Case> = wrong.iter().map(|(case, ..)| case.clone()).collect();
        theirs::forget(&doubtful, &below);
        let again = theirs::outcomes(&doubtful, &below, 1);
        wrong.retain_mut(|(case, found, text)| {
            verdict(case, &again[&case.name], found).is_some_and(|now| {
                *text = now;
                true
            })
        });
    }
    wrong.sort_by(|(a, ..), (b, ..)| a.name.cmp(&b.name));
    let known = cases.iter().filter(|case| case.differs.is_some()).count();
    let report: String = wrong.iter().map(|(.., text)| format!("\n{text}")).collect();
    assert!(
        wrong.is_empty(),
        "{report}\n{} of {} cases are not as they should be ({known} are known to differ)",
        wrong.len(),
        cases.len()
    );
}
