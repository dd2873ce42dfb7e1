//! How the pages look: pictures for people, and what can be measured of it.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::browser::Browser;

/// Widths of a desk and of a hand, and how high a window is there.
pub const SIZES: [(u32, u32); 2] = [(1280, 900), (390, 844)];
/// Both colour schemes.
pub const SCHEMES: [&str; 2] = ["light", "dark"];

/// Where pictures go.
fn pictures() -> PathBuf {
    let target = option_env!("CARGO_TARGET_TMPDIR").map(Path::new).and_then(Path::parent);
    let dir = target.expect("cargo says where").join("screenshots");
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

impl Browser {
    /// Takes a picture of the whole page in every size and scheme, as `NAME-1280-light.png`. In none
    /// of them may the page be wider than its window.
    ///
    /// # Panics
    /// When it is.
    pub async fn pictures(&self, name: &str) {
        for (width, height) in SIZES {
            for scheme in SCHEMES {
                self.size(width, height, scheme).await;
                self.picture(&format!("{name}-{width}-{scheme}")).await;
                // Of the browser, not of a script: the page may be one that runs none.
                let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
                let shown = metrics["cssContentSize"]["width"].as_f64().expect("a number");
                assert!(shown <= f64::from(width), "{name} is {shown} wide in a window of {width}");
            }
        }
    }

    /// Takes a picture of the whole page as it is.
    pub async fn picture(&self, name: &str) {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let taken = self.devtools("Page.captureScreenshot", whole).await;
        let bytes = taken["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok());
        let path = pictures().join(format!("{name}.png"));
        fs::write(path, bytes.expect("a picture")).expect("a file");
    }
}
