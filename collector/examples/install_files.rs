//! Writes the man pages, and the completions for bash, zsh and fish, from the definition of the command line.
//! `scripts/build.sh --prefix` runs this program. It is an example, so that no other build waits for its
//! dependencies.
//!
//!     install_files DIR    writes DIR/man/man1/*.1 and the completions, below DIR as they are below `share`

use std::path::PathBuf;

use clap_complete::Shell;

fn main() -> std::io::Result<()> {
    let Some(share) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("install_files: name the folder to write to");
        std::process::exit(2);
    };
    let man = share.join("man/man1");
    std::fs::create_dir_all(&man)?;
    clap_mangen::generate_to(hangscope_collector::cli::definition(), man)?;

    // The names and folders in which each shell looks by itself.
    let completions = [
        (Shell::Bash, "bash-completion/completions/hangscope"),
        (Shell::Zsh, "zsh/site-functions/_hangscope"),
        (Shell::Fish, "fish/vendor_completions.d/hangscope.fish"),
    ];
    for (shell, place) in completions {
        let mut text = vec![];
        clap_complete::generate(shell, &mut hangscope_collector::cli::definition(), "hangscope", &mut text);
        let path = share.join(place);
        std::fs::create_dir_all(path.parent().expect("a folder"))?;
        std::fs::write(path, text)?;
    }
    Ok(())
}
