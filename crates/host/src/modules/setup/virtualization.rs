//! Whether the host is a guest, and of what.

use super::{Facts, put, read};
use std::path::Path;

pub(super) fn collect(facts: &mut Facts) {
    let mut guest = containers(&Traces {
        cgroup: read("/proc/1/cgroup").unwrap_or_default(),
        environment: read("/proc/1/environ").unwrap_or_default(),
        openvz: Path::new("/proc/vz").exists() && !Path::new("/proc/lve").exists(),
        systemd: read("/run/systemd/container"),
        docker: ["/.dockerenv", "/.dockerinit"]
            .iter()
            .any(|file| Path::new(file).exists()),
    });
    guest.extend(machine().map(str::to_owned));
    let host: Vec<&str> = Path::new("/dev/kvm")
        .exists()
        .then_some("kvm")
        .into_iter()
        .collect();
    let (kind, role) = match (guest.first(), host.first()) {
        (Some(kind), _) => (kind.clone(), "guest"),
        (None, Some(kind)) => ((*kind).to_owned(), "host"),
        (None, None) => ("NA".to_owned(), "NA"),
    };
    put(facts, "virtualization_type", kind);
    put(facts, "virtualization_role", role);
    put(facts, "virtualization_tech_guest", guest);
    put(facts, "virtualization_tech_host", host);
}

/// What containers leave in the files of a host.
#[derive(Default)]
struct Traces {
    /// `/proc/1/cgroup`.
    cgroup: String,
    /// `/proc/1/environ`.
    environment: String,
    openvz: bool,
    /// What systemd calls the container.
    systemd: Option<String>,
    docker: bool,
}

/// The containers around this process, in the order in which Ansible finds them: the first one is the type.
fn containers(traces: &Traces) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    };
    for line in traces.cgroup.lines() {
        let scope = line.contains("/docker-") && line.contains(".scope");
        if line.contains("/docker/") || scope {
            add("docker");
        }
        if line.contains("/lxc/") || line.contains("/machine.slice/machine-lxc") {
            add("lxc");
        }
        if line.contains("/system.slice/containerd.service") {
            add("containerd");
        }
    }
    for entry in traces.environment.split('\0') {
        for name in ["lxc", "podman"] {
            if entry.contains(&format!("container={name}")) {
                add(name);
            }
        }
        let named = entry.strip_prefix("container=");
        if named.is_some_and(|name| !name.is_empty()) {
            add("container");
        }
    }
    if traces.openvz {
        add("openvz");
    }
    if let Some(name) = &traces.systemd {
        add(name);
    }
    if traces.docker {
        add("docker");
    }
    if !found.is_empty() && !found.iter().any(|name| name == "container") {
        found.push("container".to_owned());
    }
    found
}

/// The virtual machine, by what its firmware says.
fn machine() -> Option<&'static str> {
    let dmi = |name: &str| read(format!("/sys/devices/virtual/dmi/id/{name}")).unwrap_or_default();
    identify(
        &dmi("product_name"),
        &dmi("sys_vendor"),
        &dmi("bios_vendor"),
    )
}

fn identify(product: &str, vendor: &str, bios: &str) -> Option<&'static str> {
    let kvm_products = [
        "KVM",
        "KVM Server",
        "Bochs",
        "AHV",
        "OpenStack Compute",
        "OpenStack Nova",
        "Google Compute Engine",
    ];
    match (product, vendor, bios) {
        (product, ..) if kvm_products.contains(&product) => Some("kvm"),
        ("VMware Virtual Platform" | "VMware7,1" | "VMware20,1", ..) => Some("VMware"),
        (_, "VMware, Inc.", _) => Some("VMware"),
        ("VirtualBox", ..) => Some("virtualbox"),
        ("Virtual Machine", "Microsoft Corporation", _) => Some("VirtualPC"),
        ("HVM domU", ..) | (_, "Xen", _) => Some("xen"),
        (_, _, "Amazon EC2") | (_, "Amazon EC2", _) => Some("kvm"),
        (
            _,
            "QEMU" | "DigitalOcean" | "Hetzner" | "oVirt" | "Red Hat" | "Nutanix" | "UpCloud",
            _,
        ) => Some("kvm"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_found_in_ansibles_order() {
        let nspawn = Traces {
            environment: "PATH=/bin\0container=systemd-nspawn\0".to_owned(),
            systemd: Some("systemd-nspawn".to_owned()),
            ..Traces::default()
        };
        assert_eq!(containers(&nspawn), ["container", "systemd-nspawn"]);
        let unprivileged = Traces {
            systemd: Some("systemd-nspawn".to_owned()),
            ..Traces::default()
        };
        assert_eq!(containers(&unprivileged), ["systemd-nspawn", "container"]);
        let lxc = Traces {
            environment: "container=lxc".to_owned(),
            systemd: Some("lxc".to_owned()),
            ..Traces::default()
        };
        assert_eq!(containers(&lxc), ["lxc", "container"]);
        let docker = Traces {
            cgroup: "0::/system.slice/docker-0123.scope\n".to_owned(),
            docker: true,
            ..Traces::default()
        };
        assert_eq!(containers(&docker), ["docker", "container"]);
        assert!(containers(&Traces::default()).is_empty());
    }

    #[test]
    fn machines_are_known_by_their_firmware() {
        assert_eq!(
            identify("Standard PC (Q35 + ICH9, 2009)", "QEMU", "SeaBIOS"),
            Some("kvm")
        );
        assert_eq!(
            identify("VirtualBox", "innotek GmbH", "innotek GmbH"),
            Some("virtualbox")
        );
        assert_eq!(identify("PowerEdge R640", "Dell Inc.", "Dell Inc."), None);
    }
}
