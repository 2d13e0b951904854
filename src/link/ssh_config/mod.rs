//! ssh_config(5): what files and `-o` options say about one host. The first value wins.

mod read;
mod words;

pub(super) use read::{Query, read};
pub(super) use words::{split_line, split_shell};

use std::collections::BTreeMap;

/// The values that hold for one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// By keyword in lower case; the arguments of each occurrence that counts.
    values: BTreeMap<String, Vec<Vec<String>>>,
    /// What we can't honour, as it was written: the ssh program has to do it.
    pub unhonoured: Vec<String>,
}

/// How a keyword is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Honoured,
    /// Means nothing for what we do (multiplexing, forwarding, terminals), or only adds what we have no need of.
    Pointless,
    /// Not honoured when it has one of these values; empty: never pointless.
    Unless(&'static [&'static str]),
}

impl Options {
    /// The first argument of a keyword (in lower case).
    pub(super) fn one(&self, keyword: &str) -> Option<&str> {
        self.values
            .get(keyword)?
            .first()?
            .first()
            .map(String::as_str)
    }

    /// All arguments of the first occurrence.
    pub(super) fn all(&self, keyword: &str) -> Option<&[String]> {
        Some(self.values.get(keyword)?.first()?)
    }

    /// The first argument of each occurrence, for keywords that add up.
    pub(super) fn each(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.values
            .get(keyword)
            .into_iter()
            .flatten()
            .filter_map(|args| args.first())
            .map(String::as_str)
    }

    pub(super) fn is_yes(&self, keyword: &str, default: bool) -> bool {
        self.one(keyword).map_or(default, |v| {
            matches!(v.to_ascii_lowercase().as_str(), "yes" | "true")
        })
    }

    /// Sets a value unless there is one; IdentityFile adds up.
    pub(super) fn set(&mut self, keyword: &str, args: Vec<String>) {
        let keyword = keyword.to_ascii_lowercase();
        let adds_up = keyword == "identityfile";
        // Both come from one option of ssh: whichever is set first.
        let rival = match keyword.as_str() {
            "proxyjump" => "proxycommand",
            "proxycommand" => "proxyjump",
            _ => "",
        };
        if self.values.contains_key(rival) || (self.values.contains_key(&keyword) && !adds_up) {
            return;
        }
        if !is_honoured(treatment(&keyword), &args) {
            self.unhonoured
                .push(format!("{keyword} {}", args.join(" ")));
        }
        self.values.entry(keyword).or_default().push(args);
    }
}

fn is_honoured(treatment: Treatment, args: &[String]) -> bool {
    match treatment {
        Treatment::Honoured | Treatment::Pointless => true,
        Treatment::Unless(harmless) => args
            .first()
            .is_some_and(|value| harmless.contains(&value.to_ascii_lowercase().as_str())),
    }
}

fn treatment(keyword: &str) -> Treatment {
    match keyword {
        "hostname"
        | "user"
        | "port"
        | "identityfile"
        | "identitiesonly"
        | "identityagent"
        | "proxyjump"
        | "userknownhostsfile"
        | "globalknownhostsfile"
        | "stricthostkeychecking"
        | "hostkeyalias"
        | "hashknownhosts"
        | "connecttimeout"
        | "serveraliveinterval"
        | "serveralivecountmax"
        | "addressfamily"
        | "ciphers"
        | "macs"
        | "kexalgorithms"
        | "hostkeyalgorithms"
        | "pubkeyauthentication"
        | "passwordauthentication"
        | "kbdinteractiveauthentication"
        | "challengeresponseauthentication" => Treatment::Honoured,
        "controlmaster"
        | "controlpath"
        | "controlpersist"
        | "forwardagent"
        | "forwardx11"
        | "forwardx11trusted"
        | "forwardx11timeout"
        | "xauthlocation"
        | "loglevel"
        | "logverbose"
        | "syslogfacility"
        | "sendenv"
        | "setenv"
        | "compression"
        | "tcpkeepalive"
        | "addkeystoagent"
        | "usekeychain"
        | "visualhostkey"
        | "checkhostip"
        | "updatehostkeys"
        | "numberofpasswordprompts"
        | "batchmode"
        | "requesttty"
        | "escapechar"
        | "localforward"
        | "remoteforward"
        | "dynamicforward"
        | "clearallforwardings"
        | "exitonforwardfailure"
        | "gatewayports"
        | "permitlocalcommand"
        | "localcommand"
        | "permitremoteopen"
        | "fingerprinthash"
        | "gssapiauthentication"
        | "gssapidelegatecredentials"
        | "gssapikexalgorithms"
        | "gssapikeyexchange"
        | "gssapitrustdns"
        | "ipqos"
        | "connectionattempts"
        | "rekeylimit"
        | "enablesshkeysign"
        | "preferredauthentications"
        | "streamlocalbindmask"
        | "streamlocalbindunlink"
        | "protocol"
        | "useroaming"
        | "forkafterauthentication"
        | "stdinnull"
        | "sessiontype"
        | "tunnel"
        | "tunneldevice"
        | "pubkeyacceptedalgorithms"
        | "pubkeyacceptedkeytypes"
        | "hostbasedacceptedalgorithms"
        | "hostbasedkeytypes"
        | "casignaturealgorithms"
        | "requiredrsasize"
        | "obscurekeystroketiming"
        | "enableescapecommandline"
        | "channeltimeout"
        | "tag"
        | "ignoreunknown"
        | "canonicaldomains"
        | "canonicalizefallbacklocal"
        | "canonicalizemaxdots"
        | "canonicalizepermittedcnames"
        | "warnweakcrypto" => Treatment::Pointless,
        "proxycommand" => Treatment::Unless(&["none"]),
        "hostbasedauthentication"
        | "canonicalizehostname"
        | "verifyhostkeydns"
        | "nohostauthenticationforlocalhost"
        | "proxyusefdpass" => Treatment::Unless(&["no", "false"]),
        "pkcs11provider" | "revokedhostkeys" | "knownhostscommand" | "remotecommand" => {
            Treatment::Unless(&["none"])
        }
        // CertificateFile, BindAddress, SecurityKeyProvider and what later versions bring.
        _ => Treatment::Unless(&[]),
    }
}

#[cfg(test)]
mod tests;
