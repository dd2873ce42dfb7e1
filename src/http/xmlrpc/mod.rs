//! XML-RPC as upstream speaks it (C-278 to C-322): its reading, its types, its methods, its order
//! of checks.
//!
//! The codec is our own over quick-xml, because upstream's reading is no strict one: it takes what
//! is between tags it does not know, `true` is no true boolean, and a call needs no parameters.
//! Existing clients rely on that.

mod audit;
mod budget;
pub mod decode;
mod dispatch;
pub mod encode;
mod info;
mod methods;
mod serve;
pub mod value;

pub use audit::{Log, shown};
pub use dispatch::Rpc;
pub use serve::{Endpoint, Held};
pub use value::Value;
