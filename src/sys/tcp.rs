//! TCP sockets that listen.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Socket, Type};

/// How many connections may wait to be accepted (C-326).
const BACKLOG: i32 = 1024;

/// Where a host name and a port lead: an IPv4 address when there is one, as upstream knows no
/// other; an empty host is every IPv4 address (C-070). Asks the resolver, and blocks meanwhile.
///
/// # Errors
/// The name is not known.
pub fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let ipv4 = found.iter().find(|address| address.is_ipv4());
    ipv4.or(found.first()).copied().ok_or_else(|| io::Error::other("the name has no address"))
}

/// Listens on an address; close-on-exec, non-blocking. An IPv6 address serves IPv6 alone, so that
/// nobody is let in over IPv4 by surprise.
///
/// # Errors
/// Whatever the operating system says; `EADDRINUSE` when somebody listens there.
pub fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A daemon that starts again does not wait for connections of the one before to fade away.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use nix::errno::Errno;

    use super::*;

    fn free() -> SocketAddr {
        listen_on(resolve("127.0.0.1", 0).unwrap()).unwrap().local_addr().unwrap()
    }

    #[test]
    fn an_empty_host_is_every_ipv4_address() {
        // C-070
        assert_eq!(resolve("", 9001).unwrap().to_string(), "0.0.0.0:9001");
        assert_eq!(resolve("::1", 9001).unwrap().to_string(), "[::1]:9001");
        assert_eq!(resolve("localhost", 1).unwrap().to_string(), "127.0.0.1:1");
        resolve("no.such.name.invalid", 1).unwrap_err();
    }

    #[test]
    fn a_port_is_taken_once_and_free_again_at_once() {
        // C-132, C-326
        let address = free();
        let listener = listen_on(address).unwrap();
        let error = listen_on(address).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRINUSE as i32));
        listener.set_nonblocking(false).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"x").unwrap();
        // The side that closes first keeps the address for a while: TIME_WAIT.
        drop((server, listener));
        client.read_to_end(&mut Vec::new()).unwrap();
        listen_on(address).unwrap();
    }

    #[test]
    fn ipv6_is_ipv6_alone() {
        let address = listen_on("[::1]:0".parse().unwrap()).unwrap();
        let port = address.local_addr().unwrap().port();
        TcpStream::connect(("::1", port)).unwrap();
        let everywhere = listen_on("[::]:0".parse().unwrap()).unwrap();
        let port = everywhere.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        // C-133
        let error = listen_on("192.0.2.1:9001".parse().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRNOTAVAIL as i32));
    }
}
