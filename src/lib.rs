#![doc = include_str!("ARCHITECTURE.md")]

pub mod blame;
pub mod canonical;
pub mod cli;
pub mod compare;
pub mod diagnostics;
pub mod error;
pub mod ingest;
pub mod inspect;
pub mod normalize;
pub mod rank;
pub mod report;
pub mod span;
pub mod stats;
pub mod time;
pub mod topology;
pub mod window;
