//! The web page at the servers' root, for people and for the scripts that read upstream's.
//!
//! Every page is whole without JavaScript. What changes something is asked for by POST with a
//! token that only our own pages know; a GET that asks for it shows a form instead (C-439).

mod acting;
mod acts;
mod assets;
mod body;
mod calls;
pub mod data;
mod download;
mod form;
mod live;
mod pages;
mod request;
mod respond;
mod routes;
mod samples;
mod view;

pub use routes::Web;
