//! What the pages show beyond the snapshot. No HTML: values that serialise to JSON.
//!
//! What costs something is done only while somebody looks ([`feed`]), once for all pages.

pub mod feed;
pub mod history;
pub mod last_line;
pub mod meter;
pub mod preview;
#[cfg(test)]
mod testing;
pub mod tree;

use crate::model::time::Wall;

/// In milliseconds since the epoch, as browsers count.
fn millis(wall: Wall) -> u64 {
    u64::try_from(wall.0.as_millis()).unwrap_or(u64::MAX)
}
