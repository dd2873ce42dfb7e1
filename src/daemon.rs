//! `supervisord`: arguments, start-up order, shutdown.
