use super::{Cli, Context, Exit, epilogue};
use crate::error::Error;
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

pub(super) fn completions(args: &CompletionsArgs, context: &Context) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "suspect", &mut script);
    write(&script, context)
}

pub(super) fn man(args: &ManArgs, context: &Context) -> Result<Exit, Error> {
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
    clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
    write(&page, context)
}

fn write(text: &[u8], context: &Context) -> Result<Exit, Error> {
    context.write_to(&String::from_utf8_lossy(text), None)?;
    Ok(Exit::Complete)
}
