//! What keys and certificates are: new ones differ in every byte and mean the same.

use std::path::Path;
use std::process::{Command, Stdio};

/// A private key (`.key`) or certificate (`.crt`) in words, without what is random in it; none for other files.
pub fn told(path: &Path) -> Option<String> {
    match path.extension()?.to_str()? {
        "key" => {
            let text = std::fs::read_to_string(path).ok()?;
            let label = text.lines().next()?.to_owned();
            let about = openssl(
                &["pkey", "-noout", "-text", "-passin", "pass:a b", "-in"],
                path,
            )?;
            let curve = about.lines().find(|line| line.starts_with("ASN1 OID"));
            Some(format!("{label} {:?} {curve:?}", about.lines().next()))
        }
        "crt" => {
            let about = openssl(
                &[
                    "x509",
                    "-noout",
                    "-text",
                    "-certopt",
                    "no_serial,no_sigdump",
                    "-in",
                ],
                path,
            )?;
            Some(about)
        }
        _ => None,
    }
}

fn openssl(args: &[&str], path: &Path) -> Option<String> {
    let output = Command::new("openssl")
        .args(args)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
