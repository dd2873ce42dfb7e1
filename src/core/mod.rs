//! The heart: pure state machines, without input, output or clocks. [`Supervisor`] is a function
//! of (state, input, now) to actions; the runtime carries them out and reports back.
#![forbid(unsafe_code)]

pub mod key;
pub mod request;
