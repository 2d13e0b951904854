//! What cargo can't do alone: the static agent, the release build that holds it, and proxies for measuring.

mod delay;
mod elf;
mod licences;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask VERB

  agent [--target TRIPLE]   build the static program that runs on hosts, check it, and put it where kopsrun finds it
                            (x86_64-unknown-linux-gnu unless said; for others add the target first, for example
                            `rustup target add aarch64-unknown-linux-musl`, and a linker for it)
  licences                  check what deny.toml asks of dependencies, without cargo-deny and without the network
  delay MS FROM=TO...       TCP proxies that add MS milliseconds of round-trip time and count round trips, for
                            benches/compare
  build                     the agent, then a release build of kopsrun that holds the agent
";

const DEFAULT_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Calls of glibc's name service, which crash in a static program on hosts with other modules than glibc's own.
const FORBIDDEN: &[&str] = &[
    "__nss_",
    "getpw",
    "getgrnam",
    "getgrgid",
    "getgrouplist",
    "getaddrinfo",
    "gethostby",
];

/// `fork` itself takes a lock of the name service through these; they load nothing.
const HARMLESS: &[&str] = &[
    "__nss_database_fork_prepare_parent",
    "__nss_database_fork_subprocess",
];

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["agent"] => agent(DEFAULT_TARGET).map(drop),
        ["agent", "--target", target] => agent(target).map(drop),
        ["licences"] => licences::check(&root()).map(|told| say(&told)),
        ["build"] => build(),
        ["delay", round_trip, ref pairs @ ..] => delay::run(round_trip, pairs),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&format!("xtask: {message}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a tool for people who build kopsrun")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Builds and checks the agent; where it is then.
fn agent(target: &str) -> Result<PathBuf> {
    let arch = target.split('-').next().unwrap_or(target);
    let folder = root().join("target/agent");
    let built = folder.join(target).join("agent/kopsrun-agent");
    // Tests ask for it several at a time, and the program changes under this name while it is made.
    let _turn = turn(&folder)?;
    // The names of functions are only in the unstripped program.
    compile(target, &folder, "none")?;
    check(&built)?;
    compile(target, &folder, "symbols")?;
    starts(&built, target)?;
    let program = folder.join(format!("kopsrun-agent-{arch}"));
    install(&built, &program)?;
    for profile in ["debug", "release"] {
        let beside = root().join("target").join(profile);
        if beside.is_dir() {
            install(&program, &beside.join(format!("kopsrun-agent-{arch}")))?;
        }
    }
    let size = fs::metadata(&program)
        .map_err(|error| error.to_string())?
        .len();
    say(&format!(
        "{}: {size} bytes, static, no name service",
        program.display()
    ));
    Ok(program)
}

/// Waits until no other process makes the program.
fn turn(folder: &Path) -> Result<fs::File> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(folder.join("lock")))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| format!("{}: {error}", folder.display()))
}

fn compile(target: &str, folder: &Path, strip: &str) -> Result<()> {
    run(Command::new(cargo())
        .current_dir(root())
        .args([
            "build",
            "--quiet",
            "--package",
            "kopsrun-agent",
            "--profile",
            "agent",
            "--target",
            target,
        ])
        .arg("--target-dir")
        .arg(folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(target).join("\u{1f}"))
        .env("CARGO_PROFILE_AGENT_STRIP", strip)
        .env_remove("RUSTFLAGS"))
}

/// Static, and for the linker that rustc brings a fifth smaller: relocations packed (a static program relocates itself,
/// so the glibc here counts, 2.36 or newer, not that of hosts), equal functions once, and no tables for unwinding, which
/// a program that aborts on panics never reads.
fn flags(target: &str) -> Vec<String> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    if target == DEFAULT_TARGET {
        let script = root().join("crates/agent/no-unwind-tables.ld");
        flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs,--icf=all,--no-eh-frame-hdr".to_owned());
        flags.push(format!("-Clink-arg=-Wl,-T,{}", script.display()));
    }
    flags
}

/// Refuses a program that doesn't start, where it can be started at all.
fn starts(program: &Path, target: &str) -> Result<()> {
    if target != DEFAULT_TARGET || env::consts::ARCH != "x86_64" {
        return Ok(());
    }
    let output = Command::new(program).arg("--version").output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "the agent ends with {} when it starts: its libc.a must be glibc 2.36 or newer",
            output.status
        )),
        Err(error) => Err(format!("the agent can't be started: {error}")),
    }
}

/// Refuses a program that needs a loader or calls the name service.
fn check(program: &Path) -> Result<()> {
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let elf = elf::Elf::parse(&bytes)
        .ok_or_else(|| format!("{} is not a 64-bit ELF program", program.display()))?;
    if elf.needs_loader() {
        return Err(format!(
            "{} is not static: it names a loader",
            program.display()
        ));
    }
    let symbols = elf.symbols();
    if !symbols.iter().any(|symbol| symbol == "main") {
        return Err(format!(
            "{} has no table of symbols, so it can't be checked",
            program.display()
        ));
    }
    let found: Vec<&String> = symbols
        .iter()
        .filter(|symbol| !HARMLESS.contains(&symbol.as_str()))
        .filter(|symbol| FORBIDDEN.iter().any(|forbidden| symbol.contains(forbidden)))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the agent calls glibc's name service ({found:?}), which crashes in static programs: use host::users, and \
         SocketAddr instead of host names"
    ))
}

/// Copies a program so that one that runs is never half written.
fn install(from: &Path, to: &Path) -> Result<()> {
    let temporary = to.with_extension(format!("new-{}", std::process::id()));
    fs::copy(from, &temporary)
        .and_then(|_| fs::rename(&temporary, to))
        .map_err(|error| format!("cannot put {} to {}: {error}", from.display(), to.display()))
}

fn build() -> Result<()> {
    let program = agent(DEFAULT_TARGET)?;
    run(Command::new(cargo())
        .current_dir(root())
        .args([
            "build",
            "--release",
            "--package",
            "kopsrun",
            "--features",
            "embed-agent",
        ])
        .env("KOPSRUN_AGENT_X86_64", program))
}

fn run(command: &mut Command) -> Result<()> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "{} ended with {status}",
            command.get_program().display()
        )),
        Err(error) => Err(format!(
            "cannot start {}: {error}",
            command.get_program().display()
        )),
    }
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
