use super::{Cli, Exit, context, epilogue};
use crate::error::Error;
use anstream::ColorChoice;
use clap::CommandFactory;

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = epilogue(
    "Examples:\n  suspect completions bash > ~/.local/share/bash-completion/completions/suspect\n  \
     suspect completions zsh > ~/.zfunc/_suspect\n  \
     suspect completions fish > ~/.config/fish/completions/suspect.fish"
))]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the manual page of `suspect` or of one command.
#[derive(Debug, clap::Args)]
#[command(after_help = epilogue(
    "Examples:\n  suspect man | man -l -\n  suspect man analyze > ~/.local/share/man/man1/suspect-analyze.1"
))]
pub(super) struct ManArgs {
    /// The command; without it, the page of `suspect` itself
    command: Option<String>,
}

/// What manual pages say they belong to.
const SOURCE: &str = concat!("suspect ", env!("CARGO_PKG_VERSION"));

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "suspect", &mut script);
    write(&script)
}

pub(super) fn man(args: &ManArgs) -> Result<Exit, Error> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| Error::Usage {
            message: format!("there is no command `{name}`"),
            hint: "`suspect --help` lists the commands".to_owned(),
        })?,
    };
    let mut page = Vec::new();
    let failed = |source| Error::Io { action: "write", path: "the manual page".into(), source };
    clap_mangen::Man::new(command).source(SOURCE).manual("Suspect Manual").render(&mut page).map_err(failed)?;
    write(&page)
}

fn write(text: &[u8]) -> Result<Exit, Error> {
    context::print(&String::from_utf8_lossy(text), ColorChoice::AlwaysAnsi)?;
    Ok(Exit::Complete)
}
