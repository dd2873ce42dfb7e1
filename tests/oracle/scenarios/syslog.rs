//! What goes to syslog, seen by a syslog of our own in a mount namespace.

use std::os::unix::net::UnixDatagram;

use crate::compare::compare;
use crate::support::{PATIENCE, require_root};
use crate::world::World;

/// Gives the daemon a `/dev` of its own with our socket as `/dev/log` in it.
fn with_syslog(world: &mut World) -> UnixDatagram {
    let dev = world.dir.join("dev");
    std::fs::create_dir(&dev).expect("a directory");
    let socket = UnixDatagram::bind(dev.join("log")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    world.script(
        "isolated",
        "cd DIR/dev\nfor node in null zero full random urandom tty; do touch $node; mount --bind /dev/$node $node; done\n\
         mkdir -p shm; mount --rbind DIR/dev /dev\ncd DIR\nexec \"$@\"\n",
    );
    let script = world.dir.join("isolated").display().to_string();
    world.through = ["/usr/bin/unshare", "--mount", &script].map(ToOwned::to_owned).to_vec();
    socket
}

/// Reads messages until one has this text; all of them without the time.
fn until(socket: &UnixDatagram, needle: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = socket.recv(&mut buffer).unwrap_or_else(|error| {
            panic!("{needle:?} never came to syslog ({error}), but {messages:?}")
        });
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let found = text.contains(needle);
        // <14>Nov 22 12:42:21 supervisord: ...
        let (priority, rest) = text.split_once('>').expect("a priority");
        messages.push(format!("{priority}> {}", &rest[16..]));
        if found {
            return messages;
        }
    }
}

/// C-088, C-089, C-380: programs' lines, beside and without a log file.
#[test]
fn of_programs() {
    require_root();
    compare(|world| {
        let socket = with_syslog(world);
        world.script("talk", "echo one; echo; echo three; echo error >&2\n");
        world.programs(
            "[program:a]\ncommand=DIR/talk\nstartsecs=0\nautorestart=false\nstdout_syslog=true\nstdout_logfile=DIR/a.out\nstderr_syslog=true\nstderr_logfile=NONE\n",
        );
        world.start();
        world.expect_exited(&["a"]);
        let mut messages = until(&socket, " error");
        if !messages.iter().any(|message| message.contains("three")) {
            messages.extend(until(&socket, "three"));
        }
        messages.sort();
        world.note("messages", &messages.join("\n"));
        world.file("a.out");
    });
}

/// C-052, C-380, C-384: the daemon's own lines.
#[test]
fn of_the_daemon() {
    require_root();
    compare(|world| {
        let socket = with_syslog(world);
        world.config(
            "[supervisord]\nlogfile=syslog\npidfile=DIR/supervisord.pid\nchildlogdir=DIR\nuser=root\n",
        );
        world.start();
        let messages = until(&socket, "supervisord started with pid");
        let last = messages.last().expect("one at least");
        let normal = world.normal();
        // The whole formatted line, its own time included, is the message.
        let (head, line) = last.split_at(last.find('2').unwrap_or(0));
        world.note("head", head);
        world.note("line", &normal.of(line.trim_end_matches(['\n', '\0'])));
        world.stop();
    });
}
