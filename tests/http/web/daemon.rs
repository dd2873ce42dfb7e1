//! The page of the daemon.

use super::{PROGRAMS, act, served};
use crate::support::http::get;
use crate::support::scratch::Scratch;

#[test]
fn the_daemon_shows_what_an_update_would_change_and_does_it() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    let config = scratch.join("supervisord.conf");
    let text = std::fs::read_to_string(&config).expect("it is there");
    let changed =
        text.replace("[program:down]\ncommand=/bin/cat", "[program:down]\ncommand=/bin/tac");
    std::fs::write(&config, changed.replace("[program:sour]", "[program:sweet]")).expect("written");
    let page = get(&target, "/daemon?preview=1", "").text();
    for there in [
        "added sweet: sweet",
        "removed sour: sour",
        "changed down:",
        "- command = /bin/cat",
        "+ command = /bin/tac",
    ] {
        assert!(page.contains(there), "{there}: {page}");
    }
    let data = get(&target, "/data/preview", "");
    let data: serde_json::Value = serde_json::from_slice(&data.body).expect("JSON");
    assert_eq!(data["added"][0]["group"], "sweet");
    assert!(daemon.ctl(&["status", "sweet"]).stdout.contains("no such process"));
    let message = act(&target, "action=update");
    let all =
        "sour: removed process group; down: changed process group; sweet: added process group";
    assert_eq!(message, all);
    std::fs::write(&config, text.replace("startsecs=0", "startsecs=soon")).expect("written");
    let data = get(&target, "/data/preview", "").text();
    assert!(data.contains("\"error\""), "{data}");
    assert!(act(&target, "action=update").starts_with("ERROR: "));
}
