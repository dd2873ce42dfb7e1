//! From the text of a configuration to validated settings. Pure: files, users and the
//! environment come through [`host::Host`].
#![forbid(unsafe_code)]

pub mod command;
pub mod diff;
pub mod settings;
