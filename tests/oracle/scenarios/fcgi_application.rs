//! FastCGI programs as the application and its clients see them.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::rpc::calls;
use crate::compare::compare;
use crate::support::http::loopback;
use crate::support::require_root;
use crate::world::{World, upstream};

/// Looks at its descriptor 0 and says what it is; then answers every connection with a line.
const APPLICATION: &str = "\
import os, socket, stat
print('socket', stat.S_ISSOCK(os.fstat(0).st_mode), 'blocking', os.get_blocking(0))
s = socket.socket(fileno=0)
listens = bool(s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
reuse = bool(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
print(s.family.name, s.type.name, 'listens', listens, 'reuse', reuse)
names = sorted(name for name in os.environ if name.startswith('SUPERVISOR_'))
print(names, os.environ['SUPERVISOR_PROCESS_NAME'], os.environ['SUPERVISOR_GROUP_NAME'])
print('output', stat.S_ISFIFO(os.fstat(1).st_mode), stat.S_ISFIFO(os.fstat(2).st_mode), flush=True)
while True:
    connection, _ = s.accept()
    connection.sendall(b'hello\\n')
    connection.close()
";

/// A FastCGI section that runs it.
fn application(world: &mut World, name: &str, options: &str) -> String {
    world.write("application.py", APPLICATION);
    let python = upstream().join("bin/python").display().to_string();
    format!(
        "[fcgi-program:{name}]\ncommand={python} DIR/application.py\nstdout_logfile=DIR/%(program_name)s_%(process_num)d.out\nstartsecs=0\n{options}\n"
    )
}

/// What a client of a socket gets, or why it gets nothing.
fn asked(world: &World, name: &str) -> String {
    use std::io::Read;
    match std::os::unix::net::UnixStream::connect(world.dir.join(name)) {
        Ok(mut stream) => {
            let mut text = String::new();
            stream.read_to_string(&mut text).map_or_else(|error| error.kind().to_string(), |_| text)
        }
        Err(error) => error.kind().to_string(),
    }
}

/// C-399, C-401, C-402, C-403: a unix socket through the life of its processes.
#[test]
fn unix_socket() {
    compare(|world| {
        let f = application(
            world,
            "f",
            "socket=unix://DIR/f.sock\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)d",
        );
        world.programs(&f);
        world.start();
        for name in ["f_0.out", "f_1.out"] {
            world.expect_file(name, "output");
            world.file(name);
        }
        let text = asked(world, "f.sock");
        world.note("asked", &text);
        let mode = std::fs::metadata(world.dir.join("f.sock")).expect("the socket").mode() & 0o7777;
        world.note("mode", &format!("{mode:o}"));
        calls(world, "[\"supervisor.sendProcessStdin\", \"f:f_0\", \"x\"]\n");
        world.ctl(&["stop", "f:f_0"]).exits(0);
        world.expect_log("stopped: f_0");
        let text = asked(world, "f.sock");
        world.note("asked with one left", &text);
        world.log("with one left", &["socket unix:", "Creating", "Closing"]);
        world.ctl(&["stop", "f:f_1"]).exits(0);
        world.expect_log_times("Closing socket", 2);
        world.log("with none", &["Creating", "Closing"]);
        let text = asked(world, "f.sock");
        world.note("asked with none", &text);
        world.note("the file is left", &world.dir.join("f.sock").exists().to_string());
        world.ctl(&["start", "f:f_1"]).exits(0);
        world.expect_log_times("Creating socket", 3);
        let text = asked(world, "f.sock");
        world.note("asked again", &text);
        world.stop();
        world.log("of sockets", &["Creating", "Closing"]);
        world.note("the file is left at the end", &world.dir.join("f.sock").exists().to_string());
    });
}

/// C-108, C-403: mode and owner; what stands in the way is removed.
#[test]
fn mode_and_owner() {
    require_root();
    compare(|world| {
        std::fs::set_permissions(
            world.dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("our own directory");
        let a = application(
            world,
            "a",
            "socket=unix://DIR/a.sock\nsocket_mode=0640\nsocket_owner=nobody:daemon",
        );
        let b = application(world, "b", "socket=unix://DIR/b.sock\nuser=nobody");
        world.programs(&format!("{a}{b}"));
        drop(std::os::unix::net::UnixListener::bind(world.dir.join("a.sock")));
        world.start();
        for name in ["a", "b"] {
            world.expect_file(&format!("{name}_0.out"), "output");
            let found =
                std::fs::metadata(world.dir.join(&format!("{name}.sock"))).expect("the socket");
            let text = format!(
                "socket {} mode {:o} owner {}:{}",
                found.file_type().is_socket(),
                found.mode() & 0o7777,
                found.uid(),
                found.gid()
            );
            world.note(&format!("{name}.sock"), &text);
            let text = asked(world, &format!("{name}.sock"));
            world.note(&format!("asked {name}"), &text);
        }
    });
}

/// C-402, C-404: a TCP socket.
#[test]
fn tcp_socket() {
    compare(|world| {
        let address = loopback();
        let f = application(world, "f", &format!("socket=tcp://{address}\nsocket_backlog=5"));
        world.programs(&f);
        world.start();
        world.expect_file("f_0.out", "output");
        world.file("f_0.out");
        let mut text = String::new();
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        std::io::Read::read_to_string(&mut stream, &mut text).expect("an answer");
        world.note("asked", &text);
        world.ctl(&["restart", "f"]).exits(0);
        world.expect_file("f_0.out", "output");
        world.ctl(&["stop", "f"]).exits(0);
        world.expect_log_times("Closing socket", 3);
        let log = world.main_log().replace(&address.to_string(), "ADDRESS");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("socket tcp:")).collect();
        world.note("log of the socket", &lines.join("\n"));
    });
}

/// C-401, C-424: what a new configuration does to the socket.
#[test]
fn update() {
    compare(|world| {
        let f = application(world, "f", "socket=unix://DIR/f.sock");
        world.programs(&f);
        world.start();
        world.expect_file("f_0.out", "output");
        world.programs(&f.replace("f.sock", "other.sock"));
        world.ctl(&["update"]).prints("f: stopped\nf: updated process group\n");
        world.expect_log_times("Creating socket", 4);
        world.expect_running(&["f"]);
        world.log("of sockets", &["Creating", "Closing"]);
        world.programs(&f.replace("f.sock", "other.sock\nsocket_mode=0600"));
        world.ctl(&["reread"]);
    });
}
