//! `tail -f`.

use super::*;

/// Reads until that much has come.
async fn read_on(follower: &mut Follower, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes {
        all.extend(follower.next().await.unwrap().expect("the plane runs"));
    }
    all
}

#[test]
fn a_follower_begins_near_the_end_and_sees_what_is_appended() {
    // C-433
    let bench = Bench::new();
    fs::write(bench.path("a.log"), "0123456789").unwrap();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    bench.runtime.block_on(async {
        let path = bench.path("a.log");
        let mut follower = Follower::open(&bench.handle, path.clone(), 3).await.unwrap();
        assert_eq!(read_on(&mut follower, 3).await, b"789");
        child.write_all(b"abc").unwrap();
        assert_eq!(read_on(&mut follower, 3).await, b"abc");
        let mut whole = Follower::open(&bench.handle, path, 9_999).await.unwrap();
        assert_eq!(read_on(&mut whole, 13).await, b"0123456789abc");
        let missing = Follower::open(&bench.handle, bench.path("missing"), 3).await;
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_follower_misses_nothing_over_many_rotations() {
    // C-433
    let bench = Bench::new();
    let plan = ChannelPlan { maxbytes: 1_000, backups: 200, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    bench.runtime.block_on(async {
        let path = bench.path("a.log");
        let mut follower = Follower::open(&bench.handle, path, 0).await.unwrap();
        let mut expected = Vec::new();
        let mut seen = Vec::new();
        for n in 0..50_u32 {
            let piece = format!("{n:05}").repeat(n as usize * 37 % 1_500);
            expected.extend(piece.bytes());
            child.write_all(piece.as_bytes()).unwrap();
            if n % 5 == 0 {
                // It lags behind, then catches up.
                seen.extend(read_on(&mut follower, expected.len() - seen.len()).await);
            }
        }
        seen.extend(read_on(&mut follower, expected.len() - seen.len()).await);
        assert_eq!(seen, expected);
    });
}

#[test]
fn a_follower_is_told_of_truncation() {
    // C-433
    let bench = Bench::new();
    let plan = bench.plan("a.log");
    let mut child = bench.child(key(1), &plan);
    bench.runtime.block_on(async {
        let path = bench.path("a.log");
        let mut follower = Follower::open(&bench.handle, path.clone(), 0).await.unwrap();
        child.write_all(b"old").unwrap();
        assert_eq!(read_on(&mut follower, 3).await, b"old");
        bench.handle.clear(key(1), Some(path)).await.unwrap();
        assert_eq!(read_on(&mut follower, TRUNCATED.len()).await, TRUNCATED);
        child.write_all(b"newer").unwrap();
        assert_eq!(read_on(&mut follower, 5).await, b"newer");
    });
}

#[test]
fn a_follower_of_a_stopped_process_sees_its_next_run() {
    let bench = Bench::new();
    let plan = bench.plan("a.log");
    fs::write(bench.path("a.log"), "").unwrap();
    bench.runtime.block_on(async {
        let path = bench.path("a.log");
        let mut follower = Follower::open(&bench.handle, path.clone(), 0).await.unwrap();
        let mut child = bench.child(key(1), &plan);
        child.write_all(b"first").unwrap();
        assert_eq!(read_on(&mut follower, 5).await, b"first");
        drop(child);
        bench.handle.ended(key(1), 1);
        bench.handle.sync(None).await.unwrap();
        // Somebody removes it while nobody has it open.
        fs::remove_file(&path).unwrap();
        let mut child = bench.child(key(1), &plan);
        child.write_all(b"second").unwrap();
        assert_eq!(read_on(&mut follower, 6).await, b"second");
    });
}

#[test]
fn a_follower_that_is_cancelled_goes_on_where_it_was() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    bench.runtime.block_on(async {
        let path = bench.path("a.log");
        let mut follower = Follower::open(&bench.handle, path, 0).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..20 {
            child.write_all(b"x").unwrap();
            // Look once and give up.
            let once = std::future::poll_fn(|cx| {
                let next = std::pin::pin!(follower.next());
                std::task::Poll::Ready(match next.poll(cx) {
                    std::task::Poll::Ready(bytes) => bytes.unwrap(),
                    std::task::Poll::Pending => None,
                })
            });
            seen.extend(once.await.unwrap_or_default());
        }
        child.write_all(b"end").unwrap();
        seen.extend(read_on(&mut follower, 23 - seen.len()).await);
        assert_eq!(seen, b"xxxxxxxxxxxxxxxxxxxxend");
    });
}

#[test]
fn a_follower_ends_when_the_plane_stops_after_everything_was_read() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    let path = bench.path("a.log");
    let Bench { dir: _dir, plane, handle, runtime, .. } = bench;
    runtime.block_on(async {
        let mut follower = Follower::open(&handle, path, 0).await.unwrap();
        child.write_all(b"last").unwrap();
        assert!(plane.stop(Duration::from_secs(30)));
        assert_eq!(follower.next().await.unwrap().unwrap(), b"last");
        assert_eq!(follower.next().await.unwrap(), None);
    });
}
