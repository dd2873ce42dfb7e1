//! Event listeners run by the daemon, as people run them: superlance's, supervisord-dependent-startup
//! and, though it listens to files and not to events, superfsmon.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regex_lite::Regex;

use crate::both::{clients, same_of_both, without_paths};
use crate::support::PATIENCE;
use crate::support::http::loopback;
use crate::support::process::run;
use crate::support::watch::wait_dir;
use crate::world::World;

/// One of the clients as a listener of these events; what it says to people is in `NAME.err`.
fn listener(name: &str, command: &str, events: &str) -> String {
    let bin = clients().join("bin").display().to_string();
    format!(
        "[eventlistener:{name}]\ncommand={bin}/{command}\nevents={events}\nstartsecs=0\n\
         buffer_size=100\nstderr_logfile=DIR/{name}.err\n"
    )
}

/// A program that ends at once with this code when it is started.
fn ends(name: &str, code: u8, options: &str) -> String {
    format!(
        "[program:{name}]\ncommand=/bin/sh -c 'exit {code}'\nstartsecs=0\nautostart=false\nautorestart=false\n{options}\n"
    )
}

/// Starts a program. What is said of one that ends at once is chance.
fn start(world: &World, name: &str) {
    run(&mut world.command("supervisorctl", &["-c", "supervisord.conf", "start", name]));
}

/// A text without dates and numbers of messages.
fn steady(world: &World, text: &str) -> String {
    let date = r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}";
    let time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?";
    let mut text = without_paths(world, text);
    for (pattern, stand_in) in
        [(date, "DATE"), (time, "TIME"), (r"(?m)^Message-ID: .*$", "Message-ID: ID")]
    {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, stand_in).into_owned();
    }
    text
}

/// Observes the different lines of a file, in an order that time does not change.
fn lines_of(world: &mut World, name: &str) {
    let text = steady(world, &world.dir.read(name));
    let lines: BTreeSet<&str> = text.lines().collect();
    let text = lines.into_iter().collect::<Vec<_>>().join("\n");
    world.note(&format!("lines of {name}"), &text);
}

/// A mail server that takes everything, on an address of its own.
struct Mails {
    address: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Mails {
    fn serve(dir: &std::path::Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (sink, mark) = (Arc::clone(&received), dir.join("mails"));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut answers = stream.try_clone().expect("a socket");
                let mut say = |text: &str| answers.write_all(text.as_bytes()).is_ok();
                say("220 here\r\n");
                let (mut mail, mut in_data) = (String::new(), false);
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if !in_data {
                        in_data = line == "data" || line == "DATA";
                        say(if in_data { "354 go on\r\n" } else { "250 fine\r\n" });
                    } else if line == "." {
                        in_data = false;
                        let mut received = sink.lock().expect("no panic while locked");
                        received.push(std::mem::take(&mut mail));
                        // Whoever waits looks at the directory.
                        std::fs::write(&mark, received.len().to_string()).expect("a file");
                        say("250 taken\r\n");
                    } else {
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                }
            }
        });
        Self { address, received }
    }

    /// Waits for a mail that mentions something, and observes it.
    fn expect(&self, world: &mut World, needle: &str) {
        let find = || {
            let received = self.received.lock().expect("no panic while locked");
            received.iter().find(|mail| mail.contains(needle)).cloned()
        };
        let mail = wait_dir(world.dir.path(), PATIENCE, find);
        let mail = mail.unwrap_or_else(|| panic!("no mail about {needle}\n{}", world.main_log()));
        let mail = steady(world, &mail);
        world.note(&format!("mail about {needle}"), &mail);
    }
}

/// C-361, C-339: crashmail writes of a program that ended unexpectedly, whatever its name; not of others.
#[test]
fn crashmail() {
    same_of_both(|world| {
        world.script("sendmail", "{ cat; echo; } >> DIR/mails\n");
        let l = listener(
            "crashmail",
            "crashmail -a -o head -m who@example.com -s DIR/sendmail",
            "PROCESS_STATE_EXITED",
        );
        let fine = ends("fine", 3, "exitcodes=3");
        world.programs(&format!("{l}{fine}{}{}", ends("bad", 1, ""), ends("größe", 2, "")));
        world.start();
        for name in ["fine", "bad", "größe"] {
            start(world, name);
            world.expect_exited(&[name]);
        }
        let mails = world.expect_file("mails", "Process größe");
        let mails = steady(world, &mails);
        world.note("mails", mails.trim_end());
        world.expect_file("crashmail.err", "Process größe");
        lines_of(world, "crashmail.err");
        world.note("it is well", &(!world.settled_log().contains("UNKNOWN state")).to_string());
    });
}

