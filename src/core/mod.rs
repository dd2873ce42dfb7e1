//! The heart: pure state machines, without input, output or clocks. [`supervisor::Supervisor`]
//! is a function of (state, input, now) to actions; the runtime carries them out and reports back.
#![forbid(unsafe_code)]

pub mod action;
pub mod ansi;
pub mod auto;
pub mod capture;
pub mod changes;
mod check;
mod events;
pub mod key;
pub mod listener;
mod outlet;
pub mod pool;
pub mod process;
pub mod request;
pub mod rotate;
mod serve;
mod shutdown;
pub mod supervisor;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod ticks;
pub mod turn;
pub mod view;
pub mod waiters;
