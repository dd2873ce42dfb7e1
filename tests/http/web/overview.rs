//! The overview: what it shows without scripts, and the ends of logs.

use super::{PROGRAMS, post, served};
use crate::support::http::get;
use crate::support::scratch::Scratch;

/// The part of a page about one process.
fn row<'p>(page: &'p str, name: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("data-name=\"{name}\"")).expect("a row");
    rest.split("</tr>").next().expect("its end")
}

#[test]
fn the_page_shows_every_process() {
    // C-329, C-332
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    let page = get(&target, "/", "").text();
    let names: Vec<_> =
        page.split("data-name=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(names, ["b:x0", "b:x1", "down", "none", "sour", "up"]);
    let up = row(&page, "up");
    let pid = daemon.pid_of("up");
    assert!(up.contains("<span class=\"statusrunning\">running</span>"), "{up}");
    assert!(up.contains(&format!("pid {pid}, uptime 0:00:0")), "{up}");
    assert!(up.contains("<a href=\"/tail.html?processname=up\">up</a>"), "{up}");
    for there in ["Restart</button>", "Stop</button>", "Clear Log</button>"] {
        assert!(up.contains(there), "{there}: {up}");
    }
    assert!(up.contains("href=\"/logtail/up\"") && up.contains("href=\"/logtail/up/stderr\""));
    assert!(!up.contains("Start</button>"), "{up}");
    let down = row(&page, "b:x0");
    assert!(down.contains("<span class=\"statusnominal\">stopped</span>"), "{down}");
    assert!(down.contains("Not started") && down.contains("Start</button>"), "{down}");
    assert!(!down.contains("Stop</button>") && !down.contains("Restart</button>"), "{down}");
    assert!(page.contains("<title>Supervisor Status</title>"));
    for same in ["/index.html", "//", "//index.html", "/?processname=up"] {
        assert_eq!(row(&get(&target, same, "").text(), "down"), row(&page, "down"), "{same}");
    }
    assert_eq!(post(&target, "/", "").status(), 200);
}

#[test]
fn without_programs_the_page_says_so() {
    // C-332
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "");
    assert!(get(&target, "/", "").text().contains("No programs to manage"));
}

#[test]
fn the_end_of_a_log_is_a_page() {
    // C-333
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'seq 1 1000; exec cat'\n\
         [program:mute]\ncommand=/bin/cat\nstdout_logfile=NONE\n",
    );
    daemon.expect_log("success: a entered RUNNING");
    let tail = |query: &str| {
        let page = get(&target, &format!("/tail.html?{query}"), "").text();
        let (_, rest) = page.split_once("<pre id=\"tailbody\"").expect("the log");
        let (_, rest) = rest.split_once('>').expect("its begin");
        (rest.split("</pre>").next().expect("its end").to_owned(), page)
    };
    let (text, page) = tail("processname=a");
    assert_eq!(text.len(), 1024);
    assert!(text.ends_with("999\n1000\n"), "{text}");
    assert!(page.contains("<title>Supervisor tail of process a</title>"));
    assert!(
        page.contains("href=\"/tail.html?processname=a&amp;limit=1024\">Refresh</a>"),
        "{page}"
    );
    assert_eq!(tail("processname=a&limit=2000").0.len(), 2000);
    for limit in ["10", "-5", "x", "0"] {
        assert_eq!(tail(&format!("processname=a&limit={limit}")).0.len(), 1024, "{limit}");
    }
    let huge = tail("processname=a:a&limit=99999999999999999999").0;
    assert!(huge.starts_with("1\n2\n3\n"), "{huge}");
    assert_eq!(tail("").0, "No process name found");
    assert_eq!(tail("processname=mute").0, "No file for mute");
    let unknown = "ERROR: unexpected rpc fault [10] BAD_NAME: nope";
    assert_eq!(tail("processname=nope").0, unknown);
}