/// C-361, C-368, C-339: fatalmailbatch and crashmailbatch gather what happened and send it at a tick.
#[test]
fn mail_in_batches() {
    same_of_both(|world| {
        let mails = Mails::serve(world.dir.path());
        let who = format!("-t who@example.com -f me@example.com -H {}", mails.address);
        let batch = "-e TICK_5 -i 0.05";
        let fatal = listener(
            "fatal",
            &format!("fatalmailbatch {who} {batch}"),
            "PROCESS_STATE_FATAL,TICK_5",
        );
        let crash = listener(
            "crash",
            &format!("crashmailbatch {who} {batch} -s crashes"),
            "PROCESS_STATE_EXITED,TICK_5",
        );
        world.programs(&format!(
            "{fatal}{crash}{}[program:never]\ncommand=/bin/false\nstartsecs=5\nstartretries=0\nautostart=false\n",
            ends("bad", 1, "")
        ));
        world.start();
        start(world, "bad");
        start(world, "never");
        world.expect_log("gave up: never");
        mails.expect(world, "Process never:never failed to start too many times");
        mails.expect(world, "Process bad:bad");
    });
}

/// C-278, C-368: memmon and httpok act at a tick.
#[test]
fn memmon_and_httpok() {
    same_of_both(|world| {
        // Nobody listens there.
        let page = format!("http://{}/", loopback());
        let mem = listener("mem", "memmon -p big=1KB", "TICK_5");
        let http = listener("http", &format!("httpok -p web -t 1 {page}"), "TICK_5");
        let sleeps = "command=/bin/sleep 100\nstartsecs=0\n";
        world.programs(&format!(
            "{mem}{http}[program:big]\n{sleeps}[program:web]\n{sleeps}[program:other]\n{sleeps}"
        ));
        world.start();
        for name in ["big", "web"] {
            world.expect_log_times(&format!("success: {name} entered RUNNING"), 2);
        }
        let others = world.settled_log().matches("spawned: 'other'").count();
        world.note("others were spawned", &others.to_string());
        let told = world.expect_file("mem.err", "Restarting big:big");
        world.note("memmon tells", &told.contains("Restarting big:big").to_string());
        let told = world.expect_file("http.err", "web is in RUNNING state, restarting");
        let told = told.replace(&page, "PAGE");
        let line = told.lines().find(|line| line.contains("web is in RUNNING")).unwrap_or_default();
        world.note("httpok tells", line);
    });
}

/// C-278, C-358, C-360: supervisord-dependent-startup starts programs in the order of their needs.
#[test]
fn dependent_startup() {
    same_of_both(|world| {
        let l = listener(
            "startup",
            "supervisord-dependent-startup --log-format '%%(message)s' -c DIR/supervisord.conf",
            "PROCESS_STATE",
        );
        let program = |name: &str, needs: &str| {
            let needs = if needs.is_empty() {
                String::new()
            } else {
                format!("dependent_startup_wait_for={needs}\n")
            };
            format!(
                "[program:{name}]\ncommand=/bin/sleep 100\nautostart=false\nstartsecs=0\ndependent_startup=true\n{needs}"
            )
        };
        world.programs(&format!(
            "{l}autorestart=unexpected\nstartretries=0\nexitcodes=0,3\n{}{}{}{}",
            program("page", "cache:running store:running"),
            program("store", ""),
            program("cache", "store:running"),
            ends("job", 0, ""),
        ));
        world.start();
        world.expect_running(&["store", "cache", "page"]);
        world.log("of starts", &["spawned: 'page'", "spawned: 'store'", "spawned: 'cache'"]);
        world.expect_file("startup.err", "No more processes to start");
        world.ctl(&["status", "page", "store", "cache", "job"]);
    });
}

/// C-278: superfsmon restarts a program when a file changes.
#[test]
fn superfsmon() {
    same_of_both(|world| {
        let bin = clients().join("bin").display().to_string();
        let watched = world.dir.path().join("watched");
        std::fs::create_dir(&watched).expect("our own directory");
        world.programs(&format!(
            "[program:watch]\ncommand={bin}/superfsmon DIR/watched a\nstdout_logfile=DIR/watch.out\nredirect_stderr=true\n\
             [program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n[program:other]\ncommand=/bin/sleep 100\nstartsecs=0\n"
        ));
        world.start();
        world.expect_running(&["a", "other", "watch"]);
        world.expect_file("watch.out", "watching");
        // It says so before it does.
        let told = || world.dir.read("watch.out").contains("commencing restart").then_some(());
        let seen = (0..40).any(|turn| {
            std::fs::write(watched.join("file"), turn.to_string()).expect("our own directory");
            wait_dir(world.dir.path(), Duration::from_secs(1), told).is_some()
        });
        world.note("it saw the file", &seen.to_string());
        world.expect_log_times("success: a entered RUNNING", 2);
        lines_of(world, "watch.out");
        let others = world.settled_log().matches("spawned: 'other'").count();
        world.note("others were spawned", &others.to_string());
    });
}
