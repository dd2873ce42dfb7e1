//! The connection of the page with the daemon.

use super::{live, overview, shown};
use crate::site::{Site, sleeper};

#[tokio::test]
async fn a_page_says_that_it_is_offline_and_comes_back() {
    let mut site = Site::start(&sleeper("web"));
    let browser = overview(&site).await;
    site.daemon.stop();
    browser.until("document.querySelector('#link').dataset.link == 'off'").await;
    assert!(browser.text("#link").await.contains("offline"));
    let site = site.begin_again();
    live(&browser).await;
    let pid = site.daemon.pid_of("web");
    browser
        .until(&format!(
            "document.querySelector('[data-name=web] .desc').textContent.includes('pid {pid}')"
        ))
        .await;
    shown(&browser, "web", "running").await;
    // It acts again, too, although the daemon is another one: its forms are not good any more.
    super::press(&browser, "web", "stop").await;
    super::told(&browser, "this page is out of date").await;
}
