//! Resource limits of the daemon.
//!
//! In this order: [`set_store_aside`], then [`ensure_minimums`] before privileges are dropped (root
//! may raise a hard limit, C-420), then [`raise_open_files`]. What the last one answers is for
//! children: they inherit what `minfds` asked for (C-125), not what the daemon takes for itself.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use thiserror::Error;

use crate::model::record::{Level, Record};

/// A limit that is too low and cannot be raised (C-126).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LimitError {
    /// `minfds`.
    #[error(
        "The minimum number of file descriptors required to run this process is {wanted} as per \
         the \"minfds\" command-line argument or config file setting. The limit is {hard} here \
         and cannot be raised: raise it from outside (LimitNOFILE= in a unit, ulimit -n in a \
         shell) or lower minfds."
    )]
    OpenFiles {
        /// What is asked for.
        wanted: rlim_t,
        /// The hard limit that there is.
        hard: rlim_t,
    },
    /// `minprocs`.
    #[error(
        "The minimum number of available processes required to run this program is {wanted} as \
         per the \"minprocs\" command-line argument or config file setting. The limit is {hard} \
         here and cannot be raised: raise it from outside (LimitNPROC= in a unit, ulimit -u in a \
         shell) or lower minprocs."
    )]
    Processes {
        /// What is asked for.
        wanted: rlim_t,
        /// The hard limit that there is.
        hard: rlim_t,
    },
}

/// What programs start from where the unit has a soft limit that leaves room for the store.
const BESIDE_STORE: rlim_t = 1024;

/// Lowers the soft limit of open files to 1024 if it is that and the size of the service manager's
/// descriptor store on top: it is so high only for the store to be handed over, and some programs
/// use select(2). Any other limit was set with programs in mind. Nothing can be opened before
/// [`raise_open_files`] when more is open already.
pub fn set_store_aside(store: usize) {
    let both = rlim_t::try_from(store).ok().and_then(|store| store.checked_add(BESIDE_STORE));
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if store > 0 && Some(soft) == both => {
            // Lowering is always allowed.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, BESIDE_STORE, hard);
        }
        _ => {}
    }
}

/// Sees to it that the soft limits are at least this high, and raises the hard ones where they are
/// lower and it may (C-125). Answers with what to log.
///
/// # Errors
/// A limit could not be raised.
pub fn ensure_minimums(minfds: i64, minprocs: i64) -> Result<Vec<Record>, LimitError> {
    let files = ensure(Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", minfds)
        .map_err(|(wanted, hard)| LimitError::OpenFiles { wanted, hard })?;
    let processes = ensure(Resource::RLIMIT_NPROC, "RLIMIT_NPROC", minprocs)
        .map_err(|(wanted, hard)| LimitError::Processes { wanted, hard })?;
    Ok(files.into_iter().chain(processes).collect())
}

/// On failure the wanted limit and the hard one that there is. Unlimited is the largest number.
fn ensure(
    resource: Resource,
    name: &str,
    minimum: i64,
) -> Result<Option<Record>, (rlim_t, rlim_t)> {
    let wanted = rlim_t::try_from(minimum).unwrap_or(0);
    // Only an unknown resource could fail.
    let (soft, hard) = getrlimit(resource).unwrap_or((rlim_t::MAX, rlim_t::MAX));
    if soft >= wanted {
        return Ok(None);
    }
    setrlimit(resource, wanted, hard.max(wanted)).map_err(|_| (wanted, hard))?;
    Ok(Some(Record::new(Level::Info, format!("Increased {name} limit to {wanted}"))))
}

/// Raises the daemon's own limit of open files as far as it goes: a process needs four and a
/// thousand of them are no reason to fail. Answers with the soft and hard limit as they were: they
/// are for children (`Plan::nofile`).
///
/// # Errors
/// None on Linux.
pub fn raise_open_files() -> Result<(rlim_t, rlim_t), Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok((soft, hard))
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Uid, setuid};

    use super::*;
    use crate::sys::testing::{alone, is_root};

    #[test]
    fn a_soft_limit_is_raised_only_when_it_is_too_low() {
        // C-125
        if !alone(module_path!(), "a_soft_limit_is_raised_only_when_it_is_too_low") {
            return;
        }
        setrlimit(Resource::RLIMIT_NOFILE, 100, 1000).unwrap();
        assert_eq!(ensure_minimums(100, 1), Ok(vec![]));
        assert_eq!(ensure_minimums(-1, 0), Ok(vec![]));
        let note = Record::new(Level::Info, "Increased RLIMIT_NOFILE limit to 200");
        assert_eq!(ensure_minimums(200, 1), Ok(vec![note]));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((200, 1000)));
    }

    #[test]
    fn root_raises_the_hard_limit() {
        // C-125, C-420
        if !may_raise_limits() || !alone(module_path!(), "root_raises_the_hard_limit") {
            return;
        }
        setrlimit(Resource::RLIMIT_NOFILE, 100, 100).unwrap();
        setrlimit(Resource::RLIMIT_NPROC, 100, 100).unwrap();
        let notes = ensure_minimums(150, 160).unwrap();
        assert_eq!(notes[1].text, "Increased RLIMIT_NPROC limit to 160");
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((150, 150)));
    }

    #[test]
    fn a_limit_that_cannot_be_raised_is_told_as_it_is() {
        // C-126, C-420
        if !alone(module_path!(), "a_limit_that_cannot_be_raised_is_told_as_it_is") {
            return;
        }
        setrlimit(Resource::RLIMIT_NOFILE, 100, 150).unwrap();
        setrlimit(Resource::RLIMIT_NPROC, 100, 160).unwrap();
        if is_root() {
            setuid(Uid::from_raw(65534)).unwrap();
        }
        assert_eq!(ensure_minimums(151, 1), Err(LimitError::OpenFiles { wanted: 151, hard: 150 }));
        let text = ensure_minimums(1, 161).unwrap_err().to_string();
        assert!(
            text.starts_with(
                "The minimum number of available processes required to run this program is 161 \
                 as per the \"minprocs\" "
            ),
            "{text}"
        );
        assert!(text.contains("The limit is 160 here"), "{text}");
    }

    #[test]
    fn programs_do_not_get_the_room_that_the_descriptor_store_needs() {
        if !alone(module_path!(), "programs_do_not_get_the_room_that_the_descriptor_store_needs") {
            return;
        }
        setrlimit(Resource::RLIMIT_NOFILE, 1124, 2000).unwrap();
        for another in [0, 99, 101, usize::MAX] {
            set_store_aside(another);
            assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((1124, 2000)));
        }
        set_store_aside(100);
        assert_eq!(raise_open_files(), Ok((1024, 2000)));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((2000, 2000)));
    }

    /// Whether this process has CAP_SYS_RESOURCE, which root in a container may lack.
    fn may_raise_limits() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let may = u64::from_str_radix(line.trim(), 16).unwrap() & (1 << 24) != 0;
        if !may {
            eprintln!("NO CAP_SYS_RESOURCE: raising a hard limit was not tested");
        }
        may
    }

    #[test]
    fn the_daemon_takes_all_files_it_may_open_and_remembers_what_children_get() {
        let name = "the_daemon_takes_all_files_it_may_open_and_remembers_what_children_get";
        if !alone(module_path!(), name) {
            return;
        }
        setrlimit(Resource::RLIMIT_NOFILE, 100, 1000).unwrap();
        assert_eq!(raise_open_files(), Ok((100, 1000)));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((1000, 1000)));
    }
}
