//! The heart: pure state machines, without input, output or clocks.
#![forbid(unsafe_code)]
