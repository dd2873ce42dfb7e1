//! Looking at a page, and using it. Nothing here sleeps: the page is watched from inside.

use fantoccini::Locator;
use fantoccini::elements::Element;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::PATIENCE;

/// Resolves with the condition's value as soon as that is something: looked at whenever the page
/// changes or a frame is drawn.
const WATCH: &str = r"
    const [condition, done] = arguments;
    const look = new Function(`return (${condition})`);
    const finish = value => { watcher.disconnect(); done(value); };
    const check = () => {
        let value = null;
        try { value = look(); } catch (error) { value = null; }
        if (value) { finish(value); return true; }
        return false;
    };
    const watcher = new MutationObserver(check);
    watcher.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
    const frame = () => { if (!check()) requestAnimationFrame(frame); };
    frame();
";

impl Browser {
    /// Opens an address.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self, url: &str) {
        self.tab.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// What a piece of JavaScript (`return …`) gives in the page.
    ///
    /// # Panics
    /// When it fails.
    pub async fn eval(&self, script: &str, arguments: Vec<Value>) -> Value {
        let outcome = self.tab.execute(script, arguments).await;
        outcome.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a condition holds in the page, which is an expression, and gives its value. The
    /// page may go to another one meanwhile.
    ///
    /// # Panics
    /// When it does not come true; the message has the page's text.
    pub async fn until(&self, condition: &str) -> Value {
        let end = std::time::Instant::now() + PATIENCE;
        let mut last = String::new();
        while std::time::Instant::now() < end {
            // A page that is left takes the answer with it: then the next one is asked.
            match self.tab.execute_async(WATCH, vec![json!(condition)]).await {
                Ok(value) => return value,
                Err(error) => last = error.to_string(),
            }
        }
        let source = self.tab.source().await.unwrap_or_default();
        panic!("never came true: {condition}\n{last}\n{source}");
    }

    /// The element at a CSS selector, as soon as it is there.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn find(&self, selector: &str) -> Element {
        let found = self.tab.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        match found {
            Ok(element) => element,
            Err(error) => {
                let source = self.tab.source().await.unwrap_or_default();
                panic!("{selector}: {error}\n{source}")
            }
        }
    }

    /// Clicks on what is at a CSS selector.
    ///
    /// # Panics
    /// When it cannot be clicked.
    pub async fn click(&self, selector: &str) {
        loop {
            match self.find(selector).await.click().await {
                Err(error) if error.is_stale_element_reference() => {} // a newer one is there
                clicked => return clicked.unwrap_or_else(|error| panic!("{selector}: {error}")),
            }
        }
    }

    /// The text that is seen of what is at a CSS selector.
    ///
    /// # Panics
    /// When there is none.
    pub async fn text(&self, selector: &str) -> String {
        loop {
            match self.find(selector).await.text().await {
                Err(error) if error.is_stale_element_reference() => {} // a newer one is there
                text => return text.unwrap_or_else(|error| panic!("{selector}: {error}")),
            }
        }
    }

    /// Types where the focus is. Keys without a letter are WebDriver's (`\u{e004}` is Tab).
    ///
    /// # Panics
    /// When nothing takes them.
    pub async fn keys(&self, keys: &str) {
        let focused = self.tab.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    /// Moves the pointer to where nothing is.
    pub async fn look_away(&self) {
        let there = json!({ "type": "mouseMoved", "x": 2, "y": 2 });
        self.devtools("Input.dispatchMouseEvent", there).await;
    }

    /// Whether the pages that are opened next may run scripts.
    pub async fn scripts(&self, allowed: bool) {
        let off = json!({ "value": !allowed });
        self.devtools("Emulation.setScriptExecutionDisabled", off).await;
    }

    /// Gives the page this size and this colour scheme.
    pub async fn size(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }
}
