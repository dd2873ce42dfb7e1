//! What the command lines of the four programs have in common.

pub mod getopt;
