//! Rotation, and what others do to the files meanwhile.

use proptest::prelude::*;

use super::*;
use crate::core::rotate::numbered;

/// The oldest backup first, the file itself last.
fn all_files(path: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = (0..).map_while(|n| fs::read(numbered(path, n)).ok()).collect();
    files.reverse();
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_byte_is_kept_in_order_and_files_are_cut_exactly(
        maxbytes in prop_oneof![1_i64..50, 1_000_i64..70_000],
        lengths in proptest::collection::vec(prop_oneof![0_usize..40, 10_000_usize..60_000], 1..12),
        splits in proptest::collection::vec(any::<bool>(), 12),
    ) {
        // C-373, C-374
        let total: usize = lengths.iter().sum();
        let full = usize::try_from(maxbytes).unwrap();
        prop_assume!(total / full < 300);
        let bench = Bench::new();
        let plan = ChannelPlan { maxbytes, backups: i64::MAX, ..bench.plan("a.log") };
        let mut child = bench.child(key(1), &plan);
        let mut expected = Vec::new();
        for (length, split) in lengths.into_iter().zip(splits) {
            let piece: Vec<u8> = (expected.len()..expected.len() + length)
                .flat_map(|n| n.to_string().into_bytes()).take(length).collect();
            child.write_all(&piece).unwrap();
            expected.extend(piece);
            if split {
                bench.sync();
            }
        }
        drop(child);
        bench.handle.ended(key(1), 1);
        bench.sync();
        let files = all_files(plan.file.as_deref().unwrap());
        prop_assert_eq!(files.concat(), expected);
        let (current, backups) = files.split_last().unwrap();
        prop_assert!(backups.iter().all(|file| file.len() == full));
        prop_assert!(current.len() < full);
    }
}

#[test]
fn only_so_many_backups_are_kept_and_none_truncates() {
    // C-374
    let bench = Bench::new();
    for (backups, expected) in [(2, vec!["cc", "dd", ""]), (0, vec![""])] {
        let name = format!("{backups}.log");
        let plan = ChannelPlan { maxbytes: 2, backups, ..bench.plan(&name) };
        let mut child = bench.child(key(1), &plan);
        child.write_all(b"aabbccdd").unwrap();
        bench.sync();
        let files = all_files(&bench.path(&name));
        assert_eq!(files, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    }
}

#[test]
fn the_main_log_is_rotated_between_lines() {
    // C-154, C-373
    let bench = Bench::with(|main| (main.maxbytes, main.backups) = (100, 3), |_| {});
    for n in 0..7 {
        bench.handle.record(Record::new(Level::Info, format!("line number {n}")));
    }
    bench.sync();
    let files = all_files(&bench.path("main.log"));
    assert_eq!(files.len(), 4);
    let text = String::from_utf8(files.concat()).unwrap();
    assert!(files.iter().all(|file| file.len() <= 100 && file.ends_with(b"\n")));
    assert_eq!(text.lines().count(), 7);
}

#[test]
fn a_full_log_is_rotated_before_it_grows() {
    // C-373
    let bench = Bench::new();
    fs::write(bench.path("a.log"), "far too long already").unwrap();
    let plan = ChannelPlan { maxbytes: 10, backups: 1, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"new").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log"), "new");
    assert_eq!(bench.text("a.log.1"), "far too long already");
}

#[test]
fn two_programs_on_one_file_rotate_it_together() {
    // upstream issues 411, 900
    let bench = Bench::new();
    let one = ChannelPlan { maxbytes: 1_000, backups: 99, ..bench.plan("a.log") };
    std::os::unix::fs::symlink(bench.path("a.log"), bench.path("b.log")).unwrap();
    let two = ChannelPlan { file: Some(bench.path("b.log")), ..one.clone() };
    let (mut first, mut second) = (bench.child(key(1), &one), bench.child(key(2), &two));
    for n in 0..200 {
        first.write_all(format!("first {n:04}\n").as_bytes()).unwrap();
        second.write_all(format!("other {n:04}\n").as_bytes()).unwrap();
        if n % 7 == 0 {
            bench.sync();
        }
    }
    bench.sync();
    let files = all_files(&bench.path("a.log"));
    assert!(files[..files.len() - 1].iter().all(|file| file.len() == 1_000));
    let text = String::from_utf8(files.concat()).unwrap();
    for name in ["first", "other"] {
        let numbers: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(name)).collect();
        assert_eq!(numbers.len(), 200, "{name}");
        assert!(numbers.is_sorted());
    }
}

