//! The program as a user runs it.

use crate::schema::assert_outputs_fit;
use std::path::Path;
use std::process::{Command, Stdio};
use suspect::report::text::width;

/// The bundled incidents, folders of `datasets/incidents`.
pub(crate) const INCIDENTS: [&str; 8] = [
    "cpu-contention",
    "error",
    "fault-free",
    "n-plus-one",
    "network-delay",
    "slow-dependency",
    "slow-release",
    "traffic-mix",
];

/// How a run ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `suspect` in `folder` with no environment and an empty standard input.
#[track_caller]
pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Run {
    run_with(folder, arguments, &[])
}

/// The same with this environment. Every JSON document that it gives has to fit its schema.
#[track_caller]
pub(crate) fn run_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_suspect"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let run = Run::of(output);
    if run.status.is_some_and(|status| status != 2) {
        assert_outputs_fit(folder, arguments, &run.stdout);
    }
    run
}

impl Run {
    /// A run that has ended.
    pub(crate) fn of(output: std::process::Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The result of a run without complaints.
    #[track_caller]
    pub(crate) fn complete(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The JSON document of a run that gave one.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert!(matches!(self.status, Some(0 | 1)), "{self:?}");
        serde_json::from_str(&self.stdout).expect("a JSON document")
    }
}

/// No line is wider than a terminal and nothing in it drives one.
#[track_caller]
pub(crate) fn assert_readable(text: &str) {
    for line in text.lines() {
        assert!(width(line) <= 100, "{} columns: {line}", width(line));
        assert_eq!(line, suspect::report::text::escape(line));
    }
}
