//! The use cases, independent of any transport: name resolution, faults, waiting.
