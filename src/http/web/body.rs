//! Reads what a page sends, bounded in size and time.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use warp::Buf;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::http::page;

/// How many bytes a page may send at once.
pub const MOST: u64 = 256 * 1024;
/// How long it may take for that.
const PATIENCE: Duration = Duration::from_secs(30);

/// The whole body.
///
/// # Errors
/// The answer to one that is too long or does not come.
pub async fn read<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Vec<u8>, Response> {
    let reading = async {
        let mut bytes = Vec::new();
        let mut body = std::pin::pin!(body);
        while let Some(part) = body.next().await {
            let mut part = part.map_err(|_| page::plain_error(StatusCode::BAD_REQUEST))?;
            while part.has_remaining() {
                let chunk = part.chunk();
                if (bytes.len() + chunk.len()) as u64 > MOST {
                    return Err(page::plain_error(StatusCode::PAYLOAD_TOO_LARGE));
                }
                bytes.extend_from_slice(chunk);
                let read = chunk.len();
                part.advance(read);
            }
        }
        Ok(bytes)
    };
    let late = |_| page::plain_error(StatusCode::REQUEST_TIMEOUT);
    timeout(PATIENCE, reading).await.map_err(late)?
}
