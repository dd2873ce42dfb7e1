//! Takes out of a text what differs between any two runs of the same program.

use std::path::Path;
use std::sync::LazyLock;

use regex_lite::Regex;

/// What to replace besides the fixed patterns.
pub struct Normal {
    dir: String,
    programs: String,
    prefix: String,
}

/// Pattern and what stands for it; in this order.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "TIME "),
        (r"\bpid \d+", "pid PID"),
        (r"\(\d+\) with SIG", "(PID) with SIG"),
        (r"uptime (\d+ days?, )?\d+:\d\d:\d\d", "uptime TIME"),
        (r"\b[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "DATE"),
        (r"-[a-z0-9_]{8}\.log\b", "-RANDOM.log"),
    ]
    .into_iter()
    .map(|(pattern, stand_in)| (Regex::new(pattern).expect("a pattern"), stand_in))
    .collect()
});

impl Normal {
    /// For texts about this scratch directory and programs from that directory.
    pub fn new(dir: &Path, programs: &Path) -> Self {
        Self {
            dir: dir.display().to_string(),
            programs: format!("{}/", programs.display()),
            prefix: programs.parent().unwrap_or(programs).display().to_string(),
        }
    }

    /// The text without what differs from run to run.
    pub fn of(&self, text: &str) -> String {
        let text = text.replace(&self.dir, "DIR").replace(&self.programs, "");
        let text = text.replace(&self.prefix, "PREFIX");
        PATTERNS.iter().fold(text, |text, (pattern, stand_in)| {
            pattern.replace_all(&text, *stand_in).into_owned()
        })
    }
}

/// Times, pids, paths and random names go; words stay.
#[test]
fn normal_text_keeps_what_matters() {
    let normal = Normal::new(Path::new("/tmp/sv-1"), Path::new("/opt/x/bin"));
    let text = "2026-11-22 12:42:22,136 INFO spawned: 'a' with pid 7860\n\
                WARN killing 'a' (77) with SIGKILL at /tmp/sv-1/a.log\n\
                a   RUNNING   pid 12, uptime 1 day, 1:01:01\n\
                a   STOPPED   Nov 22 10:23 AM\n\
                For help, use /opt/x/bin/supervisord -h a-stdout---supervisor-zma0w9hr.log";
    assert_eq!(
        normal.of(text),
        "TIME INFO spawned: 'a' with pid PID\n\
         WARN killing 'a' (PID) with SIGKILL at DIR/a.log\n\
         a   RUNNING   pid PID, uptime TIME\n\
         a   STOPPED   DATE\n\
         For help, use supervisord -h a-stdout---supervisor-RANDOM.log"
    );
}
