//! Where ours differs from Python Supervisor 4.3.0 on purpose, and why.
//!
//! A difference that is not here fails its scenario; one that is here and is gone fails too.

/// One difference.
#[derive(Debug)]
pub struct Difference {
    /// `module::function` of the scenario.
    pub scenario: &'static str,
    /// The label of the observation.
    pub label: &'static str,
    /// The row of the compatibility list it is about.
    pub row: &'static str,
    /// Why ours is better that way.
    pub reason: &'static str,
}

/// All of them, by scenario.
pub const DIFFERENCES: &[Difference] = &[];
