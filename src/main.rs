//! The program: command line, configuration, and the one place that builds everything.

mod admin;
mod cli;
mod commands;
mod config;
mod data;
mod failure;
mod files;
mod keys;
mod logging;
mod observe;
mod out;
mod redis;
mod running;
mod stores;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

fn main() -> ExitCode {
    logging::end_on_panic();
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out::say(format_args!("holdfast: {failure}"));
            failure.exit().into()
        }
    }
}
