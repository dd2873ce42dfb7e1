//! Users: the groups of an account, and becoming one for good.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Uid, getgrouplist, getuid, setgid, setgroups, setuid};
use thiserror::Error;

use crate::model::record::{Level, Record};
use crate::model::spec::Account;
use crate::model::time::Mono;

/// The groups of accounts, remembered for a moment: a thousand starts at once ask the user
/// database once, and a change in it is seen soon.
#[derive(Debug, Default)]
pub struct GroupLists {
    known: Mutex<HashMap<Account, Answer>>,
}

/// The groups of an account, and when they were asked for.
type Answer = (Mono, Arc<[u32]>);

impl GroupLists {
    /// How long an answer is good for.
    const LIFE: Duration = Duration::from_secs(5);

    /// The primary group of this account first, then all groups that list its user (C-124). May
    /// ask the network.
    #[must_use]
    pub fn of(&self, account: &Account, now: Mono) -> Arc<[u32]> {
        let lookup = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, groups)) = lookup().get(account)
            && now - *asked < Self::LIFE
        {
            return groups.clone();
        }
        let groups: Arc<[u32]> = groups_of(account).into();
        lookup().insert(account.clone(), (now, groups.clone()));
        groups
    }
}

/// The primary group of this account first, then all groups that list its user (C-124).
#[must_use]
pub fn groups_of(account: &Account) -> Vec<u32> {
    let listed = CString::new(account.name.as_str())
        .ok()
        .and_then(|name| getgrouplist(&name, Gid::from_raw(account.gid)).ok())
        .unwrap_or_default();
    let others = listed.into_iter().map(Gid::as_raw).filter(|&gid| gid != account.gid);
    std::iter::once(account.gid).chain(others).collect()
}

/// Why the daemon cannot become another user; the texts are upstream's (C-123).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DropError {
    /// Only root may.
    #[error("Can't drop privilege as nonroot user")]
    NotRoot,
    /// The groups were refused.
    #[error("Could not set groups of effective user")]
    Groups,
    /// The group was refused.
    #[error("Could not set group id of effective user")]
    Gid,
    /// The user was refused.
    #[error("Could not set user id of effective user")]
    Uid,
}

/// The daemon becomes this user, for good and in all its threads, with all of the user's groups;
/// the environment stays as it is (C-124). Nothing is done when it is that user already. Answers
/// with what to log (C-121, C-122); without an account that is a warning when it runs as root.
///
/// # Errors
/// The step that was refused.
pub fn drop_privileges(account: Option<&Account>) -> Result<Option<Record>, DropError> {
    let current = getuid();
    let Some(account) = account else {
        return Ok(current.is_root().then(|| Record::new(Level::Critical, RUNS_AS_ROOT)));
    };
    if current.as_raw() != account.uid {
        if !current.is_root() {
            return Err(DropError::NotRoot);
        }
        let groups: Vec<Gid> = groups_of(account).into_iter().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(|_| DropError::Groups)?;
        setgid(Gid::from_raw(account.gid)).map_err(|_| DropError::Gid)?;
        setuid(Uid::from_raw(account.uid)).map_err(|_| DropError::Uid)?;
    }
    let text = format!("Set uid to user {} succeeded", account.uid);
    Ok(Some(Record::new(Level::Info, text)))
}

const RUNS_AS_ROOT: &str = "Supervisor is running as root.  Privileges were not dropped because \
     no user is specified in the config file.  If you intend to run as root, you can set \
     user=root in the config file to avoid this message.";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::testing::{alone, is_root};

    fn account(name: &str, uid: u32, gid: u32) -> Account {
        Account { name: name.into(), uid, gid }
    }

    #[test]
    fn the_primary_group_comes_first_and_once() {
        // C-124
        let group_file = fs::read_to_string("/etc/group").unwrap();
        let listing: Vec<u32> = group_file
            .lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                fields[3].split(',').any(|user| user == "root").then(|| fields[2].parse().unwrap())
            })
            .filter(|&gid: &u32| gid != 4242)
            .collect();
        let groups = groups_of(&account("root", 0, 4242));
        assert_eq!(groups[0], 4242);
        assert_eq!(groups.iter().filter(|&&gid| gid == 4242).count(), 1);
        assert!(listing.iter().all(|gid| groups.contains(gid)), "{groups:?} {listing:?}");
    }

    #[test]
    fn an_account_the_database_does_not_know_has_its_primary_group() {
        assert_eq!(groups_of(&account("no such user", 1, 77)), [77]);
        assert_eq!(groups_of(&account("nul\0", 1, 77)), [77]);
    }

    #[test]
    fn groups_are_remembered_for_a_moment_only() {
        let lists = GroupLists::default();
        let root = account("root", 0, 0);
        let at = |seconds| Mono(Duration::from_secs(seconds));
        let first = lists.of(&root, at(100));
        assert!(Arc::ptr_eq(&first, &lists.of(&root, at(104))));
        assert!(!Arc::ptr_eq(&first, &lists.of(&root, at(105))));
        assert_eq!(lists.of(&account("root", 0, 9), at(104))[0], 9);
    }

    #[test]
    fn root_becomes_the_user_and_nobody_else_can() {
        // C-121, C-122, C-123, C-124
        if !is_root() || !alone(module_path!(), "root_becomes_the_user_and_nobody_else_can") {
            return;
        }
        let note = drop_privileges(None).unwrap().unwrap();
        assert_eq!(note.level, Level::Critical);
        assert!(note.text.starts_with("Supervisor is running as root.  Privileges were not"));

        let nobody = account("nobody", 65534, 65533);
        for _ in 0..2 {
            let note = drop_privileges(Some(&nobody)).unwrap().unwrap();
            assert_eq!(note, Record::new(Level::Info, "Set uid to user 65534 succeeded"));
        }
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534\n"), "{status}");
        assert!(status.contains("Gid:\t65533\t65533\t65533\t65533\n"), "{status}");
        assert!(status.contains("Groups:\t65533 \n"), "{status}");
        assert_eq!(drop_privileges(None), Ok(None));
        let refused = drop_privileges(Some(&account("root", 0, 0))).unwrap_err();
        assert_eq!(refused.to_string(), "Can't drop privilege as nonroot user");
    }
}
