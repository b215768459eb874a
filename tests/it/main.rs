//! Tests of the library's stages and of the program, in one binary because each would link all of polars.

mod builder;
mod canonical;
mod cli;
mod cli_input;
mod ingest_table;
mod ingest_text;
mod inspect;
mod layering;
mod text;
mod time;
mod topology;
mod trace;
mod window;
