//! Where owners are learnt from: files and resource attributes.

use super::Context;
use super::messages;
use crate::analysis::OwnerOptions;
use crate::error::Error;
use crate::store;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No list of owners is larger.
const MAX_BYTES: u64 = 16 << 20;

/// A file's bytes, up to one more than is allowed.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    if store::is_remote(path) {
        return store::read(path);
    }
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Files and attributes that tell owners.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OwnerArgs {
    /// Who owns which service: TOML, a Backstage catalogue or a list like CODEOWNERS; repeatable
    ///
    /// TOML: `[[service]]` with `match` (a glob or a list of them, the first rule counts), `team`, `contact` and `runbook`,
    /// and `[[team]]` with `name`, `contact` and `runbook`. Which of the three a file is, its name says, else its content. Of several files the first that
    /// knows a service counts.
    #[arg(long, value_name = "FILE", help_heading = "Owners")]
    pub owners: Vec<PathBuf>,
    /// Resource attribute that carries a service's team; repeatable, the first counts
    ///
    /// Without it `service.owner`, `service.team`, `team`, `owner`, `team.name` and `owner.team`. Where a file knows a service, the
    /// file counts.
    #[arg(long, value_name = "KEY", help_heading = "Owners", hide_short_help = true)]
    pub owner_attribute: Vec<String>,
}

impl OwnerArgs {
    /// Reads the files, and says what each was taken for.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`]: with half of the owners, the other half would be called.
    pub fn read(&self, context: &Context) -> Result<OwnerOptions, Error> {
        let mut options = OwnerOptions { attributes: self.owner_attribute.clone(), ..OwnerOptions::default() };
        for path in &self.owners {
            let shown = PathBuf::from(store::shown(path));
            let bytes = read(path)?;
            let fault = |reason: &str| Error::Format { path: shown.clone(), reason: reason.to_owned() };
            if bytes.len() as u64 > MAX_BYTES {
                return Err(fault("a list of owners has at most 16 MiB"));
            }
            let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8 text"))?;
            options.files.add(&shown, &text)?;
        }
        let notes: String = options.files.notes.iter().map(|text| messages::note(text)).collect();
        context.warn(&notes);
        Ok(options)
    }

    /// Attributes that ingest has to keep: none unless owners are asked for.
    #[must_use]
    pub fn keys(&self, options: &OwnerOptions) -> Vec<String> {
        if self.owners.is_empty() && self.owner_attribute.is_empty() { Vec::new() } else { options.keys() }
    }
}
