//! `weft`: what a person types. Hands hidden subcommands to the other planes, parses the rest and runs it.
//!
//! Reading order: `args` (what can be typed), `dispatch` (one line a command), then one file a command. The
//! commands talk to the control plane and the sidecars only over their admin sockets (`admin`), find them
//! through `run_dir`, and print through `output`. What is read from the process environment is read in
//! `environment`, once.

mod admin;
mod analyze;
mod args;
mod authz;
mod bug_report;
mod check;
mod cluster;
mod control_planes;
mod dashboard;
mod demo;
mod dispatch;
mod environment;
#[cfg(test)]
mod golden;
mod identity;
mod inject;
mod install;
mod manifest_files;
mod manual;
mod mesh;
mod moment;
mod output;
mod planes;
mod process;
mod proxy_config;
mod proxy_status;
mod run;
mod run_dir;
mod shell;
mod shop;
mod sidecars;
mod signals;
mod stat;
mod table;
mod tap;
mod terminal;
mod trust;
mod uninstall;
mod version;
mod wait;
mod why;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut environment = environment::Environment::read();
    if !process::parent::follow(&mut environment.args) {
        return ExitCode::FAILURE;
    }
    match planes::hand_over(&environment.args) {
        Some(code) => code,
        None => dispatch::run(&environment),
    }
}
