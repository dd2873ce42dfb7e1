//! The live page: what happens is on the screen at once, and everything can be done from there.

mod actions;
mod barriers;
mod daemon;
mod keyboard;
mod link;
mod log;
mod overview;
mod process;

use serde_json::json;

use crate::browser::Browser;
use crate::site::Site;

pub const PROGRAMS: &str = "\
[program:web]\ncommand=/bin/sleep 1000\nstartsecs=0\n\
[program:down]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n\
[program:sour]\ncommand=/bin/false\nstartretries=0\nautostart=false\n\
[program:<script>document.title='owned']\ncommand=/bin/sleep 1000\nstartsecs=0\n\
[program:b]\ncommand=/bin/sleep 1000\nprocess_name=x%(process_num)d\nnumprocs=2\nstartsecs=0\n";

/// The names of the processes that are shown, in their order, as an expression of the page.
pub const ROWS: &str =
    "[...document.querySelectorAll('#processes [data-name]')].map(row => row.dataset.name).join()";

/// Opens the overview, and waits until it is live.
pub async fn overview(site: &Site) -> Browser {
    let browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    live(&browser).await;
    browser
}

/// Waits until the page is live.
pub async fn live(browser: &Browser) {
    browser.until("document.querySelector('#link').dataset.link == 'on'").await;
}

/// Waits until a process is shown in this state.
pub async fn shown(browser: &Browser, name: &str, state: &str) {
    browser
        .until(&format!("document.querySelector(`[data-name=\"{name}\"][data-state={state}]`)"))
        .await;
}

/// Presses a button in the row of a process.
pub async fn press(browser: &Browser, name: &str, action: &str) {
    browser.click(&format!("[data-name='{name}'] [data-action={action}]")).await;
}

/// Waits until the page tells something.
pub async fn told(browser: &Browser, text: &str) {
    browser
        .until(&format!("document.querySelector('#toasts')?.textContent.includes({})", json!(text)))
        .await;
}

/// Answers the question that the page asks.
pub async fn answer(browser: &Browser, answer: &str) {
    browser.click(&format!("dialog button[value={answer}]")).await;
}
