//! The web page of the real daemon, in Debian's Chromium.

#[path = "../support/mod.rs"]
mod support;

mod barriers;
mod browser;
mod live;
mod login;
mod looks;
mod page;
mod plain;
mod site;
