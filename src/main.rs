//! The `suspect` command.

fn main() -> std::process::ExitCode {
    suspect::cli::main()
}
