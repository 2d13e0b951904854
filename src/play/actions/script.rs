//! `script`: a script of the controller goes to the host, runs there and is removed.

use crate::content::place::Fault;
use crate::play::call::Call;
use crate::play::done::{Done, Problem};
use crate::play::hands::Blobs;

pub(super) async fn run(call: &Call<'_>) -> Result<Done, Problem> {
    let line = call
        .free
        .clone()
        .or_else(|| call.text("cmd"))
        .ok_or_else(|| call.fault("script: no script is named"))?;
    let (script, rest) = first_word(line.trim()).ok_or_else(|| -> Fault {
        call.fault("script: no script is named, or a quote is missing")
            .hint("Write the script and its arguments, as in `script: files/check.sh --all`.")
    })?;
    let path = call.find("files", &script, "cmd")?;
    let mut args = call.json_args();
    args.shift_remove("cmd");
    args.shift_remove("decrypt");
    args.insert("_raw_params".to_owned(), rest.into());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    args.insert("_original_basename".to_owned(), name.as_ref().into());
    let content = super::copy::content(call, &path)?;
    let blobs = Blobs::from([("content".to_owned(), content)]);
    call.module("script", args, blobs).await
}

/// The first word of a command line without its quotes, and the rest as it was written: a shell reads it on the host.
fn first_word(line: &str) -> Option<(String, &str)> {
    let (mut word, mut quote, mut letters) = (String::new(), None, line.char_indices());
    while let Some((at, letter)) = letters.next() {
        match (letter, quote) {
            (letter, Some(open)) if letter == open => quote = None,
            ('\\', None | Some('"')) => word.push(letters.next()?.1),
            ('"' | '\'', None) => quote = Some(letter),
            (letter, None) if letter.is_whitespace() => {
                return Some((word, line[at..].trim_start()));
            }
            (letter, _) => word.push(letter),
        }
    }
    (quote.is_none() && !word.is_empty()).then_some((word, ""))
}

#[cfg(test)]
mod tests {
    use super::first_word;

    #[test]
    fn the_script_is_the_first_word() {
        let split = |line| first_word(line).map(|(word, rest)| (word, rest.to_owned()));
        let found = |word: &str, rest: &str| Some((word.to_owned(), rest.to_owned()));
        assert_eq!(split("a.sh"), found("a.sh", ""));
        assert_eq!(split("a.sh  'x y' | cat"), found("a.sh", "'x y' | cat"));
        assert_eq!(split("'a b'.sh x"), found("a b.sh", "x"));
        assert_eq!(split("\"a \\\" b\" x"), found("a \" b", "x"));
        assert_eq!(split("a\\ b x"), found("a b", "x"));
        assert_eq!(split(""), None);
        assert_eq!(split("'a b"), None);
    }
}
