//! `avail`, `reread`, `update`, `add` and `remove`.

use supervisor::model::state::ProcessState as State;

use crate::fake::{Fake, Reply};

#[test]
fn avail_lists_the_configuration() {
    // C-259
    let fake =
        Fake::start().configured("cat", "cat", true, true).configured("g", "a", false, false);
    fake.ctl(&["avail"])
        .expect(
            "cat                              in use    auto      999:-1\n\
             g:a                              avail     manual    999:-1\n",
            0,
        )
        .quiet();
}

#[test]
fn reread_tells_what_changed() {
    // C-260
    let changes = Reply::Changes(vec!["new", "b"], vec!["c"], vec!["a"]);
    let fake = Fake::start().on("Reread", changes);
    fake.ctl(&["reread"])
        .expect("a: disappeared\nb: available\nc: changed\nnew: available\n", 0)
        .quiet();
    Fake::start().ctl(&["reread"]).expect("No config updates to processes\n", 0);
    let fake =
        Fake::start().on("Reread", Reply::Fault("CantReread", "invalid 'autorestart' value 'x'"));
    fake.ctl(&["reread"]).expect("ERROR: CANT_REREAD: invalid 'autorestart' value 'x'\n", 1);
}

#[test]
fn a_stopping_daemon_refuses_changes() {
    // C-259, C-260, C-263, C-264
    let fake = Fake::start()
        .property("StateCode", -1_i32)
        .on("Reread", Reply::Fault("ShutdownState", ""))
        .on("AddGroup x", Reply::Fault("ShutdownState", ""));
    fake.ctl(&["avail"]).expect("ERROR: supervisor shutting down\n", 1);
    fake.ctl(&["reread"]).expect("ERROR: supervisor shutting down\n", 1);
    fake.ctl(&["update"]).expect("ERROR: already shutting down\n", 1);
    fake.ctl(&["add", "x"]).expect("ERROR: shutting down\n", 1);
}

#[test]
fn groups_are_added_and_removed() {
    // C-264, C-265
    let fake = Fake::start()
        .on("AddGroup up", Reply::Fault("AlreadyAdded", "up"))
        .on("AddGroup x", Reply::Fault("BadName", "x"))
        .on("RemoveGroup up", Reply::Fault("StillRunning", "up"))
        .on("RemoveGroup x", Reply::Fault("BadName", "x"));
    fake.ctl(&["add", "up", "g"])
        .expect("ERROR: process group already active\ng: added process group\n", 0)
        .quiet();
    fake.ctl(&["add", "x"]).expect("ERROR: no such process/group: x\n", 1);
    fake.ctl(&["remove", "g"]).expect("g: removed process group\n", 0);
    fake.ctl(&["remove", "up"]).expect("ERROR: process/group still running: up\n", 1);
    fake.ctl(&["remove", "x", "g"])
        .expect("ERROR: no such process/group: x\ng: removed process group\n", 1);
    fake.ctl(&["add"]).expect("", 0).quiet();
    fake.ctl(&["remove"]).expect("", 0).quiet();
}

#[test]
fn update_goes_through_removed_changed_and_added_groups() {
    // C-261
    let fake = Fake::start()
        .on("Reread", Reply::Changes(vec!["new"], vec!["c"], vec!["old"]))
        .on("StopGroup", Reply::Results(vec![]));
    fake.ctl(&["update"])
        .expect(
            "old: stopped\nold: removed process group\nc: stopped\nc: updated process group\n\
             new: added process group\n",
            0,
        )
        .quiet();
    assert_eq!(
        fake.calls(),
        ["Reread", "StopGroup old", "RemoveGroup old", "UpdateGroup c", "AddGroup new",]
    );
    Fake::start().ctl(&["update"]).expect("", 0).quiet();
}

#[test]
fn update_stops_its_groups_at_the_same_time() {
    // C-261: no answer comes before all three were asked for.
    let fake = Fake::start()
        .on("Reread", Reply::Changes(vec![], vec![], vec!["a", "b", "c"]))
        .on("StopGroup", Reply::Gate(3, vec![]));
    fake.ctl(&["update"]).expect(
        "a: stopped\na: removed process group\nb: stopped\nb: removed process group\n\
         c: stopped\nc: removed process group\n",
        0,
    );
    let changed = Fake::start()
        .on("Reread", Reply::Changes(vec![], vec!["a", "b"], vec![]))
        .on("UpdateGroup", Reply::Meeting(2));
    changed
        .ctl(&["update"])
        .expect("a: stopped\na: updated process group\nb: stopped\nb: updated process group\n", 0);
}

#[test]
fn update_is_restricted_to_the_groups_named() {
    // C-262
    let update = |names: &[&str]| {
        let fake = Fake::start()
            .process("old", "old", State::Running, "")
            .process("same", "same", State::Running, "")
            .on("Reread", Reply::Changes(vec!["new", "more"], vec![], vec!["old"]))
            .on("StopGroup", Reply::Results(vec![]));
        fake.ctl(&[&["update"], names].concat())
    };
    update(&["new", "same"]).expect("new: added process group\n", 0).quiet();
    update(&["x", "new"]).expect("ERROR: no such group: x\nnew: added process group\n", 1);
    update(&["x", "all"]).expect(
        "old: stopped\nold: removed process group\nnew: added process group\n\
         more: added process group\n",
        0,
    );
}

#[test]
fn a_group_that_does_not_stop_is_not_removed_and_the_others_are() {
    // C-262
    let fake = Fake::start()
        .on("Reread", Reply::Changes(vec![], vec![], vec!["a", "b", "c"]))
        .on("StopGroup a", Reply::Results(vec![("a", "a", 30, "FAILED: x")]))
        .on("StopGroup", Reply::Results(vec![]))
        .on("RemoveGroup b", Reply::Fault("StillRunning", "b"));
    fake.ctl(&["update"]).expect(
        "a: stopped\na: has problems; not removing\nb: stopped\nb: has problems; not removing\n\
         c: stopped\nc: removed process group\n",
        1,
    );
}

#[test]
fn update_with_a_bad_configuration_is_one_line() {
    // C-263, C-447
    let fake = Fake::start().on("Reread", Reply::Fault("CantReread", "it's\nbad"));
    let run = fake.ctl(&["update"]);
    let start = "error: <class 'xmlrpc.client.Fault'>, <Fault 92: \"CANT_REREAD: it's\\nbad\">: ";
    assert!(run.stdout.starts_with(start), "{run:?}");
    assert_eq!((run.stdout.lines().count(), run.code), (1, Some(1)));
}
