//! Everything that can be done to processes from the overview.

use super::{PROGRAMS, answer, overview, press, shown, told};
use crate::site::Site;

#[tokio::test]
async fn every_action_is_a_button() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    press(&browser, "web", "stop").await;
    shown(&browser, "web", "stopped").await;
    told(&browser, "Stopping web").await;
    press(&browser, "web", "start").await;
    shown(&browser, "web", "running").await;
    let first = site.daemon.pid_of("web");
    press(&browser, "web", "restart").await;
    browser.until(&format!(
        "(text => /pid \\d+/.test(text) && !text.includes('pid {first},'))(document.querySelector('[data-name=web] .desc').textContent)"
    )).await;
    // What is rarer is in a menu.
    browser.click("[data-name=web] button.more").await;
    browser.click("#menu button").await;
    told(&browser, "Cleared the logs of web").await;
    let last = site.daemon.pid_of("web");
    browser.click("[data-name=web] button.more").await;
    browser.click("#menu button:last-child").await;
    answer(&browser, "yes").await;
    told(&browser, "Sent KILL to web").await;
    site.daemon.expect_log("exited: web (terminated by SIGKILL; not expected)");
    browser.until(&format!(
        "(text => /pid \\d+/.test(text) && !text.includes('pid {last},'))(document.querySelector('[data-name=web] .desc').textContent)"
    )).await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn a_group_and_all_processes_are_acted_on_at_once() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    // What stops several is asked first.
    browser.click("tr[data-groupname=b] [data-action=stop]").await;
    answer(&browser, "no").await;
    browser.click("tr[data-groupname=b] [data-action=stop]").await;
    answer(&browser, "yes").await;
    shown(&browser, "b:x0", "stopped").await;
    shown(&browser, "b:x1", "stopped").await;
    browser.click("[data-all=restart]").await;
    answer(&browser, "yes").await;
    for name in ["b:x1", "down", "web"] {
        shown(&browser, name, "running").await;
    }
    browser.click("[data-all=stop]").await;
    answer(&browser, "yes").await;
    shown(&browser, "web", "stopped").await;
    let stops = site.daemon.log().matches("stopped: x0 ").count();
    assert_eq!(stops, 2, "not when the answer was no");
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn what_fails_is_told() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    // Only the supervisor knows, and later than the answer.
    press(&browser, "sour", "start").await;
    told(&browser, "sour could not be started: Exited too quickly").await;
    shown(&browser, "sour", "fatal").await;
    // What the supervisor refuses.
    browser.click("[data-name=down] input[type=checkbox]").await;
    browser.click("#selection [data-action=signal]").await;
    told(&browser, "down: not running").await;
    // What does not even get there.
    browser.eval("document.querySelector('meta[name=csrf]').content = 'old'", vec![]).await;
    press(&browser, "web", "stop").await;
    told(&browser, "Nothing was done: this page is out of date").await;
    shown(&browser, "web", "running").await;
}

#[tokio::test]
async fn several_are_selected_and_acted_on() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    for name in ["b:x0", "b:x1"] {
        browser.click(&format!("[data-name='{name}'] input[type=checkbox]")).await;
    }
    assert!(browser.text("#selection").await.contains("2 selected"));
    browser.click("#selection [data-action=stop]").await;
    answer(&browser, "yes").await;
    shown(&browser, "b:x0", "stopped").await;
    shown(&browser, "b:x1", "stopped").await;
    shown(&browser, "web", "running").await;
    browser.click("#selection [data-action=start]").await;
    shown(&browser, "b:x0", "running").await;
    let signals = browser.find("#selection select").await;
    signals.select_by_label("KILL").await.expect("a signal to choose");
    browser.click("#selection [data-action=signal]").await;
    site.daemon.expect_log("exited: x0 (terminated by SIGKILL; not expected)");
}
