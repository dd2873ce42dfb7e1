//! The HTTP servers of the real daemon, with requests as no proper client would send them.

#[path = "../support/mod.rs"]
mod support;

mod askers;
mod auth;
mod ctl;
mod events;
mod foreign;
mod hostile;
mod https;
mod limits;
mod listeners;
mod login;
mod rpc;
mod sessions;
mod slow;
mod tail;
mod tls;
mod web;
