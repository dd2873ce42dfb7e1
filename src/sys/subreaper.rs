//! Orphans.

use nix::errno::Errno;

/// Descendants that lose their parent become children of this process, not of PID 1: they are
/// seen, reaped, and can be ended (C-138). PID 1 has that without asking.
///
/// # Errors
/// `EINVAL` on a kernel before 3.4.
pub fn adopt_orphans() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::model::exit::ExitStatus;
    use crate::sys::reap;
    use crate::sys::testing::{alone, children};

    #[test]
    fn an_orphan_is_reaped_here() {
        // C-138
        if !alone(module_path!(), "an_orphan_is_reaped_here") {
            return;
        }
        adopt_orphans().unwrap();
        let script = "(sleep 0.01; exit 42) & exit 3";
        assert_eq!(Command::new("sh").args(["-c", script]).status().unwrap().code(), Some(3));
        let orphan = children()[0];
        assert_eq!(reap::wait(orphan), Ok(ExitStatus::Code(42)));
        assert_eq!(children(), [0; 0]);
    }
}
