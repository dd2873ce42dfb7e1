//! Logs as they grow.

use std::fmt::Write as _;

use serde_json::json;

use super::live;
use crate::browser::Browser;
use crate::site::Site;
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

#[tokio::test]
async fn a_log_is_followed_with_its_colours_and_without_its_markup() {
    let line = "\\033[31mred\\033[0m <script>document.title=1</script><img src=x onerror=document.title=1>";
    let scratch = Scratch::new();
    let script = scratch.script("talk", &format!("#!/bin/sh\nprintf '{line}\\n'\nexec cat\n"));
    let site = Site::start(&format!("[program:talk]\ncommand={}\nstartsecs=0\n", script.display()));
    let browser = Browser::start().await;
    browser.open(&site.url("/process/talk/talk")).await;
    browser.until("document.querySelector('#logs .log span.f1')?.textContent == 'red'").await;
    let first = browser.text("#logs .log div").await;
    assert_eq!(first, "red <script>document.title=1</script><img src=x onerror=document.title=1>");
    // What is written to its stdin comes back as its output.
    browser
        .find("#stdin input[name=text]")
        .await
        .send_keys("echo <b>this</b>")
        .await
        .expect("text");
    browser.click("#stdin button").await;
    browser
        .until("document.querySelector('#logs .log').textContent.includes('echo <b>this</b>')")
        .await;
    assert_eq!(
        browser
            .eval(
                "return document.querySelectorAll('#logs .log :is(b, img, script)').length",
                vec![]
            )
            .await,
        0
    );
    let title = browser.tab.title().await.expect("a title");
    assert!(title.starts_with("talk"), "{title}");
    assert_eq!(browser.complaints().await, [""; 0], "nothing had to be refused");
}

#[tokio::test]
async fn a_log_is_paused_searched_wrapped_and_downloaded() {
    let scratch = Scratch::new();
    let script = "#!/bin/sh\nseq 1 300\nexec cat\n";
    let script = scratch.script("count", script);
    let site = Site::start(&format!("[program:n]\ncommand={}\nstartsecs=0\n", script.display()));
    let browser = Browser::start().await;
    browser.open(&site.url("/process/n/n")).await;
    live(&browser).await;
    let log = "document.querySelector('#logs .log')";
    let button = |label: &str| {
        format!(
            "[...document.querySelectorAll('#logs button')].find(b => b.textContent == '{label}')"
        )
    };
    browser.until(&format!("{log}.childElementCount == 300")).await;
    let at_end = format!("{log}.scrollHeight - {log}.scrollTop - {log}.clientHeight < 24");
    browser.until(&at_end).await;
    // It stays where it is while it is paused, and comes after what was missed.
    browser.eval(&format!("{}.click()", button("Pause")), vec![]).await;
    browser.click("#stdin input[name=text]").await;
    let mut all: String = (1..=300).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{n}");
        text
    });
    all += "while paused\n";
    browser.keys("while paused\u{e007}").await;
    expect_in_file(&site.log_of("n"), &all);
    assert_eq!(browser.eval(&format!("return {log}.childElementCount"), vec![]).await, 300);
    browser.eval(&format!("{}.click()", button("Resume")), vec![]).await;
    browser.until(&format!("{log}.lastElementChild.textContent == 'while paused'")).await;
    browser.until(&at_end).await;
    // Every line with a 29 in it: 29, 129, 229, and 290 to 299.
    browser.click("#logs .logtools input").await;
    browser.keys("29").await;
    browser.until("document.querySelectorAll('#logs .log .hit').length == 13").await;
    browser.keys("\u{e007}").await;
    browser.until("document.querySelector('#logs .log .hit.now').textContent == '29'").await;
    browser
        .until("document.querySelector('#logs .logtools').textContent.includes('1 of 13')")
        .await;
    browser.eval(&format!("{}.click()", button("Wrap")), vec![]).await;
    browser.until(&format!("getComputedStyle({log}).whiteSpace == 'pre'")).await;
    let there = scratch.join("downloads");
    std::fs::create_dir(&there).expect("a directory");
    let allow = json!({ "behavior": "allow", "downloadPath": there });
    browser.devtools("Browser.setDownloadBehavior", allow).await;
    browser.click("#logs a[download]").await;
    expect_in_file(&there.join("n-stdout.log"), &all);
    assert_eq!(browser.complaints().await, [""; 0]);
}
