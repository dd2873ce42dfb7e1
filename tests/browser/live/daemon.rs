//! The page of the daemon.

use super::{answer, live};
use crate::browser::Browser;
use crate::site::{Site, sleeper};
use crate::support::PATIENCE;

#[tokio::test]
async fn a_changed_configuration_is_shown_before_it_is_applied() {
    let mut site =
        Site::start(&format!("{}environment=KEY=\"secret\"\n{}", sleeper("web"), sleeper("old")));
    let browser = Browser::start().await;
    browser.open(&site.url("/daemon")).await;
    live(&browser).await;
    site.rewrite(&format!(
        "{}startretries=9\nenvironment=KEY=\"other\"\n{}",
        sleeper("web"),
        sleeper("new")
    ));
    browser.click("#reread").await;
    browser.until("document.querySelector('#preview .change.removed')").await;
    let told = browser.text("#preview").await;
    for part in
        ["new", "old", "- startretries = 3", "+ startretries = 9", "environment KEY = (hidden)"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("secret") && !told.contains("other"), "{told}");
    assert!(site.daemon.ctl(&["status", "old"]).stdout.contains("RUNNING"), "nothing was done");
    browser.click("form[data-ask=update] button").await;
    browser
        .until("document.querySelector('#preview').textContent.includes('Nothing would change')")
        .await;
    let status = site.daemon.ctl(&["status"]).stdout;
    assert!(status.contains("new ") && !status.contains("old "), "{status}");
}

#[tokio::test]
async fn reload_and_shutdown_are_asked_twice() {
    let mut site = Site::start(&sleeper("web"));
    let browser = Browser::start().await;
    browser.open(&site.url("/daemon")).await;
    live(&browser).await;
    // No, and yes and no.
    browser.click("form[data-ask=shutdown] button").await;
    answer(&browser, "no").await;
    browser.click("form[data-ask=shutdown] button").await;
    answer(&browser, "yes").await;
    let yes = browser.find("dialog button[value=yes]:disabled").await;
    browser.click("#word").await;
    browser.keys("reload").await;
    assert!(!yes.is_enabled().await.expect("a button"), "that is another word");
    answer(&browser, "no").await;
    browser.until("!document.querySelector('dialog')").await;
    assert!(site.daemon.ctl(&["status", "web"]).stdout.contains("RUNNING"), "nothing was done");
    for action in ["reload", "shutdown"] {
        let pid = site.daemon.pid_of("web");
        browser.click(&format!("form[data-ask={action}] button")).await;
        answer(&browser, "yes").await;
        browser.click("#word").await;
        browser.keys(action).await;
        browser.click("dialog button[value=yes]:enabled").await;
        if action == "reload" {
            site.daemon.expect_log_times("entered RUNNING", 2);
            live(&browser).await;
            assert_ne!(site.daemon.pid_of("web"), pid);
        }
    }
    assert!(site.daemon.process.wait(PATIENCE).is_some(), "it has ended");
    browser.until("document.querySelector('#link').dataset.link == 'off'").await;
}
