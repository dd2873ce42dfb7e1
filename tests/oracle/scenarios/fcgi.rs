//! FastCGI programs and their sockets.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::compare::compare;
use crate::world::{DAEMON, World};

const TWO: &str = "numprocs=2\nprocess_name=%(process_num)d\n";

fn has_socket(world: &mut World, label: &str) -> bool {
    let path = world.dir.join("a.sock");
    let mode = path.metadata().map(|file| file.permissions().mode() & 0o7777);
    let answers = UnixStream::connect(&path).is_ok();
    world.note(label, &format!("mode {mode:?}, answers: {answers}").replace("Ok", "is"));
    answers
}

/// C-399, C-401, C-403, C-424: when a socket is there, and what the log says of it.
#[test]
fn life_of_a_socket() {
    compare(|world| {
        world.programs(&format!(
            "[fcgi-program:a]\ncommand=/bin/sleep 100\nsocket=unix://DIR/a.sock\nstartsecs=0\n\
             socket_mode=0720\n{TWO}\
             [fcgi-program:b]\ncommand=/bin/sleep 100\nsocket=unix://DIR/b.sock\nautostart=false\n\
             [fcgi-program:c]\ncommand=/nonexistent\nsocket=unix://DIR/c.sock\nautostart=false\n\
             startretries=0\n",
        ));
        world.start();
        world.expect_running(&["0", "1"]);
        let up = has_socket(world, "running");
        world.upstream_is("listening", up);
        world.ctl(&["stop", "a:0"]);
        has_socket(world, "one stopped");
        world.ctl(&["restart", "a:1"]);
        world.ctl(&["stop", "a:1"]);
        let up = has_socket(world, "both stopped");
        world.upstream_is("closed", !up);
        world.ctl(&["start", "a:0"]);
        has_socket(world, "started again");
        world.ctl(&["start", "c"]);
        world.ctl(&["remove", "b"]);
        world.ctl(&["add", "b"]);
        world.stop();
        let log = world.log("of sockets", &["ing socket"]);
        world.upstream_is("opened and closed", log.matches("Creating").count() == 7);
        world.upstream_is("as often", log.matches("Closing").count() == 7);
    });
}

/// C-402, C-404, C-405, C-423: what a process finds on its stdin.
#[test]
fn stdin() {
    compare(|world| {
        // Without a pipe where descriptors are counted: the shell holds it a moment longer.
        world.script(
            "probe",
            "for fd in 0 1 2; do readlink /proc/$$/fd/$fd | sed 's/:.*//'; done\n\
             ls /proc/$$/fd > DIR/fds.$$\nwc -l < DIR/fds.$$\ngrep flags /proc/$$/fdinfo/0\n",
        );
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("it is bound").port()
        };
        let program = |name: &str, socket: &str| {
            format!(
                "[fcgi-program:{name}]\ncommand=DIR/probe\nsocket={socket}\nstartsecs=0\n\
                 autorestart=false\nstdout_logfile=DIR/{name}.out\n"
            )
        };
        world.programs(&format!(
            "{}{}{}[group:g]\nprograms=member\n",
            program("unix", "unix://DIR/a.sock"),
            program("tcp", &format!("tcp://localhost:{port}")),
            program("member", "unix://DIR/b.sock"),
        ));
        world.start();
        world.expect_exited(&["unix", "tcp", "member"]);
        for name in ["unix.out", "tcp.out", "member.out"] {
            let text = world.file(name);
            let socket = name != "member.out";
            world.upstream_is(name, text.starts_with(if socket { "socket\n" } else { "pipe\n" }));
        }
    });
}

/// C-400: a socket that cannot be opened.
#[test]
fn busy() {
    compare(|world| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let config = format!(
            "{DAEMON}[fcgi-program:a]\ncommand=/bin/sleep 100\nsocket=tcp://127.0.0.1:{port}\n"
        );
        let accepted = world.accepts("a busy port", &config);
        world.upstream_is("refused", !accepted);
    });
}
