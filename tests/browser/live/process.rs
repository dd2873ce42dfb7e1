//! The page of one process.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{live, told};
use crate::browser::Browser;
use crate::site::Site;

#[tokio::test]
async fn a_process_has_a_history_children_and_buttons() {
    let program = "[program:shell]\ncommand=/bin/sh -c 'sleep 1001 & sleep 1002; true'\n\
        startsecs=0\nstopasgroup=true\nenvironment=TOKEN=\"hush\"\n";
    let site = Site::start(program);
    let browser = Browser::start().await;
    browser.open(&site.url("/process/shell/shell")).await;
    live(&browser).await;
    // The shell, and its children below it.
    let tree = "[...document.querySelectorAll('#tree li')].map(li => [parseInt(li.style.paddingLeft), li.querySelector('code').textContent].join(' ')).sort()";
    browser.until(&format!("{tree}.length == 3")).await;
    let tree = browser.eval(&format!("return {tree}"), vec![]).await;
    assert_eq!(tree[1], "16 sleep 1001", "{tree}");
    assert_eq!(tree[2], "16 sleep 1002", "{tree}");
    // A crash is a line of its history, and so is what follows.
    let pid = Pid::from_raw(site.daemon.pid_of("shell").cast_signed());
    kill(pid, Signal::SIGSEGV).expect("it lives");
    let past = "[...document.querySelectorAll('#history li')].map(li => li.dataset.state).join()";
    browser.until(&format!("{past}.startsWith('running,starting,exited,running')")).await;
    let history = browser.text("#history").await;
    assert!(
        history.contains("terminated by SIGSEGV") && !history.contains("Bad exit"),
        "{history}"
    );
    browser.until("document.querySelector('#restarts').textContent == 'restarted 1×'").await;
    browser.click("#acts [data-action=stop]").await;
    browser.until("document.querySelector('#state').textContent == 'stopped'").await;
    browser.until("document.querySelector('#history').textContent.includes('asked by 127.')").await;
    browser.click("#acts [data-action=start]").await;
    browser.until("document.querySelector('#state').textContent == 'running'").await;
    browser.click("#acts [data-action=clearlog]").await;
    told(&browser, "Cleared the logs of shell").await;
    let signals = browser.find("#acts select").await;
    signals.select_by_label("TERM").await.expect("a signal to choose");
    browser.click("#acts [data-action=signal]").await;
    told(&browser, "Sent TERM to shell").await;
    // What it uses is drawn.
    browser.until("/ M$/.test(document.querySelector('#mem output').textContent)").await;
    browser.until("document.querySelector('#mem .line').getAttribute('d')").await;
    let page = browser.text("main").await;
    assert!(page.contains("TOKEN") && !page.contains("hush"), "names only: {page}");
    assert_eq!(browser.complaints().await, [""; 0]);
}
