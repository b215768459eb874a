//! The HTML page beside the other outputs of a command.

use super::output;
use crate::analysis::Analysis;
use crate::error::Error;
use crate::report::html;
use std::path::PathBuf;

/// Whether and how a page is written.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct HtmlArgs {
    /// Write the report as one self-contained HTML page to FILE, beside the other outputs
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub html: Option<PathBuf>,
    /// Link trace ids in the page to your trace UI: an http(s) address with `{trace_id}` in it
    #[arg(long, value_name = "TEMPLATE", requires = "html", help_heading = "Reports")]
    pub trace_url: Option<String>,
}

impl HtmlArgs {
    /// Refuses what no page can be written to and what no address can be made of, before any work is done.
    ///
    /// # Errors
    /// [`Error::Usage`] that says what is wrong with it.
    pub fn check(&self) -> Result<(), Error> {
        if self.html.as_deref().is_some_and(|path| path.as_os_str() == "-") {
            return Err(Error::Usage {
                message: "`--html -` is no file: standard output has the other results".to_owned(),
                hint: "name a file, such as `--html report.html`".to_owned(),
            });
        }
        let Some(template) = &self.trace_url else { return Ok(()) };
        html::check_trace_url(template).map_err(|fault| Error::Usage {
            message: format!("`--trace-url {template}` {fault}"),
            hint: "give an address such as `--trace-url 'https://jaeger.example/trace/{trace_id}'`".to_owned(),
        })
    }

    /// Writes the page, whole or not at all, if it is asked for.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write(&self, analysis: &Analysis) -> Result<(), Error> {
        let Some(path) = &self.html else { return Ok(()) };
        let options = html::Options { trace_url: self.trace_url.clone() };
        output::write_file(path, html::page(analysis, &options).as_bytes())
    }
}
