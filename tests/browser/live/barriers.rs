//! All pages in all sizes and colours: pictures, and what keeps people from using them.

use super::{PROGRAMS, live, overview};
use crate::site::Site;

#[tokio::test]
async fn there_are_no_barriers_and_nothing_sticks_out() {
    let busy = "[program:busy]\ncommand=/bin/sh -c 'echo ready; echo \"a line of which there is quite a lot to say, as logs are\"; exec sleep 1000'\nstartsecs=0\n";
    let gone = "[program:gone]\ncommand=/nothing/here\nstartretries=0\n";
    let site = Site::start(&format!("{PROGRAMS}{busy}{gone}"));
    site.daemon.expect_log("gave up: gone");
    let browser = overview(&site).await;
    browser
        .until(
            "document.querySelector('[data-name=busy] .lastline')?.textContent.includes('a line')",
        )
        .await;
    // Two looks at what they use, so that there is CPU.
    browser.until("/%/.test(document.querySelector('[data-name=busy] .cpu').textContent)").await;
    browser.pictures("overview").await;
    browser.expect_no_barriers("overview").await;
    browser.click("[data-name='b:x0'] input[type=checkbox]").await;
    browser.pictures("overview-selected").await;
    browser.expect_no_barriers("overview-selected").await;
    for (name, path) in
        [("process", "/process/busy/busy"), ("fatal", "/process/gone/gone"), ("daemon", "/daemon")]
    {
        browser.size(1280, 900, "light").await;
        browser.open(&site.url(path)).await;
        live(&browser).await;
        browser.pictures(name).await;
        browser.expect_no_barriers(name).await;
    }
    assert_eq!(browser.complaints().await, [""; 0]);
}
