//! Logging in by a link, and being logged out.

use crate::browser::Browser;
use crate::live::{live, press, shown, told};
use crate::site::{Site, sleeper};

/// Logs in by a new link, to the live overview.
async fn log_in(site: &Site, browser: &Browser) {
    browser.open(&site.link()).await;
    browser.click("button").await;
    live(browser).await;
}

#[tokio::test]
async fn a_link_opens_the_page_once() {
    let site = Site::with_login(&sleeper("web"));
    let browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    assert!(browser.text("main").await.contains("sudo supervisorctl web"));
    browser.pictures("front").await;
    browser.expect_no_barriers("front").await;
    let link = site.link();
    browser.open(&link).await;
    browser.pictures("login").await;
    browser.expect_no_barriers("login").await;
    browser.click("button").await;
    live(&browser).await;
    // Everything is there and works.
    browser.size(1280, 900, "light").await;
    press(&browser, "web", "stop").await;
    shown(&browser, "web", "stopped").await;
    browser.open(&site.url("/process/web/web")).await;
    live(&browser).await;
    browser.click("#acts [data-action=start]").await;
    browser.until("document.querySelector('#state').textContent == 'running'").await;
    // For nobody else, and not again.
    browser.open(&link).await;
    browser.click("button").await;
    browser.until("document.querySelector('main').textContent.includes('was used already')").await;
    browser.pictures("login-used").await;
    browser.expect_no_barriers("login-used").await;
}

#[tokio::test]
async fn who_is_logged_out_elsewhere_is_told() {
    let site = Site::with_login(&sleeper("web"));
    let browser = Browser::start().await;
    log_in(&site, &browser).await;
    // In another tab; this one is told at once.
    let log_out = "
        const form = document.querySelector('#logout');
        fetch(form.action, {method: 'POST', body: new URLSearchParams(new FormData(form))});";
    browser.eval(log_out, vec![]).await;
    browser.until("document.querySelector('#link').dataset.link == 'out'").await;
    browser
        .until("document.querySelector('main [role=alert]').textContent.includes('not logged in')")
        .await;
    browser.pictures("logged-out").await;
    browser.expect_no_barriers("logged-out").await;
    browser.size(1280, 900, "light").await;
    press(&browser, "web", "stop").await;
    told(&browser, "you are not logged in any more").await;
    assert!(site.daemon.ctl(&["status", "web"]).stdout.contains("RUNNING"), "nothing was done");
    // The way back in.
    browser.click("main [role=alert] a").await;
    browser.until("document.querySelector('main').textContent.includes('supervisorctl web')").await;
    log_in(&site, &browser).await;
    browser.click("#logout button").await;
    browser.until("document.querySelector('main').textContent.includes('supervisorctl web')").await;
}
