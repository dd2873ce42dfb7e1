//! Linux system calls: the only place with unsafe code.
