//! The units of systemd for a job, and a line for crontab where there is no systemd.

use super::Job;
use std::path::{Path, PathBuf};

/// A file of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub name: String,
    pub text: String,
}

/// A word of a command line in a unit file: quoted, specifiers and variables as they are (systemd.service(5)).
fn word(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{escaped}\"")
}

/// Service and timer. `writable` are the directories that the job writes to; everything else is read-only for it.
pub fn units(job: &Job, program: &Path, home: &Path, writable: &[PathBuf]) -> [Unit; 2] {
    let name = format!("kopsrun-{}", job.name);
    let writable: String = writable
        .iter()
        .map(|path| format!("ReadWritePaths={}\n", word(&path.display().to_string())))
        .collect();
    let service = format!(
        "# Written by kopsrun schedule add; kopsrun schedule remove {job} removes it.\n\
         [Unit]\nDescription=kopsrun: scheduled backup {job}\nWants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=oneshot\nExecStart={program} schedule run {job}\nEnvironment={home}\nWorkingDirectory={directory}\n\
         UMask=0077\nTimeoutStartSec=6h\nNice=10\nNoNewPrivileges=true\nProtectSystem=strict\nPrivateTmp=true\n\
         ProtectKernelTunables=true\nProtectKernelModules=true\nProtectControlGroups=true\nLockPersonality=true\n\
         RestrictRealtime=true\nRestrictSUIDSGID=true\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n{writable}",
        job = job.name,
        program = word(&program.display().to_string()),
        home = word(&format!("HOME={}", home.display())),
        directory = job.directory.display(),
    );
    // One service never runs twice at once; a run that was missed while the machine was off is caught up.
    let timer = format!(
        "# Written by kopsrun schedule add; kopsrun schedule remove {job} removes it.\n\
         [Unit]\nDescription=kopsrun: when the backup {job} is taken\n\n\
         [Timer]\nOnCalendar={calendar}\nRandomizedDelaySec={jitter}\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n",
        job = job.name,
        calendar = job.timing.calendar,
        jitter = job.timing.jitter,
    );
    [
        Unit {
            name: format!("{name}.service"),
            text: service,
        },
        Unit {
            name: format!("{name}.timer"),
            text: timer,
        },
    ]
}

/// A line for crontab; None where the calendar of systemd was used, which cron doesn't know.
pub fn crontab(job: &Job, program: &Path) -> Option<String> {
    let cron = job.timing.cron.as_ref()?;
    let program = program.display().to_string().replace('\'', r"'\''");
    // A percent sign is a new line for cron.
    let line = format!("{cron} '{program}' schedule run {}", job.name);
    Some(format!("{}\n", line.replace('%', "\\%")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::schedule::Timing;

    #[test]
    fn units_quote_what_they_hold() {
        let job = Job {
            name: "b".to_owned(),
            timing: Timing::every("6h").expect("a rhythm"),
            directory: "/srv/a b".into(),
            create: Vec::new(),
            drill: None,
            prune: None,
            metrics: None,
            ping: None,
        };
        let program = Path::new("/opt/100%/kops run");
        let [service, timer] = units(&job, program, Path::new("/root"), &["/var/$x".into()]);
        assert!(
            service
                .text
                .contains("ExecStart=\"/opt/100%%/kops run\" schedule run b\n"),
            "{}",
            service.text
        );
        assert!(service.text.contains("ReadWritePaths=\"/var/$$x\"\n"));
        assert!(
            timer.text.contains("Persistent=true")
                && timer.text.contains("OnCalendar=*-*-* 00/6:00:00")
        );
        assert_eq!(
            crontab(&job, program).as_deref(),
            Some("0 */6 * * * '/opt/100\\%/kops run' schedule run b\n")
        );
    }
}
