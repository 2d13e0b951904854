//! One host on which a member is to live: what runs and lies there.

use super::facts::{Machine, Place};
use crate::cluster::identity::Settings;
use crate::cluster::throwaway::Version;
use crate::cluster::{Hand, HandError};
use crate::ops::engine::Failure;
use crate::ops::replace_node::Data;
use crate::ops::replace_node::machine::{self, quote};
use crate::ops::replace_node::unit;
use std::path::PathBuf;

pub(in crate::ops) const UNIT: &str = "/etc/systemd/system/etcd.service";
const MANIFESTS: &str = "/etc/kubernetes/";

/// A host and how its member is set up.
pub(in crate::ops) struct Host {
    pub(in crate::ops) hand: Hand,
    pub(in crate::ops) settings: Settings,
    /// The settings aren't on the host: they come from the set, as everything else does.
    pub(in crate::ops) bare: bool,
    pub(in crate::ops) data_dir: String,
    pub(in crate::ops) program: String,
    pub(in crate::ops) user: String,
    /// `etcdutl` or `etcdctl` on the host.
    pub(in crate::ops) restorer: String,
    /// Programs of this machine and their places there.
    pub(in crate::ops) bring: Vec<(PathBuf, String)>,
    /// Whose data lie there.
    pub(in crate::ops) data: Option<Data>,
    pub(in crate::ops) machine: Machine,
}

/// What runs there now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ops) struct Running {
    pub(in crate::ops) etcd: bool,
    /// Parts of Kubernetes' control plane.
    pub(in crate::ops) control_plane: Vec<String>,
}

pub(in crate::ops) async fn look(
    hand: &Hand,
    settings: Settings,
    unit_text: Option<&str>,
    bare: bool,
) -> Result<Host, Failure> {
    let (program, user) = unit(unit_text.unwrap_or_default());
    let program = program.unwrap_or_else(|| "/usr/local/bin/etcd".to_owned());
    let data_dir = settings.data_dir().unwrap_or("/var/lib/etcd").to_owned();
    let there = machine::look(hand, &data_dir, &program).await?;
    let tools = tools(hand, &program, &data_dir).await?;
    let member = settings.name().unwrap_or(&hand.name).to_owned();
    let peer_urls = settings.peer_urls();
    if peer_urls.is_empty() {
        return Err(Failure::new(format!(
            "{}: {} names no ETCD_INITIAL_ADVERTISE_PEER_URLS",
            hand.name, settings.file
        )));
    }
    let version = there.program.as_deref().and_then(Version::parse);
    Ok(Host {
        machine: Machine {
            place: Place {
                host: hand.name.clone(),
                member,
                peer_urls,
            },
            version: version.filter(|_| !tools.restorer.is_empty()),
            bumps: tools.bumps,
            pod: settings.file.starts_with(MANIFESTS),
            free: tools.free,
        },
        data: there.data,
        hand: hand.clone(),
        user: user.unwrap_or_else(|| "root".to_owned()),
        restorer: tools.restorer,
        bring: Vec::new(),
        settings,
        bare,
        data_dir,
        program,
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tools {
    restorer: String,
    bumps: bool,
    free: Option<u64>,
}

/// What turns a snapshot into data, and how much room there is.
async fn tools(hand: &Hand, program: &str, data_dir: &str) -> Result<Tools, HandError> {
    let script = format!(
        r#"p={}; d={}
for r in "${{p%/*}}/etcdutl" "${{p%/*}}/etcdctl"; do
  if [ -x "$r" ]; then echo "restorer $r"
    ETCDCTL_API=3 "$r" snapshot restore --help 2>&1 | grep -q bump-revision && echo bumps
    break
  fi
done
while [ ! -d "$d" ]; do d=$(dirname "$d"); done
echo "free $(df -Pk "$d" | awk 'NR == 2 {{ print $4 }}')"
exit 0"#,
        quote(program),
        quote(data_dir)
    );
    hand.script(&script).await.map(|text| read_tools(&text))
}

fn read_tools(text: &str) -> Tools {
    let mut tools = Tools::default();
    for line in text.lines().map(str::trim) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("restorer", path) => tools.restorer = path.to_owned(),
            ("bumps", _) => tools.bumps = true,
            ("free", kib) => tools.free = kib.parse().ok().map(|kib: u64| kib * 1024),
            _ => {}
        }
    }
    tools
}

impl Host {
    /// Whose data lie there now.
    pub(in crate::ops) async fn data_now(&self) -> Result<Data, Failure> {
        let look = machine::look(&self.hand, &self.data_dir, &self.program).await?;
        Ok(look.data())
    }

    /// What runs there now: the processes themselves, whatever systemd says.
    pub(in crate::ops) async fn running(&self) -> Result<Running, Failure> {
        let script = r#"for c in /proc/[0-9]*/comm; do n=; read -r n 2>/dev/null <"$c"; case $n in
etcd) echo etcd;;
kube-apiserver|kube-controller|kube-scheduler) echo "part $n";;
esac; done
case $(systemctl is-active etcd.service 2>/dev/null) in active|activating|reloading|deactivating) echo etcd;; esac
exit 0"#;
        let text = self.hand.script(script).await?;
        let mut running = Running::default();
        for line in text.lines().map(str::trim) {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("etcd", _) => running.etcd = true,
                ("part", name) => running.control_plane.push(name.to_owned()),
                _ => {}
            }
        }
        Ok(running)
    }

    /// Ports of the member on which somebody still listens, as this host sees it.
    pub(in crate::ops) async fn listening(&self) -> Vec<String> {
        use crate::cluster::door::Door;
        let urls = self.settings.client_urls().into_iter();
        let mut open = Vec::new();
        for url in urls.chain(self.settings.peer_urls()) {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            if let Some((address, port)) = rest.trim_end_matches('/').rsplit_once(':')
                && let Ok(port) = port.parse()
                && self
                    .hand
                    .dial(address.trim_matches(['[', ']']), port)
                    .await
                    .is_ok()
            {
                open.push(url.clone());
            }
        }
        open
    }

    pub(in crate::ops) fn place(&self) -> &Place {
        &self.machine.place
    }
}

/// Old data below a data directory, and how many bytes each holds.
pub(in crate::ops) async fn asides(
    hand: &Hand,
    data_dir: &str,
) -> Result<Vec<(String, u64)>, Failure> {
    let script = format!(
        r#"for d in {}/member.before-*; do [ -d "$d" ] && echo "$(du -sk "$d" | cut -f 1) $d"; done; exit 0"#,
        quote(data_dir)
    );
    let text = hand.script(&script).await?;
    Ok(text
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter_map(|(kib, path)| Some((path.to_owned(), kib.parse::<u64>().ok()? * 1024)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_read() {
        let tools = read_tools("restorer /usr/local/bin/etcdutl\nbumps\nfree 1024\n");
        assert_eq!(
            tools,
            Tools {
                restorer: "/usr/local/bin/etcdutl".to_owned(),
                bumps: true,
                free: Some(1 << 20),
            }
        );
        assert_eq!(read_tools("free \n"), Tools::default());
    }
}
