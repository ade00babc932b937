//! The command: parses arguments, calls the library, exits with a documented status.
fn main() -> std::process::ExitCode {
    // A panic ends the whole process. A thread that died alone would leave the others waiting for it.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
    hangscope_collector::cli::main()
}
