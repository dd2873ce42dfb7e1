//! A machine of its own for a test: Debian with systemd as PID 1, in a container of
//! systemd-nspawn that has no network but loopback. Everything in it is seen and done as an
//! administrator of it would: by commands.
//!
//! What it takes from the host goes with it: the mounts are in a mount namespace of the
//! container, its processes in a cgroup of its own, its files in a directory that the next
//! machine sweeps away if a test was killed before it could.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::rootfs::{self, Layer};
use super::support::PATIENCE;
use super::support::notify::NotifySocket;
use super::support::process::{Output, Running};

/// Where the .deb under test is in every machine.
pub const DEB: &str = "/srv/ours/supervisor.deb";

/// How long a command in a machine may take: installing a package on a busy host included.
const LIMIT: Duration = Duration::from_secs(90);

/// Joins the cgroups named, mounts the root, and becomes the container. Arguments: the root, the
/// overlay's options, how many cgroups, the cgroups, then the command.
const ENTER: &str = r#"
root=$1 options=$2 count=$3; shift 3
while [ "$count" -gt 0 ]; do echo $$ > "$1/cgroup.procs"; shift; count=$((count - 1)); done
mount -t overlay overlay -o "$options" "$root" && exec "$@"
"#;

/// A machine's own writable layer: it outlives a shutdown, as a disk does.
struct Disk {
    path: PathBuf,
    /// Locked as long as the disk is in use.
    _used: File,
    layer: Layer,
}

