//! `encrypt-string`: values to be pasted into YAML.

use super::{Writing, broken, choose, error, files, secrets};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Kind};
use crate::content::vault::Key;
use clap::Args;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// How deep Ansible indents a ciphertext.
const INDENT: &str = "          ";

#[derive(Debug, Args)]
pub(super) struct EncryptString {
    /// Values; everyone on this machine may see them in the list of processes: prefer --prompt or standard input (`-`)
    #[arg(value_name = "STRING")]
    strings: Vec<String>,
    /// Ask for the value
    #[arg(short = 'p', long)]
    prompt: bool,
    /// Show what is typed at the prompt
    #[arg(long = "show-input")]
    show_input: bool,
    /// Name of the variable; may be given several times, one for each value
    #[arg(short = 'n', long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Name of the variable that is read from standard input
    #[arg(long = "stdin-name", value_name = "NAME")]
    stdin_name: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

/// A value, its name, and what is said of it when there are several.
struct Wanted {
    name: Option<String>,
    plain: Zeroizing<Vec<u8>>,
    from: &'static str,
}

pub(super) fn run(args: &EncryptString, context: &Context) -> Result<(), Failure> {
    if args.prompt && args.strings.iter().any(|text| text == "-") {
        let message = "The --prompt option is not supported if also reading input from stdin";
        return Err(Failure::new(Kind::Usage, message));
    }
    let ring = secrets::for_encryption(&args.writing.secrets, context)?;
    let (key, id) = choose(
        &ring,
        args.writing.encrypting.encrypt_vault_id.as_deref(),
        context,
    )?;
    let wanted = collect(args, context)?;
    let several = wanted.len() > 1;
    let mut text = String::new();
    for (index, one) in wanted.iter().enumerate() {
        if several {
            let number = index + 1;
            let from = one.from;
            eprintln!(
                "{}",
                match &one.name {
                    Some(name) => format!(
                        "# The encrypted version of variable (\"{name}\", the string #{number} from {from})."
                    ),
                    None =>
                        format!("# The encrypted version of the string #{number} from {from}.)"),
                }
            );
        }
        text.push_str(&yaml(one, key, id.as_deref())?);
    }
    match &args.writing.output_file {
        Some(path) => files::write(path, text.as_bytes(), context),
        None => context.print(&text),
    }
}

fn yaml(one: &Wanted, key: &Key, id: Option<&str>) -> Result<String, Failure> {
    let sealed = key.seal(&one.plain, id).map_err(broken)?.to_text();
    let mut text = match &one.name {
        Some(name) => format!("{name}: !vault |\n"),
        None => "!vault |\n".to_owned(),
    };
    for line in sealed.lines() {
        text.push_str(INDENT);
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// What is asked for, then standard input, then the arguments: as ansible-vault orders them.
fn collect(args: &EncryptString, context: &Context) -> Result<Vec<Wanted>, Failure> {
    let mut wanted = Vec::new();
    let dash = args.strings.iter().any(|text| text == "-");
    if args.prompt {
        let name = args.names.first().cloned();
        wanted.push(asked(name, args.show_input, context)?);
    } else if args.strings.is_empty() || dash || args.stdin_name.is_some() {
        let mut plain = Zeroizing::new(Vec::new());
        if context.terminal {
            eprintln!(
                "Reading plaintext input from stdin. (ctrl-d to end input, twice if your content does not already have a newline)"
            );
        }
        io::stdin()
            .read_to_end(&mut plain)
            .map_err(|failed| error(format!("standard input can't be read: {failed}")))?;
        if plain.is_empty() {
            return Err(error("stdin was empty, not encrypting".to_owned()));
        }
        wanted.push(Wanted {
            name: args.stdin_name.clone(),
            plain,
            from: "stdin",
        });
    }
    let typed = args.strings.iter().filter(|text| *text != "-");
    let names = args
        .names
        .iter()
        .skip(usize::from(args.prompt))
        .cloned()
        .map(Some);
    for (text, name) in typed.zip(names.chain(std::iter::repeat(None))) {
        if text.is_empty() {
            return Err(error(
                "The plaintext provided from the command line args was empty, not encrypting"
                    .to_owned(),
            ));
        }
        wanted.push(Wanted {
            name,
            plain: Zeroizing::new(text.as_bytes().to_vec()),
            from: "the command line args",
        });
    }
    Ok(wanted)
}

fn asked(name: Option<String>, show: bool, context: &Context) -> Result<Wanted, Failure> {
    let question = |text: &str| -> Result<Zeroizing<String>, Failure> {
        if !show {
            let secret = context.ask_secret(text)?;
            return Ok(Zeroizing::new(secret.expose().clone()));
        }
        let mut answer = Zeroizing::new(String::new());
        write!(io::stderr(), "{text}: ")
            .and_then(|()| io::stdin().read_line(&mut answer))
            .map_err(|failed| error(format!("the answer can't be read: {failed}")))?;
        Ok(Zeroizing::new(answer.trim_end_matches('\n').to_owned()))
    };
    let plain = question("String to encrypt")?;
    if plain.is_empty() {
        return Err(error(
            "The plaintext provided from the prompt was empty, not encrypting".to_owned(),
        ));
    }
    let name = match name {
        Some(name) => Some(name),
        None => {
            let mut answer = String::new();
            write!(io::stderr(), "Variable name (enter for no name): ")
                .and_then(|()| io::stdin().read_line(&mut answer))
                .map_err(|failed| error(format!("the answer can't be read: {failed}")))?;
            Some(answer.trim().to_owned()).filter(|name| !name.is_empty())
        }
    };
    Ok(Wanted {
        name,
        plain: Zeroizing::new(plain.as_bytes().to_vec()),
        from: "the interactive stdin",
    })
}
