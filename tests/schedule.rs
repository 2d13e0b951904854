//! `kopsrun schedule` with a real systemd: kopsrun itself runs on a machine of the lab. Needs root and the lab; required,
//! never skipped.

mod lab;

use lab::Lab;

/// The machine is its own controller and the only member.
const INVENTORY: &str = "all:\n  children:\n    etcd:\n      hosts:\n        node1:\n          ansible_connection: local\n";

/// KubeKey v4: its scheduled backup can never run (a variable that nobody sets, under `nounset`), and nobody is told.
#[test]
fn a_timer_takes_proves_and_tells() {
    let lab = Lab::of("schedule", &["node1"]);
    lab.run(&["etcd", "35", "node1"]);
    lab.run(&["etcdctl", "node1", "put", "key", "value"]);
    lab.write_inventory();
    let program = env!("CARGO_BIN_EXE_kopsrun");
    let copy = format!("src={program} dest=/usr/local/bin/kopsrun mode=0755");
    lab.succeed(&["exec", "node1", "-m", "copy", "-a", &copy]);
    let host =
        |script: &str| lab.attempt(&["sh", "node1", "env", "HOME=/root", "bash", "-c", script]);
    let well = |script: &str| host(script).says(0, &[]).stdout.clone();
    well(&format!(
        "printf '{}' >/root/inventory.yml",
        INVENTORY.replace('\n', "\\n")
    ));

    let add = "kopsrun schedule add etcd-backup -i /root/inventory.yml --drill --keep-last 2 --metrics /var/lib/metrics/kopsrun.prom \
        --ping file:///etc/hostname";
    host(&format!("{add} --every 7h")).says(4, &["'7h' is no rhythm"]);
    host(&format!("{} --every 6h", add.replace("etcd-backup", "a/b")))
        .says(4, &["is no name for a job"]);
    host(&format!("{add} --every 6h --print cron")).says(
        0,
        &["0 */6 * * * '/usr/local/bin/kopsrun' schedule run etcd-backup"],
    );
    host(&format!("{add} --every 6h")).says(0, &["kopsrun-etcd-backup.timer is installed"]);
    assert!(well("systemctl list-timers --no-pager").contains("kopsrun-etcd-backup.timer"));
    host("systemd-analyze verify /etc/systemd/system/kopsrun-etcd-backup.*").says(0, &[]);

    // Three times as the timer does it: two sets are left, all is told.
    for _ in 0..3 {
        host("systemctl start kopsrun-etcd-backup.service || { journalctl -u kopsrun-etcd-backup --no-pager | tail -n 40; false; }").says(0, &[]);
    }
    let list = well("kopsrun backup list");
    assert_eq!(list.matches("VERIFIED").count(), 2, "{list}");
    let metrics =
        well("cat /var/lib/metrics/kopsrun.prom; stat -c %a /var/lib/metrics/kopsrun.prom");
    assert!(
        metrics.contains("kopsrun_backup_failures{job=\"etcd-backup\"} 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.ends_with("644\n")
            && !metrics.contains("last_verified_timestamp_seconds{job=\"etcd-backup\"} 0\n"),
        "{metrics}"
    );
    host("kopsrun schedule list").says(0, &["etcd-backup", "*-*-* 00/6:00:00", "cluster-"]);

    // Nobody sleeps through a failure: the unit fails, and the file counts it.
    well("systemctl stop etcd");
    let failed = host("systemctl start kopsrun-etcd-backup.service");
    assert_ne!(failed.code, 0, "{failed}");
    host("kopsrun schedule run etcd-backup").says(2, &["etcd-backup failed: backup create"]);
    assert!(
        well("cat /var/lib/metrics/kopsrun.prom").contains("failures{job=\"etcd-backup\"} 2\n")
    );
    // Not twice at once.
    well("systemctl start etcd");
    host("exec 9>>/root/.local/state/kopsrun/schedules/etcd-backup.lock; flock 9; kopsrun schedule run etcd-backup")
        .says(6, &["etcd-backup is still running"]);

    host("kopsrun schedule remove etcd-backup").says(0, &["its sets stay"]);
    host("ls /etc/systemd/system/kopsrun-etcd-backup.timer").says(2, &[]);
    host("kopsrun schedule run etcd-backup").says(4, &["there is no job etcd-backup"]);
    assert_eq!(well("kopsrun backup list").matches("VERIFIED").count(), 2);
}
