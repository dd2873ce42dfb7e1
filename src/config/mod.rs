//! From the text of a configuration to validated settings. Pure: files, users and the
//! environment come through [`host::Host`].
//!
//! [`load`] reads what `supervisord` needs, [`ctl::load`] what `supervisorctl` needs. On the way:
//! bytes become logical lines and sections (`ini`), files are merged (`include`, `document`),
//! values are looked up and expanded (`reader`, [`expand`]), converted ([`values`]), and put
//! together, section by section (`daemon`, `program`, `groups`, `servers`).
#![forbid(unsafe_code)]

pub mod command;
pub mod ctl;
mod daemon;
pub mod diff;
mod document;
pub mod environment;
pub mod error;
pub mod expand;
mod fcgi;
pub mod flags;
mod format;
pub mod getopt;
mod groups;
pub mod host;
mod include;
mod ini;
pub mod listener;
mod load;
pub mod options;
pub mod password;
mod path;
mod program;
pub(crate) mod py;
mod reader;
pub mod sample;
pub mod search;
pub mod servers;
pub mod settings;
pub mod shown;
#[cfg(test)]
pub(crate) mod testing;
mod unknown;
pub mod values;

pub use error::{ConfigError, ConfigErrors};
pub use flags::Overrides;
pub use host::Host;
pub use load::load;
