//! The program: command line, configuration, and the one place that builds everything.

mod admin;
mod appliance;
mod audit;
mod banner;
mod cli;
mod commands;
mod config;
mod data;
mod demo;
mod doctor;
mod failure;
mod feed;
mod files;
mod forward;
mod keeper;
mod keys;
mod listeners;
mod logging;
mod members;
mod metrics;
mod notify;
mod observe;
mod out;
mod pages;
mod parts;
mod planted;
mod production;
mod reconcile;
mod redis;
mod roles;
mod running;
mod signals;
mod stores;
mod support;
mod surroundings;
mod system;
mod threads;
mod waiting;
mod words;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

fn main() -> ExitCode {
    logging::end_on_panic();
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(exit) => exit,
        Err(failure) => {
            out::say(format_args!("holdfast: {failure}"));
            failure.exit().into()
        }
    }
}
