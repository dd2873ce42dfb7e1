//! A private dbus-daemon with the shipped policy, and programs that are its clients.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use supervisor::dbus::endpoint::Bus;
use tempfile::TempDir;
use zbus::Connection;
use zbus::connection::Builder;

/// What every system bus allows and denies before the policies of its services.
const SYSTEM_POLICY: &str = r#"
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>"#;

/// What polkit brings for a system bus; a test that plays polkit does without.
const POLKIT: &str = "/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf";

/// A bus of its own, ended with the test.
pub struct Broker {
    daemon: Child,
    pub address: String,
    dir: PathBuf,
    /// Removed at the end.
    scratch: Option<TempDir>,
}

impl Broker {
    pub fn start() -> Self {
        let scratch = open_dir();
        let broker = Self::start_in(scratch.path());
        broker.with(scratch)
    }

    /// A bus with its socket in this directory, which need not be there yet.
    pub fn start_in(dir: &Path) -> Self {
        let shipped =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("dbus/org.supervisord.Supervisor1.conf");
        // The shipped policy lets root have the name: a test that runs as somebody else needs a
        // word more.
        let uid = nix::unistd::getuid();
        let own = format!(
            r#"<policy user="{uid}"><allow own="org.supervisord.Supervisor1"/>
               <allow receive_sender="org.supervisord.Supervisor1"/></policy>"#
        );
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path={dir}/bus</listen>
             <auth>EXTERNAL</auth>{SYSTEM_POLICY}<include>{shipped}</include>{own}
             <include ignore_missing=\"yes\">{POLKIT}</include>
             <policy user=\"{uid}\"><allow own=\"org.freedesktop.PolicyKit1\"/></policy>
             <policy context=\"default\">
             <allow send_destination=\"org.freedesktop.PolicyKit1\"/></policy></busconfig>",
            dir = dir.display(),
            shipped = shipped.display(),
            own = if uid.is_root() { "" } else { &own },
        );
        Self::start_with(dir, &config)
    }

    /// A bus where our policy is not installed.
    pub fn start_without_policy() -> Self {
        let scratch = open_dir();
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path={}/bus</listen>
             <auth>EXTERNAL</auth>{SYSTEM_POLICY}</busconfig>",
            scratch.path().display(),
        );
        let broker = Self::start_with(scratch.path(), &config);
        broker.with(scratch)
    }

    fn with(mut self, scratch: TempDir) -> Self {
        self.scratch = Some(scratch);
        self
    }

    fn start_with(dir: &Path, config: &str) -> Self {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("bus.conf"), config).unwrap();
        let (daemon, address) = run_daemon(dir);
        Self { daemon, address, dir: dir.to_owned(), scratch: None }
    }

    pub fn bus(&self) -> Bus {
        Bus::Address(self.address.clone())
    }

    /// A client of this bus.
    pub async fn connect(&self) -> Connection {
        Builder::address(self.address.as_str()).build().await.unwrap()
    }

    /// Ends the bus while it has clients.
    pub fn end(&mut self) {
        let _ = self.daemon.kill();
        self.daemon.wait().unwrap();
    }

    /// Ends the bus, and starts another at the same place.
    pub fn restart(&mut self) {
        self.end();
        let _ = fs::remove_file(self.dir.join("bus"));
        self.daemon = run_daemon(&self.dir).0;
    }

    /// Runs busctl on this bus, and returns what it says on stdout, or on stderr when it fails.
    pub async fn busctl(&self, args: &[&str]) -> Result<String, String> {
        let address = format!("--address={}", self.address);
        run("busctl", &[&[address.as_str()], args].concat(), Whom::Me).await
    }

    /// Calls a method by gdbus.
    pub async fn gdbus(&self, whom: Whom, path: &str, args: &[&str]) -> Result<String, String> {
        let front = [
            "call",
            "--address",
            self.address.as_str(),
            "--dest",
            "org.supervisord.Supervisor1",
            "--object-path",
            path,
            "--method",
        ];
        run("gdbus", &[&front, args].concat(), whom).await
    }
}

/// Starts the daemon, and returns once it listens.
fn run_daemon(dir: &Path) -> (Child, String) {
    let mut daemon = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", dir.join("bus.conf").display()))
        .args(["--nofork", "--print-address=1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need dbus-daemon: install the package dbus-daemon");
    let mut address = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(!address.is_empty(), "dbus-daemon did not start");
    // Its guid is another one each time.
    let address = address.trim().split(',').next().unwrap_or_default().to_owned();
    (daemon, address)
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A directory that other users can look into.
pub fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Who runs a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Me,
    /// A user without any right. Only root can run something as somebody else.
    Nobody,
}

/// A program with its arguments, run by somebody.
pub fn command_of(program: &str, args: &[&str], whom: Whom) -> Command {
    let mut command = match whom {
        Whom::Me => Command::new(program),
        Whom::Nobody => {
            assert!(nix::unistd::getuid().is_root(), "this test must be run by root");
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
            command
        }
    };
    command.args(args).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

pub async fn run(program: &str, args: &[&str], whom: Whom) -> Result<String, String> {
    let mut command = command_of(program, args, whom);
    let program = program.to_owned();
    // The endpoint that answers lives on this thread: waiting here would be waiting for ever.
    tokio::task::spawn_blocking(move || {
        let output =
            command.output().unwrap_or_else(|error| panic!("these tests need {program}: {error}"));
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    })
    .await
    .unwrap()
}
