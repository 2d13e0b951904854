//! The machine of a member: what runs and lies there now.

use super::facts::{Data, Machine};
use crate::cluster::{Hand, HandError, wal};
use base64::Engine as _;

/// What one look at a machine gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    pub running: bool,
    pub data: Option<Data>,
    /// First line of `etcd --version`, when the program is there.
    pub program: Option<String>,
    /// The service's unit file is there.
    pub unit: bool,
    /// The data directory is there, empty or not.
    pub directory: bool,
}

impl Look {
    pub fn data(&self) -> Data {
        self.data.unwrap_or(Data::Unreadable)
    }

    pub fn machine(&self) -> Machine {
        Machine::Reachable {
            running: self.running,
            data: self.data(),
        }
    }
}

/// A value inside single quotes of a shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Looks and changes nothing.
pub async fn look(hand: &Hand, data_dir: &str, program: &str) -> Result<Look, HandError> {
    let script = format!(
        r#"d={}; p={}
case $(systemctl is-active etcd.service 2>/dev/null) in active|activating|reloading|deactivating) echo running;; esac
for c in /proc/[0-9]*/comm; do n=; read -r n 2>/dev/null <"$c"; [ "$n" = etcd ] && echo running && break; done
systemctl cat etcd.service >/dev/null 2>&1 && echo unit
[ -x "$p" ] && echo "program $("$p" --version 2>/dev/null | head -n 1)"
[ -d "$d" ] && echo directory
if [ -d "$d" ] && [ -n "$(ls -A "$d" | grep -vxE 'lost\+found|(member\.before|restoring)-.*')" ]; then
  w=$(ls "$d"/member/wal/*.wal 2>/dev/null | head -n 1)
  if [ -n "$w" ]; then echo "log $(head -c {} "$w" | base64 | tr -d '\n')"; else echo other; fi
else echo empty; fi
exit 0"#,
        quote(data_dir),
        quote(program),
        wal::ENOUGH
    );
    hand.script(&script).await.map(|text| read(&text))
}

fn read(text: &str) -> Look {
    let mut look = Look::default();
    for line in text.lines().map(str::trim) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("running", _) => look.running = true,
            ("unit", _) => look.unit = true,
            ("directory", _) => look.directory = true,
            ("program", version) => look.program = Some(version.to_owned()),
            ("empty", _) => look.data = Some(Data::None),
            ("log", bytes) => {
                let identity = base64::engine::general_purpose::STANDARD
                    .decode(bytes)
                    .ok()
                    .and_then(|bytes| wal::identity(&bytes));
                look.data = Some(identity.map_or(Data::Unreadable, Data::Of));
            }
            ("other", _) => look.data = Some(Data::Unreadable),
            _ => {}
        }
    }
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_read() {
        let look = read("running\nunit\nprogram etcd Version: 3.4.23\nempty\n");
        assert!(look.running && look.unit);
        assert_eq!(look.program.as_deref(), Some("etcd Version: 3.4.23"));
        assert_eq!(look.data(), Data::None);
        assert_eq!(read("other\n").data(), Data::Unreadable);
        assert_eq!(read("log AAAA\n").data(), Data::Unreadable);
        assert_eq!(
            read("").data(),
            Data::Unreadable,
            "silence is not emptiness"
        );
    }

    #[test]
    fn quotes_hold() {
        assert_eq!(quote("a'b"), r"'a'\''b'");
    }
}
