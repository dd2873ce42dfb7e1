//! A script over Python's own `xmlrpc.client`.

use crate::both::{client, observe, same_of_both};
use crate::support::http::loopback;
use crate::support::process::run;
use crate::world::DAEMON;

const PROGRAMS: &str = "\
[program:a]
command=/bin/cat
[program:x]
command=/bin/sleep 100
autostart=false
[program:y]
command=/bin/sleep 100
[group:g]
programs=x,y
";

/// C-280 and what it calls: many calls in one, those that wait among them, over TCP with a password.
#[test]
fn many_calls_in_one() {
    same_of_both(|world| {
        let address = loopback();
        world.config(&format!(
            "{DAEMON}{PROGRAMS}[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n"
        ));
        world.start();
        world.expect_running(&["a", "y"]);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/multicall.py");
        let mut python = client(world, "python");
        let output = run(python.args([script, &format!("http://bob:secret@{address}")]));
        assert_eq!(output.code, 0, "{output:?}");
        observe(world, "script", output);
    });
}
