//! See [`supervisor::pidproxy`].
use std::process::ExitCode;

fn main() -> ExitCode {
    supervisor::pidproxy::main()
}
