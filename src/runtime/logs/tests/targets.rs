//! Logs that are no regular files.

use super::*;

#[test]
fn a_fifo_is_written_with_rotation_left_on() {
    // C-376, C-432, upstream issue 1224
    let bench = Bench::new();
    let path = bench.path("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut reader = open_log(&path, false)
        .and_then(|_| OpenOptions::new().read(true).write(true).open(&path))
        .unwrap();
    let plan = ChannelPlan { maxbytes: 10, backups: 2, ..bench.plan("fifo") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"more than ten bytes").unwrap();
    bench.sync();
    let mut buffer = [0; 100];
    let n = reader.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"more than ten bytes");
    assert!(!bench.path("fifo.1").exists());
}

#[test]
fn a_slow_reader_slows_its_writer_only_and_nothing_is_lost() {
    // C-375, C-377
    let bench = Bench::new();
    let path = bench.path("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut slow = bench.child(key(1), &bench.plan("fifo"));
    let mut quick = bench.child(key(2), &bench.plan("a.log"));
    let total = 3_000_000;
    let writer = thread::spawn(move || {
        let data: Vec<u8> = (0..total).map(|n| u8::try_from(n % 251).unwrap()).collect();
        slow.write_all(&data).unwrap();
        data
    });
    quick.write_all(b"not held up").unwrap();
    bench.runtime.block_on(bench.handle.sync(Some(key(2)))).unwrap();
    assert_eq!(bench.text("a.log"), "not held up");
    let mut seen = vec![0; total];
    reader.read_exact(&mut seen).unwrap();
    assert!(seen == writer.join().unwrap());
}

#[test]
fn a_regular_file_behind_a_device_name_is_not_rotated_or_cleared() {
    // C-377
    let bench = Bench::new();
    let target = File::create(bench.path("out.txt")).unwrap();
    let name = format!("/proc/self/fd/{}", AsRawFd::as_raw_fd(&target));
    let plan = ChannelPlan { maxbytes: 4, backups: 1, ..plan(Path::new(&name)) };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"more than four").unwrap();
    bench.sync();
    assert_eq!(bench.text("out.txt"), "more than four");
    bench.runtime.block_on(bench.handle.clear(key(1), plan.file.clone())).unwrap();
    assert_eq!(bench.text("out.txt"), "more than four");
}

#[test]
fn negative_sizes_never_rotate() {
    // C-432
    let bench = Bench::new();
    let plan = ChannelPlan { maxbytes: -1, backups: -1, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"text").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log"), "text");
}
