//! The command lines of the four programs, as clap describes them.

use clap::Command;
use supervisor::{ctl, daemon};

/// `supervisord`, with the values that some options can have.
pub fn supervisord() -> Command {
    let levels = ["critical", "error", "warn", "info", "debug", "trace", "blather"];
    daemon::args::definition().mut_arg("loglevel", |arg| arg.value_parser(levels))
}

/// `supervisorctl`, without its actions.
pub fn supervisorctl() -> Command {
    ctl::args::definition()
}

/// `echo_supervisord_conf`, whose arguments do not matter.
pub fn echo_supervisord_conf() -> Command {
    plain("echo_supervisord_conf").about("Prints a sample configuration for supervisord")
}

/// `pidproxy`, which has no flags.
pub fn pidproxy() -> Command {
    plain("pidproxy").about("Runs a command, and passes signals on to the process in its pid file")
}

fn plain(name: &'static str) -> Command {
    Command::new(name).disable_help_flag(true)
}
