//! The page without scripts: links and forms, as the Python Supervisor had them.

use fantoccini::Locator;

use crate::browser::Browser;
use crate::site::{Site, sleeper};
use crate::support::PATIENCE;

const PROGRAMS: &str = "\
[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\n\
[program:down]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n\
[program:sour]\ncommand=/bin/false\nstartretries=0\nautostart=false\n\
[program:<script>document.title='owned']\ncommand=/bin/sleep 1000\nstartsecs=0\n\
[program:b]\ncommand=/bin/sleep 1000\nprocess_name=x%(process_num)d\nnumprocs=2\nstartsecs=0\n";

/// Waits until a process is shown in this state.
async fn shown(browser: &Browser, name: &str, state: &str) {
    browser.find(&format!("[data-name='{name}'][data-state={state}]")).await;
}

/// Presses a button in the row of a process.
async fn press(browser: &Browser, name: &str, action: &str) {
    browser.click(&format!("[data-name='{name}'] button[formaction$='action={action}']")).await;
}

/// Waits until the page says this, which may come with the next page.
async fn said(browser: &Browser, text: &str) {
    let message = format!("//*[@id='message' and starts-with(text(), '{text}')]");
    let found = browser.tab.wait().at_most(PATIENCE).for_element(Locator::XPath(&message)).await;
    found.unwrap_or_else(|error| panic!("{text}: {error}"));
}

#[tokio::test]
async fn every_action_is_a_form() {
    // C-329, C-330, C-331, C-332
    let site = Site::start(PROGRAMS);
    let browser = Browser::start().await;
    browser.scripts(false).await;
    browser.open(&site.url("/")).await;
    shown(&browser, "web", "running").await;
    let first = site.daemon.pid_of("web");
    press(&browser, "web", "restart").await;
    said(&browser, "Process web restarted").await;
    assert_ne!(site.daemon.pid_of("web"), first);
    press(&browser, "web", "stop").await;
    shown(&browser, "web", "stopped").await;
    said(&browser, "Process web stopped").await;
    press(&browser, "web", "start").await;
    shown(&browser, "web", "running").await;
    said(&browser, "Process web started").await;
    press(&browser, "web", "clearlog").await;
    said(&browser, "Log for web cleared").await;
    press(&browser, "sour", "start").await;
    shown(&browser, "sour", "fatal").await;
    said(&browser, "ERROR: Process sour: spawn error").await;
    browser.click("[data-all=stop]").await;
    shown(&browser, "b:x1", "stopped").await;
    said(&browser, "All stopped at ").await;
    browser.click("[data-all=restart]").await;
    shown(&browser, "b:x1", "running").await;
    shown(&browser, "down", "running").await;
    said(&browser, "All restarted at ").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test]
async fn several_are_selected_and_acted_on() {
    let site = Site::start(PROGRAMS);
    let browser = Browser::start().await;
    browser.scripts(false).await;
    browser.open(&site.url("/")).await;
    for name in ["b:x0", "b:x1"] {
        browser.click(&format!("[data-name='{name}'] input[type=checkbox]")).await;
    }
    browser.click("#bulk button[formaction$='action=stop']").await;
    shown(&browser, "b:x0", "stopped").await;
    shown(&browser, "b:x1", "stopped").await;
    shown(&browser, "web", "running").await;
    said(&browser, "2 of 2 stopped").await;
    browser.click("[data-name='web'] input[type=checkbox]").await;
    let signals = browser.find("#bulk select[name=signal]").await;
    signals.select_by_label("KILL").await.expect("a signal to choose");
    browser.click("#bulk button[formaction$='action=signal']").await;
    said(&browser, "1 of 1 signalled").await;
    site.daemon.expect_log("exited: web (terminated by SIGKILL; not expected)");
}

#[tokio::test]
async fn an_address_that_asks_for_something_is_only_a_question() {
    // C-330, C-439
    let site = Site::start(PROGRAMS);
    let browser = Browser::start().await;
    browser.scripts(false).await;
    browser.open(&site.url("/index.html?processname=web&action=stop")).await;
    assert!(browser.text("#main").await.contains("Nothing was done yet"));
    assert!(site.daemon.ctl(&["status", "web"]).stdout.contains("RUNNING"));
    browser.click("#main button.primary").await;
    shown(&browser, "web", "stopped").await;
    // What ends all programs wants a tick, too.
    browser.open(&site.url("/index.html?action=shutdown")).await;
    browser.click("#main button.primary").await;
    let here = browser.tab.current_url().await.expect("an address");
    assert!(here.as_str().ends_with("action=shutdown"), "{here}: the browser insists on the tick");
    browser.click("input[name=sure]").await;
    browser.click("#main button.primary").await;
    site.daemon.expect_log("used the web page to stop all programs and shut supervisord down");
}

#[tokio::test]
async fn names_and_logs_never_become_markup() {
    let name = "<script>document.title='owned'";
    // Without quotes, which the command line would take.
    let log = "<script>document.title=1</script><img src=x onerror=document.title=1>";
    let site =
        Site::start(&format!("{PROGRAMS}[program:evil]\ncommand=/bin/echo {log}\nstartsecs=0\n"));
    site.daemon.expect_log("exited: evil");
    let browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    assert_eq!(browser.text(&format!("[data-name=\"{name}\"] .name")).await, name);
    browser.open(&site.url("/tail.html?processname=evil")).await;
    assert_eq!(browser.text("#tailbody").await.trim(), log);
    let title = browser.tab.title().await.expect("a title");
    assert!(title.starts_with("Supervisor tail of process"), "{title}");
    assert_eq!(browser.complaints().await, [""; 0], "nothing had to be refused");
}

#[tokio::test]
async fn the_page_is_light_and_is_whole_with_its_first_answer() {
    let many: String = (0..100).map(|n| sleeper(&format!("program{n:03}"))).collect();
    let site = Site::start(&many);
    let browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    let rows = "document.querySelectorAll('[data-name^=program]').length";
    assert_eq!(browser.until(rows).await, 100);
    let weight = "
        const all = performance.getEntriesByType('navigation')
            .concat(performance.getEntriesByType('resource'));
        return all.reduce((sum, one) => sum + one.transferSize, 0);";
    let weight = browser.eval(weight, vec![]).await.as_u64().expect("a number");
    assert!((1000..60_000).contains(&weight), "{weight} bytes");
    let awaited = "return performance.getEntriesByType('resource')
        .filter(one => one.renderBlockingStatus == 'blocking').map(one => one.name)";
    let none = serde_json::json!([]);
    assert_eq!(
        browser.eval(awaited, vec![]).await,
        none,
        "nothing is waited for before it is painted"
    );
    let foreign = "return performance.getEntriesByType('resource')
        .filter(one => new URL(one.name).origin != location.origin).length";
    assert_eq!(browser.eval(foreign, vec![]).await, 0, "nothing is loaded from elsewhere");
}

#[tokio::test]
async fn there_are_no_barriers_and_nothing_sticks_out() {
    let long = "a-program-with-quite-a-long-name-as-people-really-have-them";
    let site = Site::start(&format!("{PROGRAMS}{}", sleeper(long)));
    let browser = Browser::start().await;
    for (name, path) in [
        ("plain", "/"),
        ("plain-confirm", "/index.html?action=shutdown"),
        ("plain-tail", "/tail.html?processname=web"),
    ] {
        browser.scripts(false).await;
        browser.open(&site.url(path)).await;
        browser.pictures(name).await;
        // axe-core is one itself.
        browser.scripts(true).await;
        browser.expect_no_barriers(name).await;
    }
}
