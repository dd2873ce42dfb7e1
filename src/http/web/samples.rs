//! What processes used in the last minutes, for the charts of a page that is opened.

use std::collections::BTreeMap;

use warp::reply::Response;

use super::data::meter::Sample;
use super::form::Form;
use super::request::Request;
use super::respond;
use super::routes::Web;

/// How many processes can be asked about at once.
const MAX_NAMES: usize = 64;
/// How many samples of each are told: what a small chart can show.
const MAX_SAMPLES: usize = 60;

impl Web {
    /// The samples of the processes that are named, oldest first: `{"web":[[ms,cpu,KiB],…]}`.
    pub(super) fn samples(&self, request: &Request, form: &Form) -> Response {
        let named = form.all("name").take(MAX_NAMES).filter_map(|name| {
            let process = self.api.process(name).ok()?;
            Some((name, thinned(self.meter.history(process.key))))
        });
        respond::json(&named.collect::<BTreeMap<_, _>>(), request)
    }
}

/// Every so many of them, and the newest.
fn thinned(samples: Vec<Sample>) -> Vec<Sample> {
    let step = samples.len().div_ceil(MAX_SAMPLES).max(1);
    let offset = samples.len().saturating_sub(1) % step;
    samples.into_iter().skip(offset).step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_samples_are_thinned_and_the_newest_is_kept() {
        for count in [0, 1, 2, 59, 60, 61, 119, 120, 121, 150] {
            let samples: Vec<_> = (0..count).map(|at| Sample(at, None, None)).collect();
            let few = thinned(samples.clone());
            assert!(few.len() <= MAX_SAMPLES, "{count}");
            assert_eq!(few.last(), samples.last(), "{count}");
            assert_eq!(few.len() == samples.len(), count <= MAX_SAMPLES as u64, "{count}");
        }
    }
}