impl Disk {
    fn new(layer: Layer) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let runs = rootfs::cache().join("run");
        fs::create_dir_all(&runs).expect("a directory");
        sweep_disks(&runs);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = runs.join(format!("{}-{count}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        let used = File::open(&path).expect("a directory that was just made");
        used.lock().expect("a lock");
        for part in ["root", "upper", "work"] {
            fs::create_dir_all(path.join(part)).expect("a directory");
        }
        Self { path, _used: used, layer }
    }

    /// What overlayfs is told.
    fn options(&self) -> String {
        let trees: Vec<_> =
            self.layer.trees.iter().map(|tree| tree.display().to_string()).collect();
        let path = self.path.display();
        format!("lowerdir={},upperdir={path}/upper,workdir={path}/work", trees.join(":"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes disks that a killed test left: those that nobody holds locked.
fn sweep_disks(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        // A disk that was made a moment ago is not locked yet; its maker is alive.
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.split('-').next().unwrap_or_default();
        if Path::new("/proc").join(maker).exists() {
            continue;
        }
        if File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// What runs while a machine is on.
struct Power {
    /// systemd-nspawn; its output is the console.
    nspawn: Running,
    /// The machine's PID 1 as the host sees it.
    leader: u32,
    cgroups: Vec<PathBuf>,
    name: String,
}

/// A booted machine. Dropping it switches it off and removes all of it.
pub struct Machine {
    power: Option<Power>,
    disk: Disk,
    deb: PathBuf,
}

impl Machine {
    /// Boots from a layer, and waits until its start-up has ended. `deb` is at [`DEB`] in it.
    pub fn boot(layer: Layer, deb: &Path) -> Self {
        rootfs::require();
        let mut machine = Self { power: None, disk: Disk::new(layer), deb: deb.to_owned() };
        machine.switch_on();
        machine
    }

    /// Starts the container and waits for its systemd.
    fn switch_on(&mut self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("supervisor-test-{}-{count}", std::process::id());
        let cgroups = make_cgroups(&name);
        let root = self.disk.path.join("root");
        let notified = self.disk.path.join("notify");
        let socket = NotifySocket::bind(&notified);
        let mut command = Command::new("setpriv");
        // Should the test be killed, the machine is told to shut down.
        command.args([
            "--pdeathsig",
            "TERM",
            "unshare",
            "--mount",
            "--",
            "sh",
            "-euc",
            ENTER,
            "sh",
        ]);
        command.arg(&root).arg(self.disk.options()).arg(cgroups.len().to_string());
        command.args(&cgroups);
        command.args(["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"]);
        command.args(["--console=pipe", "--private-network", "--notify-ready=yes"]);
        command.arg(format!("--machine={name}"));
        command.arg(format!("--directory={}", root.display()));
        command.arg(format!("--bind-ro={}:{DEB}", self.deb.display()));
        // Without it an older systemd boots with the legacy hierarchy if the host has both.
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        command.env("NOTIFY_SOCKET", socket.path());
        let nspawn = Running::spawn(command.stdin(Stdio::null()));
        self.power = Some(Power { nspawn, leader: 0, cgroups, name });
        let leader = self.wait_booted(&socket);
        self.power.as_mut().expect("it was just switched on").leader = leader;
        // READY=1 says that the boot transaction is done; what it queued may still run.
        let state = self.enter(&["systemctl", "is-system-running", "--wait"]);
        if state.stdout.trim() != "running" {
            let failed = self.enter(&["systemctl", "--failed", "--no-legend", "--plain"]);
            eprintln!("the machine is {}: {}", state.stdout.trim(), failed.stdout);
        }
    }

    /// Waits until systemd in the container says that it is up; the leader's pid.
    fn wait_booted(&mut self, socket: &NotifySocket) -> u32 {
        let end = Instant::now() + PATIENCE;
        let mut leader = None;
        loop {
            for line in socket.receive(Duration::from_millis(200)).unwrap_or_default().lines() {
                if let Some(pid) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
                    leader = pid.parse().ok();
                }
                if let ("READY=1", Some(leader)) = (line, leader) {
                    return leader;
                }
            }
            let power = self.power.as_mut().expect("it was just switched on");
            let ended = power.nspawn.wait(Duration::ZERO).is_some();
            assert!(
                !ended && Instant::now() < end,
                "the machine did not boot:\n{}{}",
                power.nspawn.stdout.text(),
                power.nspawn.stderr.text()
            );
        }
    }

    fn power(&self) -> &Power {
        self.power.as_ref().expect("the machine is on")
    }

    /// Runs a program directly in the machine's namespaces, outside its units: for what must
    /// work when its systemd does not.
    fn enter(&self, argv: &[&str]) -> Output {
        let leader = self.power().leader;
        Running::spawn(nsenter(leader).args(argv).stdin(Stdio::null())).finish(LIMIT)
    }

    /// The command that runs a shell script in the machine, as a service of its systemd with
    /// the environment that a login would give.
    fn command(&self, user: &str, script: &str) -> Command {
        let mut command = nsenter(self.power().leader);
        command.args(["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]);
        command.args(["--service-type=exec", "--setenv=LANG=C.UTF-8"]);
        command.arg("--setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("--setenv=DEBIAN_FRONTEND=noninteractive");
        command.arg(format!("--property=RuntimeMaxSec={}", LIMIT.as_secs()));
        if user == "root" {
            command.arg("--setenv=HOME=/root");
        } else {
            command.arg(format!("--uid={user}"));
        }
        // systemd replaces variables in arguments; a doubled dollar is a plain one.
        command.args(["--", "bash", "-c", &script.replace('$', "$$")]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a shell script as somebody; whatever comes of it.
    pub fn run_as(&self, user: &str, script: &str) -> Output {
        let started = Instant::now();
        let output = Running::spawn(&mut self.command(user, script)).finish(LIMIT + PATIENCE);
        assert!(started.elapsed() < LIMIT, "took longer than {LIMIT:?}: {}", told(script, &output));
        output
    }

    /// Runs a shell script as root; whatever comes of it.
    pub fn run(&self, script: &str) -> Output {
        self.run_as("root", script)
    }

    /// What a script writes to standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.code == 0, "{}", told(script, &output));
        output.stdout.trim_end().to_owned()
    }

    /// What a script that has to fail leaves behind.
    ///
    /// # Panics
    /// When it succeeds.
    pub fn fails(&self, script: &str) -> Output {
        let output = self.run(script);
        assert!(output.code != 0, "this should have failed: {}", told(script, &output));
        output
    }

    /// Starts a shell script beside the test, as root; its output as it comes.
    pub fn start(&self, script: &str) -> Running {
        Running::spawn(&mut self.command("root", script))
    }

    /// Waits until a script succeeds, asking again and again within the machine; what it wrote
    /// then. For what nothing tells about.
    ///
    /// # Panics
    /// When it never does.
    pub fn until(&self, script: &str) -> String {
        let seconds = PATIENCE.as_secs();
        self.ok(&format!(
            "end=$((SECONDS + {seconds})); until out=$({{ {script}\n}} 2>&1); do \
             [ $SECONDS -lt $end ] || {{ echo \"$out\" >&2; exit 1; }}; sleep 0.1; done; \
             printf '%s\\n' \"$out\""
        ))
    }

    /// Waits until a line of the journal has this (a pattern of grep). `since` is an argument of
    /// journalctl, like `-u supervisor`.
    ///
    /// # Panics
    /// When it never comes.
    pub fn journal_has(&self, matches: &str, pattern: &str) {
        let seconds = PATIENCE.as_secs();
        let output = self.run(&format!(
            "grep -q -m1 -e '{pattern}' \
             < <(exec timeout {seconds} journalctl -q -f -n all -o cat {matches})"
        ));
        assert!(
            output.code == 0,
            "{pattern:?} never came to the journal, which has:\n{}",
            self.run(&format!("journalctl -q -o cat {matches}")).stdout
        );
    }

    /// A path in the machine, for the host.
    fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.power().leader))
    }

    /// Writes a file in the machine, making the directories above it.
    pub fn write(&self, path: &str, contents: &str) {
        let outside = self.outside(path);
        fs::create_dir_all(outside.parent().expect("a file in a directory")).expect("directories");
        fs::write(&outside, contents).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// A file's text.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.outside(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Whether there is a file.
    pub fn exists(&self, path: &str) -> bool {
        self.outside(path).symlink_metadata().is_ok()
    }

    /// Shuts down as `systemctl poweroff` does, and boots again from the same disk.
    pub fn reboot(&mut self) {
        self.shut_down();
        self.switch_on();
    }

    /// Shuts down as `systemctl poweroff` does.
    pub fn shut_down(&mut self) {
        let _ = self.enter(&["systemctl", "--no-block", "poweroff"]);
        let mut power = self.power.take().expect("the machine is on");
        let ended = power.nspawn.wait(LIMIT).is_some();
        let console = power.nspawn.stdout.text();
        power.clean_up();
        assert!(ended, "the machine did not shut down:\n{console}");
    }

    /// Shuts down and gives what was written as a layer: moves it to `dir`.
    pub fn keep(mut self, dir: &Path) {
        self.shut_down();
        fs::rename(self.disk.path.join("upper"), dir).expect("the cache is one filesystem");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let Some(power) = &self.power else { return };
        if std::thread::panicking() && power.leader != 0 {
            let journal = self.enter(&["journalctl", "-q", "-n", "60", "--no-pager"]);
            eprintln!("the end of the machine's journal:\n{}", journal.stdout);
        }
        if power.leader != 0 {
            // Nothing of this disk is wanted any more: no unit needs to be stopped in order.
            let _ = self.enter(&["systemctl", "poweroff", "--force", "--force"]);
        }
        if let Some(mut power) = self.power.take() {
            power.clean_up();
        }
    }
}

impl Power {
    /// Ends what still runs, and removes what the host has of it.
    fn clean_up(&mut self) {
        // TERM makes nspawn shut the machine down; a killed nspawn would leave it running.
        if self.nspawn.wait(Duration::from_secs(5)).is_none() {
            self.nspawn.signal(Signal::SIGTERM);
            if self.nspawn.wait(PATIENCE).is_none() {
                for cgroup in &self.cgroups {
                    let _ = fs::write(cgroup.join("cgroup.kill"), "1");
                }
                let _ = self.nspawn.wait(PATIENCE);
            }
        }
        for cgroup in &self.cgroups {
            remove_cgroups(cgroup);
        }
        let _ = fs::remove_dir(Path::new("/run/systemd/nspawn/propagate").join(&self.name));
    }
}

/// Runs a shell script in a root filesystem that no systemd runs in, with the .deb at [`DEB`].
pub fn chroot(layer: Layer, deb: &Path, script: &str) -> Output {
    rootfs::require();
    let disk = Disk::new(layer);
    let root = disk.path.join("root");
    let deb_there = format!("{}{DEB}", root.display());
    let inside = r#"
        mkdir -p "${2%/*}"; cp "$1" "$2"; mount -t proc proc "$3/proc"
        mount --bind /dev "$3/dev"; exec chroot "$3" bash -c "$4"
    "#;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "unshare", "--mount", "--pid", "--fork", "--kill-child"]);
    command.args(["--", "sh", "-euc", ENTER, "sh"]);
    command.arg(&root).arg(disk.options()).arg("0");
    command.args(["sh", "-euc", inside, "sh"]);
    command.arg(deb).arg(deb_there).arg(&root).arg(script);
    Running::spawn(command.stdin(Stdio::null())).finish(LIMIT)
}

/// Enters all namespaces of a container.
fn nsenter(leader: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &leader.to_string()]);
    command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]);
    command
}

/// A cgroup of this name in each hierarchy that a container of systemd may use.
fn make_cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];
    let cgroups: Vec<PathBuf> = mounts
        .into_iter()
        .map(Path::new)
        .filter(|mount| mount.join("cgroup.procs").exists())
        .map(|mount| mount.join(name))
        .collect();
    assert!(!cgroups.is_empty(), "no cgroup2 is mounted below /sys/fs/cgroup");
    for cgroup in &cgroups {
        fs::create_dir(cgroup).unwrap_or_else(|error| panic!("{}: {error}", cgroup.display()));
    }
    cgroups
}

/// Removes a cgroup and all below it, innermost first.
fn remove_cgroups(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    match fs::remove_dir(cgroup) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            eprintln!("{}: {error}", cgroup.display());
        }
        _ => {}
    }
}

/// A command and what came of it, for a message.
fn told(script: &str, output: &Output) -> String {
    format!(
        "{script}\nexit status: {}\nstdout:\n{}\nstderr:\n{}",
        output.code, output.stdout, output.stderr
    )
}
