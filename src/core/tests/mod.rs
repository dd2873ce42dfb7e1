//! Tests of the core in a simulated world, by subject. What must always hold is checked in every
//! turn of every test (`testing/watch.rs`).

mod check;
mod daemon_signals;
mod delivery;
mod events;
mod groups;
mod handover;
mod invariants;
mod leftovers;
mod listeners;
mod log_lines;
mod order;
mod restart_limits;
mod shutdown;
mod signalling;
mod snapshots;
mod starting;
mod states;
mod stopping;
mod strays;
mod ticks;
