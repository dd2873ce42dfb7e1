//! The page of a process, and its logs.

use super::served;
use crate::support::http::{Http, get};
use crate::support::scratch::Scratch;

#[test]
fn a_process_has_a_page_without_its_secrets() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:a&b]\ncommand=/bin/sh -c 'echo \"<i>said</i>\"; exec cat'\n\
         environment=TOKEN=\"hush\",PLAIN=\"s3cond\"\nprocess_name=x&y\nstartsecs=0\n",
    );
    daemon.expect_log("spawned: 'x&y'");
    let page = get(&target, "/process/a%26b/x%26y", "");
    assert_eq!(page.status(), 200);
    let text = page.text();
    for there in ["<h1>a&#38;b:x&#38;y</h1>", "TOKEN", "PLAIN", "/bin/sh -c", "startsecs"] {
        assert!(text.contains(there), "{there}: {text}");
    }
    assert!(!text.contains("hush") && !text.contains("s3cond") && !text.contains("<i>"), "{text}");
    for nothing in ["/process/a%26b/nope", "/process/nope", "/process/", "/process/%FF/%FF"] {
        assert_eq!(get(&target, nothing, "").status(), 404, "{nothing}");
    }
    let facts = get(&target, "/data/process?name=a%26b:x%26y", "");
    let facts: serde_json::Value = serde_json::from_slice(&facts.body).expect("JSON");
    assert_eq!(facts["tree"]["processes"].as_array().map(Vec::len), Some(1), "{facts}");
    assert_eq!(get(&target, "/data/process?name=nope", "").status(), 404);
}

#[test]
fn a_log_can_be_downloaded_whole() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'seq 1 100000; echo end; exec cat'\nstartsecs=0\n",
    );
    daemon.expect_log("spawned: 'a'");
    let mut tail = Http::connect(&target).expect("it listens");
    tail.send("GET /logtail/a?bytes=1000000 HTTP/1.1\r\nHost: x\r\n\r\n").expect("it takes it");
    tail.head().expect("it answers");
    let mut seen = Vec::new();
    while !seen.ends_with(b"end\n") {
        seen.extend(tail.chunk().expect("it goes on"));
    }
    let file = get(&target, "/download?name=a&channel=stdout", "");
    assert_eq!(file.status(), 200);
    let name = file.header("content-disposition").expect("a name");
    assert_eq!(name, "attachment; filename=\"a-stdout.log\"");
    assert!(file.body == seen, "{} and {} bytes", file.body.len(), seen.len());
    assert!(get(&target, "/download", "").text().contains("spawned: 'a' with pid"));
    for nothing in ["/download?name=nope", "/download?name=a&channel=x"] {
        assert_eq!(get(&target, nothing, "").status(), 404, "{nothing}");
    }
}
