//! What keeps people from using a page, as far as axe-core finds it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;
use crate::looks::{SCHEMES, SIZES};

/// axe-core, as `make axe` installs it.
fn axe() -> String {
    let dir = std::env::var("SUPERVISOR_AXE")
        .expect("SUPERVISOR_AXE says where axe-core is; `make axe` puts it into target/axe");
    let path = Path::new(&dir).join("axe.min.js");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const RUN: &str = "
    const done = arguments[arguments.length - 1];
    const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(
        found => done(found.violations.map(one => ({
            rule: one.id, help: one.help,
            where: one.nodes.slice(0, 5).map(node => node.target.join(' ') + ': ' + node.failureSummary),
        }))),
        error => done([{rule: 'axe itself', help: String(error), where: []}]));
";

impl Browser {
    /// Looks for barriers in every size and scheme.
    ///
    /// # Panics
    /// When there are some; the message says which and where.
    pub async fn expect_no_barriers(&self, name: &str) {
        let axe = axe();
        for (width, height) in SIZES {
            for scheme in SCHEMES {
                self.size(width, height, scheme).await;
                self.eval(&axe, vec![]).await;
                let found = self.tab.execute_async(RUN, vec![]).await.expect("axe answers");
                let none = found == Value::Array(Vec::new());
                assert!(none, "{name}, {width}, {scheme}: {found:#}");
            }
        }
    }
}
