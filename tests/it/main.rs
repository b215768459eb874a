//! Tests of the library's stages and of the program, in one binary because each would link all of polars.

mod analyze;
mod attributes;
mod builder;
mod canonical;
mod cli;
mod cli_input;
mod compare;
mod errors;
mod eval;
mod evidence;
mod explain;
mod hostile;
mod ingest_table;
mod ingest_text;
mod inspect;
mod layering;
mod narrow;
mod onset;
mod program;
mod structure;
mod text;
mod time;
mod topology;
mod trace;
mod window;
