//! How the core names a process. It is plain data that readers see too.

pub use crate::model::key::ProcKey;
