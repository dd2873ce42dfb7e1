//! Writes the manual pages and the completions, which are made from the definitions of the command
//! lines, the actions and the table of options. `make generated` runs it; a test in
//! `tests/packaging.rs` fails when what is committed is not what it would write.

mod made;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in made::files() {
        if let Err(error) = std::fs::write(root.join(&file.path), &file.text) {
            eprintln!("generate: can't write {}: {error}", file.path);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