#[test]
fn the_main_log_may_share_its_file_with_a_program() {
    // upstream issues 411, 900
    let bench = Bench::with(|main| (main.maxbytes, main.backups) = (1_000, 50), |_| {});
    let mut child = bench.child(key(1), &bench.plan("main.log"));
    for n in 0..100 {
        child.write_all(format!("child {n}\n").as_bytes()).unwrap();
        bench.handle.record(Record::new(Level::Info, format!("daemon {n}")));
        bench.sync();
    }
    let files = all_files(&bench.path("main.log"));
    assert!(files.len() > 3 && files.iter().all(|file| file.len() <= 1_000));
    let text = String::from_utf8(files.concat()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("child ")).count(), 100);
    assert_eq!(text.lines().filter(|line| line.contains("INFO daemon ")).count(), 100);
}

#[test]
fn a_file_removed_by_hand_comes_back() {
    // upstream issues 1003, 1440, 402
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    child.write_all(b"lost").unwrap();
    bench.sync();
    fs::remove_file(bench.path("a.log")).unwrap();
    child.write_all(b"kept").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log"), "kept");
    assert_eq!(open_files_in(bench.dir.path()), 2);
}

#[test]
fn a_file_truncated_by_hand_has_no_hole() {
    // logrotate's copytruncate
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    // Large enough for the way without copies, which does not append by itself.
    let long = vec![b'x'; 60_000];
    for _ in 0..4 {
        child.write_all(&long).unwrap();
        bench.sync();
    }
    File::create(bench.path("a.log")).unwrap();
    child.write_all(&long).unwrap();
    bench.sync();
    assert_eq!(fs::read(bench.path("a.log")).unwrap(), long);
}

#[test]
fn what_others_append_is_kept() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    let long = vec![b'x'; 60_000];
    let mut other = OpenOptions::new().append(true).open(bench.path("a.log")).unwrap();
    for _ in 0..4 {
        child.write_all(&long).unwrap();
        bench.sync();
        other.write_all(b"-").unwrap();
    }
    let expected = [&long[..], b"-"].concat().repeat(4);
    assert_eq!(fs::read(bench.path("a.log")).unwrap(), expected);
}

#[test]
fn a_renamed_file_is_written_on_until_it_is_reopened() {
    // C-143, C-378
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    for (name, to) in [("a.log", "a.old"), ("main.log", "main.old")] {
        fs::rename(bench.path(name), bench.path(to)).unwrap();
    }
    child.write_all(b"before").unwrap();
    bench.handle.record(Record::new(Level::Info, "supervisord logreopen"));
    bench.sync();
    assert_eq!(bench.text("a.old"), "before");
    assert!(!bench.path("a.log").exists());
    bench.handle.reopen();
    bench.sync();
    child.write_all(b"after").unwrap();
    bench.handle.record(Record::new(Level::Info, "after"));
    assert_eq!(bench.main_log(), "INFO after\n");
    assert_eq!(bench.text("a.log"), "after");
    assert!(bench.text("main.old").ends_with("INFO supervisord logreopen\n"));
    for name in ["a.old", "main.old"] {
        fs::remove_file(bench.path(name)).unwrap();
    }
    assert_eq!(open_files_in(bench.dir.path()), 2);
}

#[test]
fn what_others_rotated_is_not_rotated_again() {
    let bench = Bench::new();
    let plan = ChannelPlan { maxbytes: 10, backups: 5, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"12345").unwrap();
    bench.sync();
    fs::rename(bench.path("a.log"), bench.path("a.log.mine")).unwrap();
    fs::write(bench.path("a.log"), "").unwrap();
    child.write_all(b"67890ab").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log.mine"), "1234567890");
    assert_eq!(bench.text("a.log"), "ab");
    assert!(!bench.path("a.log.1").exists());
}
