//! Chromium without a window, and the program that drives it. Both end with their test.

use std::fmt;
use std::process::{Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};
use warp::http::Method;

use crate::support::PATIENCE;
use crate::support::children::{descendants, kill_leftovers};
use crate::support::process::Running;
use crate::support::scratch::Scratch;

/// A browser with one tab.
pub struct Browser {
    /// The tab.
    pub tab: Client,
    driver: Running,
    _profile: Scratch,
}

impl Browser {
    /// Starts one, with a profile of its own.
    ///
    /// # Panics
    /// When there is no Chromium, or no chromedriver.
    pub async fn start() -> Self {
        let profile = Scratch::new();
        let mut command = Command::new("chromedriver");
        // It looks for a free port itself.
        command.arg("--port=0").stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", profile.path());
        command.env("TMPDIR", profile.path()).env("LANG", "C.UTF-8").env("TZ", "UTC");
        let driver = Running::spawn(&mut command);
        let port = driver.stdout.wait(PATIENCE, |text| {
            let rest = text.split_once("started successfully on port ")?.1;
            rest.split_once('.')?.0.parse::<u16>().ok()
        });
        let port = port.unwrap_or_else(|| panic!("chromedriver says: {}", driver.stdout.text()));
        let flags = [
            "--headless=new",
            "--no-sandbox", // the tests may be root's
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--hide-scrollbars",
            "--no-first-run",
            "--no-proxy-server",
            "--force-device-scale-factor=1",
            "--lang=en-US",
            "--window-size=1280,900",
        ];
        let mut flags: Vec<String> = flags.map(str::to_owned).into();
        flags.push(format!("--user-data-dir={}", profile.join("profile").display()));
        let Value::Object(capabilities) = json!({
            "pageLoadStrategy": "normal",
            "timeouts": { "script": PATIENCE.as_millis() },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": flags },
        }) else {
            unreachable!("that is an object")
        };
        let tab = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("no browser: {error}\n{}", driver.stdout.text()));
        Self { tab, driver, _profile: profile }
    }

    /// Sends a command of the DevTools protocol.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        let sent = Vendor { path: "goog/cdp/execute", body };
        self.tab.issue_cmd(sent).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// What the console says that is no plain message: errors of scripts, refusals of the
    /// Content-Security-Policy, failed requests.
    pub async fn complaints(&self) -> Vec<String> {
        let sent = Vendor { path: "se/log", body: json!({ "type": "browser" }) };
        let said = self.tab.issue_cmd(sent).await.expect("the console");
        let said = said.as_array().cloned().unwrap_or_default();
        let bad =
            said.iter().filter(|line| matches!(line["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the session needs the runtime, which may be gone in a test that fails.
        kill_leftovers(&descendants(self.driver.pid()));
    }
}

/// A command of chromedriver's own.
struct Vendor {
    path: &'static str,
    body: Value,
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.body)
    }
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
