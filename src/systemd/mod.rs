//! The service manager: notifications, and later watchdog, sockets and journal.
