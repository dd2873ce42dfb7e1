//! `supervisorctl`: see the library's `ctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    supervisor::ctl::main()
}
