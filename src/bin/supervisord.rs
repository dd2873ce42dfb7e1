//! See the library.
fn main() -> std::process::ExitCode {
    supervisor::daemon::main()
}
