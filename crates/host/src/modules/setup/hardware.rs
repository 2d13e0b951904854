//! Memory, processors, mounted file systems, what the firmware says of the machine.

use super::{Facts, put, read};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

pub(super) fn collect(facts: &mut Facts) {
    memory(facts, &read("/proc/meminfo").unwrap_or_default());
    let processors = read("/proc/cpuinfo").unwrap_or_default();
    processor(facts, &processors);
    put(facts, "flags", flags(&processors));
    put(
        facts,
        "mounts",
        mounts(
            &read("/proc/self/mounts").unwrap_or_default(),
            &parts(&read("/proc/self/mountinfo").unwrap_or_default()),
        ),
    );
    firmware(facts);
    if let Some(seconds) =
        read("/proc/uptime").and_then(|text| text.split('.').next()?.parse::<u64>().ok())
    {
        put(facts, "uptime_seconds", seconds);
    }
}

/// What the first processor can do.
fn flags(text: &str) -> Vec<&str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(key, _)| ["flags", "Features"].contains(&key.trim()));
    found.map_or_else(Vec::new, |(_, flags)| flags.split_whitespace().collect())
}

/// Kinds of a machine's case, by the number that its firmware gives (SMBIOS specification, 7.4.1), from 1 on.
const FORMS: &[&str] = &[
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All in One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosing",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];

fn form() -> String {
    let Some(text) = read("/sys/devices/virtual/dmi/id/chassis_type") else {
        return "NA".to_owned();
    };
    let number = text
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    number
        .and_then(|number| FORMS.get(number))
        .map_or(text, |name| (*name).to_owned())
}

pub(super) fn load(facts: &mut Facts) {
    let text = read("/proc/loadavg").unwrap_or_default();
    let mut values = text
        .split(' ')
        .map(|word| word.parse::<f64>().unwrap_or_default());
    let mut next = || values.next().unwrap_or_default();
    put(
        facts,
        "loadavg",
        json!({"1m": next(), "5m": next(), "15m": next()}),
    );
}

fn memory(facts: &mut Facts, text: &str) {
    let fields: HashMap<&str, u64> = text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            Some((name, rest.split_whitespace().next()?.parse().ok()?))
        })
        .collect();
    let mib = |name: &str| fields.get(name).copied().unwrap_or_default() / 1024;
    let (total, free) = (mib("MemTotal"), mib("MemFree"));
    let (swap, swap_free) = (mib("SwapTotal"), mib("SwapFree"));
    let spare = free + mib("Cached") + mib("Buffers");
    put(facts, "memtotal_mb", total);
    put(facts, "memfree_mb", free);
    put(facts, "swaptotal_mb", swap);
    put(facts, "swapfree_mb", swap_free);
    put(
        facts,
        "memory_mb",
        json!({
            "real": {"total": total, "free": free, "used": total.saturating_sub(free)},
            "nocache": {"free": spare, "used": total.saturating_sub(spare)},
            "swap": {"total": swap, "free": swap_free, "used": swap.saturating_sub(swap_free), "cached": mib("SwapCached")},
        }),
    );
}

fn processor(facts: &mut Facts, text: &str) {
    let mut list = Vec::new();
    let mut sockets = BTreeSet::new();
    let mut cores = 1u64;
    let mut siblings = 0u64;
    let mut count = 0u64;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "processor" => {
                count += 1;
                list.push(value.to_owned());
            }
            "vendor_id" | "model name" | "Model" | "cpu" => list.push(value.to_owned()),
            "physical id" => {
                sockets.insert(value.to_owned());
            }
            "cpu cores" => cores = value.parse().unwrap_or(1),
            "siblings" => siblings = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    // ARM doesn't tell sockets: each processor counts as one, as in Ansible.
    let socket_count = if sockets.is_empty() {
        count.max(1)
    } else {
        sockets.len() as u64
    };
    let threads = if sockets.is_empty() {
        1
    } else {
        (siblings / cores.max(1)).max(1)
    };
    put(facts, "processor", list);
    put(facts, "processor_count", socket_count);
    put(facts, "processor_cores", cores);
    put(facts, "processor_threads_per_core", threads);
    put(facts, "processor_vcpus", socket_count * cores * threads);
    let usable = thread::available_parallelism().map_or(count.max(1), |count| count.get() as u64);
    put(facts, "processor_nproc", usable);
}

/// The mounted file systems that have a device or a server.
/// Mount points at which not the root of a file system is (proc(5), mountinfo): Ansible says `bind` of them.
fn parts(text: &str) -> BTreeSet<String> {
    let fields = text
        .lines()
        .map(|line| line.split(' ').map(unescape).collect::<Vec<_>>());
    let parts = fields.filter(|fields| fields.get(3).is_some_and(|root| root != "/"));
    parts
        .filter_map(|fields| fields.into_iter().nth(4))
        .collect()
}

