//! Documents that a command writes beside its text: a page, Markdown, JSON, tables.

use super::output::Outputs;
use super::places::Places;
use crate::analysis::Analysis;
use crate::error::Error;
use crate::report::{self, html, markdown, tables};
use polars::prelude::{ParquetCompression, ParquetWriter};
use std::path::{Path, PathBuf};

/// Which documents are written, and where.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReportsArgs {
    /// Write the report as one self-contained HTML page to FILE
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub html: Option<PathBuf>,
    /// Write a section for a postmortem to FILE: Markdown for GitHub, GitLab, Confluence or Notion
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub markdown: Option<PathBuf>,
    /// Write everything as JSON to FILE; `suspect report` makes the other documents of it later, without the spans
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub json: Option<PathBuf>,
    /// Write tables for notebooks into DIR, one Parquet file each: suspects, decomposition, operations and more
    #[arg(long, value_name = "DIR", help_heading = "Reports")]
    pub parquet: Option<PathBuf>,
    /// Link trace ids to your trace UI: an http(s) address with `{trace_id}` in it
    #[arg(long, value_name = "TEMPLATE", help_heading = "Reports", hide_short_help = true)]
    pub trace_url: Option<String>,
}

impl ReportsArgs {
    /// Refuses what nothing can be written to and what no address can be made of, before any work is done.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what is wrong with it.
    pub fn check(&self) -> Result<(), Error> {
        let files = [
            ("--html", &self.html),
            ("--markdown", &self.markdown),
            ("--json", &self.json),
            ("--parquet", &self.parquet),
        ];
        for (flag, path) in files {
            if path.as_deref().is_some_and(|path| path.as_os_str() == "-") {
                return Err(Error::Usage {
                    message: format!("`{flag} -` is no file: standard output has the other results"),
                    hint: format!("name a file, such as `{flag} report`"),
                });
            }
        }
        if let Some(folder) = self.parquet.as_deref().filter(|path| path.exists() && !path.is_dir()) {
            return Err(Error::Usage {
                message: format!("`--parquet {}` is no folder", folder.display()),
                hint: "name a folder; it is made if it is not there".to_owned(),
            });
        }
        let Some(template) = &self.trace_url else { return Ok(()) };
        if self.html.is_none() && self.markdown.is_none() {
            return Err(Error::Usage {
                message: "`--trace-url` makes links in a page or in Markdown, and neither is written".to_owned(),
                hint: "add `--html FILE` or `--markdown FILE`".to_owned(),
            });
        }
        html::check_trace_url(template).map_err(|fault| Error::Usage {
            message: format!("`--trace-url {template}` {fault}"),
            hint: "give an address such as `--trace-url 'https://jaeger.example/trace/{trace_id}'`".to_owned(),
        })
    }

    /// Whether any document is asked for.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.html.is_some() || self.markdown.is_some() || self.json.is_some() || self.parquet.is_some()
    }

    /// These files among the places that the run writes to.
    pub(super) fn places<'a>(&self, places: Places<'a>) -> Places<'a> {
        let places = places
            .output("--json", self.json.as_deref())
            .output("--html", self.html.as_deref())
            .output("--markdown", self.markdown.as_deref());
        match &self.parquet {
            Some(folder) => places.folder("--parquet", folder, tables::NAMES.map(file_name)),
            None => places,
        }
    }

    /// Prepares the documents that are asked for.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    pub(super) fn prepare(&self, analysis: &Analysis, outputs: &mut Outputs) -> Result<(), Error> {
        let trace_url = || self.trace_url.clone();
        if let Some(folder) = &self.parquet {
            prepare_tables(analysis, folder, outputs)?;
        }
        if let Some(path) = &self.json {
            outputs.add(path, report::json(analysis).as_bytes())?;
        }
        if let Some(path) = &self.html {
            outputs.add(path, html::page(analysis, &html::Options { trace_url: trace_url() }).as_bytes())?;
        }
        if let Some(path) = &self.markdown {
            let options = markdown::Options { trace_url: trace_url() };
            outputs.add(path, markdown::markdown(analysis, &options).as_bytes())?;
        }
        Ok(())
    }
}

fn file_name(table: &str) -> String {
    format!("{table}.parquet")
}

fn prepare_tables(analysis: &Analysis, folder: &Path, outputs: &mut Outputs) -> Result<(), Error> {
    outputs.add_folder(folder)?;
    for (name, mut table) in tables::tables(analysis)? {
        let mut bytes = Vec::new();
        let compression = ParquetCompression::Zstd(None);
        ParquetWriter::new(&mut bytes).with_compression(compression).set_parallel(false).finish(&mut table)?;
        outputs.add(&folder.join(file_name(name)), &bytes)?;
    }
    Ok(())
}
