use std::process::ExitCode;

fn main() -> ExitCode {
    kopsrun::cli::main()
}
