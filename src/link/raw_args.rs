//! Options of the ssh program as inventories carry them (`ansible_ssh_common_args` and the like).

use std::path::PathBuf;

/// What a list of arguments means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RawArgs {
    /// As for ssh_config: keyword and arguments, in order.
    pub options: Vec<(String, Vec<String>)>,
    /// `-F`.
    pub config_file: Option<PathBuf>,
    /// What only the ssh program can do.
    pub unhonoured: Vec<String>,
}

const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// Options that mean nothing for what we do: verbosity, compression, terminals, multiplexing.
const POINTLESS: &str = "AaCgKkMnNqstTvXxYyES";

/// Takes arguments apart; the words are already split.
pub(super) fn parse(words: &[String]) -> Result<RawArgs, String> {
    let mut raw = RawArgs::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(mut letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            return Err(format!("{word} isn't an option of ssh"));
        };
        while let Some(letter) = letters.chars().next() {
            letters = &letters[letter.len_utf8()..];
            if !WITH_VALUE.contains(letter) {
                raw.flag(letter);
                continue;
            }
            let value = if letters.is_empty() {
                words
                    .next()
                    .ok_or_else(|| format!("-{letter} needs a value"))?
                    .as_str()
            } else {
                letters
            };
            raw.option(letter, value)?;
            break;
        }
    }
    Ok(raw)
}

impl RawArgs {
    fn push(&mut self, keyword: &str, value: &str) {
        self.options
            .push((keyword.to_owned(), vec![value.to_owned()]));
    }

    fn flag(&mut self, letter: char) {
        match letter {
            '4' => self.push("addressfamily", "inet"),
            '6' => self.push("addressfamily", "inet6"),
            _ if POINTLESS.contains(letter) => {}
            _ => self.unhonoured.push(format!("-{letter}")),
        }
    }

    fn option(&mut self, letter: char, value: &str) -> Result<(), String> {
        match letter {
            'o' => {
                let line = super::ssh_config::split_line(value)?;
                let (keyword, args) = line.ok_or_else(|| "-o has no value".to_owned())?;
                self.options.push((keyword, args));
            }
            'F' => self.config_file = Some(PathBuf::from(value)),
            'i' => self.push("identityfile", value),
            'J' => self.push("proxyjump", value),
            'l' => self.push("user", value),
            'p' => self.push("port", value),
            'c' => self.push("ciphers", value),
            'm' => self.push("macs", value),
            _ if POINTLESS.contains(letter) => {}
            _ => self.unhonoured.push(format!("-{letter} {value}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RawArgs {
        parse(&super::super::ssh_config::split_shell(text).unwrap()).unwrap()
    }

    #[test]
    fn every_way_to_write_an_option() {
        let raw =
            parsed("-o ProxyJump=b -oPort=22 -o 'User ops' -F /cfg -i/key -p 2222 -vvCJ jump -4");
        let options: Vec<_> = raw
            .options
            .iter()
            .map(|(k, v)| format!("{k} {}", v.join(" ")))
            .collect();
        assert_eq!(
            options,
            [
                "proxyjump b",
                "port 22",
                "user ops",
                "identityfile /key",
                "port 2222",
                "proxyjump jump",
                "addressfamily inet"
            ]
        );
        assert_eq!(raw.config_file, Some("/cfg".into()));
        assert!(raw.unhonoured.is_empty());
    }

    #[test]
    fn what_we_cannot_do_is_kept() {
        assert_eq!(
            parsed("-L 1:a:2 -w0:0 -z").unhonoured,
            ["-L 1:a:2", "-w 0:0", "-z"]
        );
        assert!(parse(&["host".to_owned()]).is_err());
        assert!(parse(&["-p".to_owned()]).is_err());
        assert!(parse(&["-o".to_owned(), "Port".to_owned()]).is_err());
    }
}