fn mounts(text: &str, parts: &BTreeSet<String>) -> Vec<Value> {
    let uuids = uuids();
    text.lines()
        .filter_map(|line| {
            let fields: Vec<String> = line.split(' ').map(unescape).collect();
            let [device, mount, kind, options, ..] = &fields[..] else {
                return None;
            };
            if !(device.starts_with('/') || device.contains(":/")) || kind == "none" {
                return None;
            }
            let mut entry = Map::new();
            entry.insert("device".to_owned(), device.clone().into());
            entry.insert("mount".to_owned(), mount.clone().into());
            entry.insert("fstype".to_owned(), kind.clone().into());
            let bind = if parts.contains(mount) { ",bind" } else { "" };
            entry.insert("options".to_owned(), format!("{options}{bind}").into());
            entry.insert("dump".to_owned(), 0.into());
            entry.insert("passno".to_owned(), 0.into());
            entry.insert(
                "uuid".to_owned(),
                uuids
                    .get(device)
                    .cloned()
                    .unwrap_or_else(|| "N/A".to_owned())
                    .into(),
            );
            entry.extend(sizes(mount));
            Some(Value::Object(entry))
        })
        .collect()
}

/// Spaces and such in /proc/mounts are `\040`.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asked in a thread: a file server that is gone never answers.
fn sizes(mount: &str) -> Map<String, Value> {
    let (sender, receiver) = channel();
    let path = mount.to_owned();
    thread::spawn(move || sender.send(rustix::fs::statvfs(path.as_str())));
    let Ok(Ok(stat)) = receiver.recv_timeout(Duration::from_secs(3)) else {
        return Map::new();
    };
    let numbers = [
        ("size_total", stat.f_frsize * stat.f_blocks),
        ("size_available", stat.f_frsize * stat.f_bavail),
        ("block_size", stat.f_bsize),
        ("block_total", stat.f_blocks),
        ("block_available", stat.f_bavail),
        ("block_used", stat.f_blocks.saturating_sub(stat.f_bavail)),
        ("inode_total", stat.f_files),
        ("inode_available", stat.f_favail),
        ("inode_used", stat.f_files.saturating_sub(stat.f_favail)),
    ];
    numbers
        .into_iter()
        .map(|(name, number)| (name.to_owned(), number.into()))
        .collect()
}

fn uuids() -> HashMap<String, String> {
    let dir = Path::new("/dev/disk/by-uuid");
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let device = fs::canonicalize(entry.path()).ok()?;
            Some((
                device.to_string_lossy().into_owned(),
                entry.file_name().to_string_lossy().into_owned(),
            ))
        })
        .collect()
}

fn firmware(facts: &mut Facts) {
    for name in [
        "bios_date",
        "bios_vendor",
        "bios_version",
        "board_asset_tag",
        "board_name",
        "board_serial",
        "board_vendor",
        "board_version",
        "chassis_asset_tag",
        "chassis_serial",
        "chassis_vendor",
        "chassis_version",
        "product_name",
        "product_serial",
        "product_uuid",
        "product_version",
    ] {
        put(
            facts,
            name,
            read(format!("/sys/devices/virtual/dmi/id/{name}")).unwrap_or_else(|| "NA".to_owned()),
        );
    }
    let vendor = read("/sys/devices/virtual/dmi/id/sys_vendor").unwrap_or_else(|| "NA".to_owned());
    put(facts, "system_vendor", vendor);
    put(facts, "form_factor", form());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_mebibytes() {
        let mut facts = Facts::new();
        memory(
            &mut facts,
            "MemTotal: 2048000 kB\nMemFree: 1024000 kB\nCached: 1024 kB\nSwapTotal: 0 kB\n",
        );
        assert_eq!(facts["ansible_memtotal_mb"], 2000);
        assert_eq!(facts["ansible_memory_mb"]["real"]["used"], 1000);
        assert_eq!(facts["ansible_memory_mb"]["nocache"]["free"], 1001);
        assert_eq!(facts["ansible_swaptotal_mb"], 0);
    }

    #[test]
    fn processors_are_counted() {
        let one = "processor: 0\nvendor_id: GenuineIntel\nmodel name: X\nphysical id: 0\nsiblings: 4\ncpu cores: 2\n";
        let text = (0..4).map(|_| one).collect::<String>();
        let mut facts = Facts::new();
        processor(&mut facts, &text);
        assert_eq!(facts["ansible_processor_count"], 1);
        assert_eq!(facts["ansible_processor_threads_per_core"], 2);
        assert_eq!(facts["ansible_processor_vcpus"], 4);
        assert_eq!(
            facts["ansible_processor"].as_array().expect("a list").len(),
            12
        );
    }

    #[test]
    fn mounts_are_those_with_a_device() {
        let found = mounts(
            "proc /proc proc rw 0 0\n/dev/x\\040y / ext4 rw,noatime 0 0\nnas:/a /no/such nfs rw 0 0\n",
            &parts(
                "36 35 98:0 /sub /no/such rw - nfs nas:/a rw\n37 35 98:0 / / rw - ext4 /dev/x rw\n",
            ),
        );
        assert_eq!(
            (&found[0]["options"], &found[1]["options"]),
            (&"rw,noatime".into(), &"rw,bind".into())
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["device"], "/dev/x y");
        assert!(found[0]["size_total"].as_u64().expect("a number") > 0);
        assert!(found[1].get("size_total").is_none());
    }
}
