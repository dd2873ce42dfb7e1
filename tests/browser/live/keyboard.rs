//! Everything without a mouse.

use super::{PROGRAMS, ROWS, overview, shown};
use crate::browser::Browser;
use crate::site::Site;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";

/// Goes on from one thing to the next until the focus is where this holds.
async fn tab_to(browser: &Browser, place: &str) {
    for _ in 0..40 {
        browser.keys(TAB).await;
        if browser.eval(&format!("return document.activeElement.matches({place:?})"), vec![]).await
            == true
        {
            return;
        }
    }
    panic!("the focus never comes to {place}");
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard() {
    let site = Site::start(PROGRAMS);
    let browser = overview(&site).await;
    browser.keys("/").await;
    browser.keys("web").await;
    browser.until(&format!("{ROWS} == 'web'")).await;
    tab_to(&browser, "[data-action=stop]").await;
    browser.keys(ENTER).await;
    shown(&browser, "web", "stopped").await;
    // The focus is where the button was, on what can be done now.
    browser.until("document.activeElement.matches('[data-name=web] [data-action=start]')").await;
    browser.keys(ENTER).await;
    shown(&browser, "web", "running").await;
    browser.until("document.activeElement.matches('[data-name=web] .acts button')").await;
    // The menu, by arrows; and back to its button.
    tab_to(&browser, "[data-name=web] button.more").await;
    browser.keys(ENTER).await;
    browser.until("document.activeElement.matches('#menu a')").await;
    browser.keys(DOWN).await;
    browser.until("document.activeElement.textContent == 'Tail -f Stdout'").await;
    browser.keys(ESCAPE).await;
    browser.until("document.activeElement.matches('[data-name=web] button.more')").await;
    // A question is answered, and the focus comes back.
    browser.eval("document.querySelector('[data-all=stop]').focus()", vec![]).await;
    browser.keys(ENTER).await;
    browser.until("document.querySelector('dialog')?.contains(document.activeElement)").await;
    browser.keys(ESCAPE).await;
    browser.until("document.activeElement.matches('[data-all=stop]')").await;
    // From row to row, and into a selection.
    browser.eval("document.activeElement.blur()", vec![]).await;
    browser.keys("j").await;
    browser.keys("x").await;
    browser.until("document.querySelector('#selection b').textContent == '1 selected'").await;
    browser.keys(ESCAPE).await;
    browser.until("document.querySelector('#selection').hidden").await;
    browser.keys(ENTER).await;
    browser.until("document.body.dataset.page == 'process'").await;
    assert!(site.daemon.ctl(&["status", "web"]).stdout.contains("RUNNING"));
}
