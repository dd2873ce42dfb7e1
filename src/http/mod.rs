//! The HTTP servers: `[inet_http_server]` and `[unix_http_server]`.
//!
//! Everything that comes in is hostile until proven otherwise: connections are bounded in number
//! ([`places`]), in time and in size ([`server`]), whoever is on the other side is asked for a
//! password where one is set ([`auth`]), over TLS where there is a certificate ([`tls`]), and browsers are kept from being used by other sites
//! ([`browser`]). Only then a request reaches the routes (`routes`).

mod asked;
pub mod auth;
pub mod browser;
mod door;
mod events;
#[doc(hidden)]
pub mod fuzzing;
mod kept;
pub mod listen;
mod login;
pub mod page;
pub mod places;
mod routes;
pub mod server;
pub mod sessions;
mod stall;
mod streams;
mod tail;
pub mod tls;
pub mod visitor;
pub mod web;
mod wire;
pub mod xmlrpc;

pub use listen::{ListenError, Listeners};
pub use server::{Options, Servers};
