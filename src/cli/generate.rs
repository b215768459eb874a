use super::manual::{self, Manual};
use super::output::Outputs;
use super::{Exit, command, context};
use crate::error::Error;
use anstream::ColorChoice;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::io;
use std::path::{Path, PathBuf};

pub(super) const COMPLETIONS: Manual = Manual {
    first: "  suspect completions bash > ~/.local/share/bash-completion/completions/suspect",
    chapters: &[
        (
            "Examples",
            "  suspect completions zsh > ~/.zfunc/_suspect
                             with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  suspect completions fish > ~/.config/fish/completions/suspect.fish
  suspect completions powershell >> $PROFILE
  suspect completions elvish >> ~/.config/elvish/rc.elv",
        ),
        manual::EXIT_STATUS,
        ("See also", "`suspect man` for manual pages."),
    ],
};

pub(super) const MAN: Manual = Manual {
    first: "  suspect man | man -l -
  suspect man --dir ~/.local/share/man/man1    then `man suspect-analyze`",
    chapters: &[
        ("Examples", "  suspect man analyze | man -l -"),
        manual::EXIT_STATUS,
        ("See also", "`suspect COMMAND --help` says the same; `suspect completions` for your shell."),
    ],
};

/// Prints a completion script for a shell.
///
/// It completes commands, options and their values.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the manual page of `suspect` or of one command, or writes all of them.
///
/// Pages are roff for man(1), with the options by topic, examples, exit status and environment.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The command; without it, the page of `suspect` itself
    command: Option<String>,
    /// Write `suspect.1` and a page a command, such as `suspect-analyze.1`, into DIR
    ///
    /// The folder is made if it is not there, pages in it are replaced.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// What manual pages say they belong to.
const SOURCE: &str = concat!("suspect ", env!("CARGO_PKG_VERSION"));

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "suspect", &mut script);
    write(&script)
}

pub(super) fn man(args: &ManArgs) -> Result<Exit, Error> {
    let mut program = command();
    program.build();
    if let Some(folder) = &args.dir {
        return pages(&program, folder);
    }
    let command = match &args.command {
        None => &program,
        Some(name) => program.find_subcommand(name).ok_or_else(|| Error::Usage {
            message: format!("there is no command `{name}`"),
            hint: "`suspect --help` lists the commands".to_owned(),
        })?,
    };
    write(&page(command)?.1)
}

/// Writes all pages, or none.
fn pages(program: &clap::Command, folder: &Path) -> Result<Exit, Error> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::Usage {
            message: format!("`--dir {}` is no folder", folder.display()),
            hint: "name a folder; it is made if it is not there".to_owned(),
        });
    }
    let mut outputs = Outputs::default();
    outputs.add_folder(folder)?;
    for command in std::iter::once(program).chain(program.get_subcommands()) {
        let (name, text) = page(command)?;
        outputs.add(&folder.join(name), &text)?;
    }
    outputs.finish()?;
    Ok(Exit::Complete)
}

/// The page of the program or of a command, and the name of its file.
fn page(command: &clap::Command) -> Result<(String, Vec<u8>), Error> {
    let is_program = command.has_subcommands();
    let manual = manual::of(command.get_name());
    // What the short help leaves out is there.
    let command = command.clone().mut_args(|argument| argument.hide_short_help(false));
    let man = Man::new(command).source(SOURCE).manual("Suspect Manual");
    let render = || -> io::Result<Vec<u8>> {
        let mut page = Vec::new();
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        let mut first = Roff::new();
        first.control("PP", []).text([roman("Most often:")]);
        prose(&mut first, manual.first);
        first.to_writer(&mut page)?;
        if is_program {
            man.render_subcommands_section(&mut page)?;
        }
        man.render_options_section(&mut page)?;
        let mut chapters = Roff::new();
        for (title, text) in manual.chapters {
            chapters.control("SH", [title.to_uppercase().as_str()]);
            prose(&mut chapters, text);
            if *title == "See also" && !is_program {
                chapters.control("PP", []).text([roman("suspect(1)")]);
            }
        }
        chapters.to_writer(&mut page)?;
        Ok(page)
    };
    let failed = |source| Error::Io { action: "write", path: "the manual page".into(), source };
    Ok((man.get_filename(), render().map_err(failed)?))
}

/// Paragraphs, and lines that are shown as they are because they begin with two blanks.
fn prose(roff: &mut Roff, text: &str) {
    let mut is_as_it_is = false;
    for line in text.lines() {
        let wants = line.starts_with("  ");
        if wants != is_as_it_is {
            roff.control(if wants { "nf" } else { "fi" }, []);
            is_as_it_is = wants;
        }
        if line.is_empty() {
            roff.control("PP", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    if is_as_it_is {
        roff.control("fi", []);
    }
}

fn write(text: &[u8]) -> Result<Exit, Error> {
    context::print(&String::from_utf8_lossy(text), ColorChoice::AlwaysAnsi)?;
    Ok(Exit::Complete)
}
