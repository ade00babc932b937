//! The command: parses arguments, calls the library, exits with a documented status.
fn main() -> std::process::ExitCode {
    hangscope_collector::cli::main()
}
