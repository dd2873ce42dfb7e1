//! The overview: every process as it is now.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{PROGRAMS, ROWS, overview, press, shown};
use crate::site::{Site, sleeper};

#[tokio::test]
async fn a_crash_is_on_the_screen_in_less_than_200_ms() {
    const CRASHES: usize = 5;
    let all: String =
        (0..CRASHES).map(|n| sleeper(&format!("crash{n}")) + "autorestart=false\n").collect();
    let site = Site::start(&all);
    let browser = overview(&site).await;
    let watch = "
        window.seen = {};
        new MutationObserver(changes => {
            for (const {target} of changes) if (target.dataset.state == 'exited')
                window.seen[target.dataset.name] ??= performance.timeOrigin + performance.now();
        }).observe(document.body, {subtree: true, attributeFilter: ['data-state']});";
    browser.eval(watch, vec![]).await;
    let mut took = Vec::new();
    for n in 0..CRASHES {
        let name = format!("crash{n}");
        let pid = Pid::from_raw(site.daemon.pid_of(&name).cast_signed());
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
        kill(pid, Signal::SIGSEGV).expect("it lives");
        let seen = browser.until(&format!("window.seen['{name}']")).await;
        took.push(seen.as_f64().expect("a time") - before * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    eprintln!("a crash is on the screen after {took:.0?} ms");
    assert!(took[CRASHES / 2] < 200.0, "{took:?}");
    let row = browser.text("[data-name=crash0]").await;
    assert!(row.contains("SIGSEGV"), "why is told, too: {row}");
}

#[tokio::test]
async fn rows_are_filtered_sorted_and_folded() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    let rows = |names: &str| format!("{ROWS} == '{names}'");
    let filter = browser.find("#filter").await;
    filter.send_keys("stopped").await.expect("it takes text");
    browser.until(&rows("down,sour")).await;
    press(&browser, "down", "start").await;
    shown(&browser, "down", "running").await;
    // Nothing moves under the pointer; when it goes, what does not fit any more goes, too.
    browser.look_away().await;
    browser.until(&rows("sour")).await;
    filter.clear().await.expect("it is emptied");
    filter.send_keys("b:").await.expect("it takes text");
    browser.until(&rows("b:x0,b:x1")).await;
    browser.click("tr[data-groupname=b] button.fold").await;
    browser.until(&rows("")).await;
    let fold = browser.find("tr[data-groupname=b] button.fold").await;
    let open = fold.attr("aria-expanded").await.expect("an element");
    assert_eq!(open.as_deref(), Some("false"));
    fold.click().await.expect("a button");
    browser.until(&rows("b:x0,b:x1")).await;
    // Escape empties the filter.
    filter.send_keys("\u{e00c}").await.expect("it takes keys");
    // Everything that is down, in the order of names; then what fails stands first.
    browser.click("#counts [data-kind=down]").await;
    browser.until(&rows("sour")).await;
    browser.click("#counts [data-kind=all]").await;
    press(&browser, "sour", "start").await;
    shown(&browser, "sour", "fatal").await;
    browser.look_away().await;
    browser.until(&format!("{ROWS}.startsWith('sour,')")).await;
    let order = browser.find("#sort").await;
    order.select_by_label("By name").await.expect("an order");
    browser.until(&format!("{ROWS}.endsWith('down,sour,web')")).await;
    order.select_by_label("By memory").await.expect("an order");
    browser.until("document.querySelectorAll('tr.group').length == 0").await;
    let title = browser.tab.title().await.expect("a title");
    assert_eq!(title, "(1) Supervisor Status", "no name is markup, and trouble is told");
}

#[tokio::test]
async fn nothing_jumps_when_the_page_becomes_live() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    // A second page has the measures of the first few seconds at once.
    browser.until("document.querySelector('[data-name=web] .cpu .line').getAttribute('d')").await;
    browser.open(&site.url("/")).await;
    super::live(&browser).await;
    let drawn = "document.querySelector('[data-name=web] .mem .line').getAttribute('d').split('L').length > 2";
    browser.until(drawn).await;
    let shift = "
        const done = arguments[0];
        new PerformanceObserver((list, self) => {
            self.disconnect();
            done(list.getEntries().filter(one => !one.hadRecentInput).reduce((sum, one) => sum + one.value, 0));
        }).observe({type: 'layout-shift', buffered: true});
        // Nothing shifted at all: then nobody calls.
        requestAnimationFrame(() => requestAnimationFrame(() => done(0)));";
    let shift = browser.tab.execute_async(shift, vec![]).await.expect("it is measured");
    let shift = shift.as_f64().expect("a number");
    assert!(shift < 0.02, "the layout shifted by {shift}");
}

#[tokio::test]
async fn a_thousand_processes_scroll_without_stops() {
    let site = Site::start(
        "[program:many]\ncommand=/bin/sleep 1000\nnumprocs=1000\nprocess_name=n%(process_num)04d\nautostart=false\n",
    );
    let browser = overview(&site).await;
    browser.until("document.querySelectorAll('#processes [data-name]').length == 1000").await;
    // Scrolls from the top to the end, half of a window in a frame, and gives what the frames took.
    let scroll = "
        const done = arguments[0];
        let last = performance.now();
        const took = [];
        const step = now => {
            took.push(now - last); last = now;
            const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
            if (end) return done(took.sort((a, b) => a - b));
            scrollBy({top: innerHeight / 2, behavior: 'instant'});
            requestAnimationFrame(step);
        };
        requestAnimationFrame(step);";
    let took = browser.tab.execute_async(scroll, vec![]).await.expect("the end is reached");
    let took: Vec<f64> = serde_json::from_value(took).expect("times");
    let (most, longest) = (took[took.len() * 95 / 100], took[took.len() - 1]);
    eprintln!(
        "{} frames: 95 of 100 took {most:.0} ms at most, the longest {longest:.0} ms",
        took.len()
    );
    assert!(took.len() > 50 && most < 250.0, "{took:.0?}");
    let last = "document.querySelector('[data-name=\"many:n0999\"]').getBoundingClientRect().top < innerHeight";
    assert_eq!(browser.eval(&format!("return {last}"), vec![]).await, true);
}
