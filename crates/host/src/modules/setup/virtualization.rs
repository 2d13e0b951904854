//! Whether the host is a guest, and of what.

use super::{Facts, put, read};
use std::path::Path;

pub(super) fn collect(facts: &mut Facts) {
    let contained = container();
    let (kind, role) = match contained.or_else(machine) {
        Some(kind) => (kind, "guest"),
        None if Path::new("/dev/kvm").exists() => ("kvm", "host"),
        None => ("NA", "NA"),
    };
    let general = contained.map(|_| "container").filter(|name| *name != kind);
    let guest: Vec<&str> = (role == "guest")
        .then_some(kind)
        .into_iter()
        .chain(general)
        .collect();
    let host: Vec<&str> = Path::new("/dev/kvm")
        .exists()
        .then_some("kvm")
        .into_iter()
        .collect();
    put(facts, "virtualization_type", kind);
    put(facts, "virtualization_role", role);
    put(facts, "virtualization_tech_guest", guest);
    put(facts, "virtualization_tech_host", host);
}

/// The container around this process, by the traces that each kind leaves.
fn container() -> Option<&'static str> {
    if Path::new("/.dockerenv").exists() {
        return Some("docker");
    }
    if Path::new("/run/.containerenv").exists() {
        return Some("podman");
    }
    let named = read("/run/systemd/container").or_else(|| {
        let environment = read("/proc/1/environ")?;
        environment
            .split('\0')
            .find_map(|entry| entry.strip_prefix("container=").map(ToOwned::to_owned))
    })?;
    Some(match named.as_str() {
        "lxc" | "lxc-libvirt" => "lxc",
        "docker" => "docker",
        "podman" => "podman",
        "systemd-nspawn" => "systemd-nspawn",
        "openvz" => "openvz",
        _ => "container",
    })
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
