//! Names of AUTO logs (C-136).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::snapshot::{Channel, LogPaths};
use crate::model::spec::{LogFile, LogSpec, ProcessSpec};

const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

/// Makes up names for AUTO logs. They need not be secret: the files are created exclusively.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AutoNames {
    /// The directory of AUTO logs.
    childlogdir: PathBuf,
    /// The identifier of this daemon.
    identifier: Arc<str>,
    /// The state of the generator.
    seed: u64,
}

impl AutoNames {
    /// Names in a directory, for a daemon; the seed makes them differ from an earlier run's.
    #[must_use]
    pub fn new(childlogdir: PathBuf, identifier: &str, seed: u64) -> Self {
        Self { childlogdir, identifier: identifier.into(), seed }
    }

    /// The files that a process logs to.
    pub fn resolve(&mut self, spec: &ProcessSpec) -> LogPaths {
        LogPaths {
            stdout: self.resolve_channel(spec, &spec.stdout, Channel::Stdout),
            stderr: self.resolve_channel(spec, &spec.stderr, Channel::Stderr),
        }
    }

    fn resolve_channel(
        &mut self,
        spec: &ProcessSpec,
        log: &LogSpec,
        channel: Channel,
    ) -> Option<PathBuf> {
        match &log.file {
            LogFile::None | LogFile::Journal => None,
            LogFile::Path(path) => Some(path.clone()),
            LogFile::Auto => {
                // A name may hold a slash after expansion (C-039): not in a file name.
                let process = spec.name.process.replace('/', "_");
                let suffix = self.suffix();
                let (channel, identifier) = (channel.name(), &self.identifier);
                let file = format!("{process}-{channel}---{identifier}-{suffix}.log");
                Some(Path::new(&self.childlogdir).join(file))
            }
        }
    }

    /// Eight characters, from the splitmix64 generator.
    fn suffix(&mut self) -> String {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let mut text = String::with_capacity(8);
        for _ in 0..8 {
            let index = usize::try_from(bits % 37).unwrap_or(0);
            text.push(char::from(LETTERS[index]));
            bits /= 37;
        }
        text
    }
}
