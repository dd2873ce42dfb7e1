//! The same scenario against Python Supervisor 4.3.0 and against ours: what a user can observe is
//! the same, or the difference stands in `differences.rs` with its reason.
//!
//! Upstream's programs are those of the venv in `target/upstream` that `make test` makes;
//! `SUPERVISOR_UPSTREAM` names another. `ORACLE_SIDE=upstream` runs that side alone, which is how
//! new scenarios are written. `ORACLE_SHOW=1` prints what was observed.

#[path = "../support/mod.rs"]
mod support;

mod compare;
mod differences;
mod normal;
mod world;

mod scenarios;
