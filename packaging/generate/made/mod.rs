//! What is made, and where it is committed.

mod completions;
mod copyright;
mod markup;
mod options;
mod pages;
mod programs;

/// A file that is made.
pub struct Made {
    /// Where it is, seen from the root of the tree.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Everything that is made.
pub fn files() -> Vec<Made> {
    pages::all().into_iter().chain(completions::all()).chain([copyright::file()]).collect()
}
