//! `GET /metrics` on a port of the loopback interface: as little HTTP/1.1 (RFC 9112) as a scraper needs.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::board::Board;
use super::door::{self, Door};
use super::metrics;

/// Connections at a time.
const MOST: usize = 16;
/// Most bytes of a request's head.
const MOST_HEAD: usize = 8 << 10;
/// How long the other side may take to send its request, and to read the answer.
const WITHIN: Duration = Duration::from_secs(5);
/// What one connection too many gets.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _door: Door,
}

impl Port {
    /// # Errors
    /// The port is in use, or may not be used.
    pub(super) fn open(board: &Board, address: SocketAddr) -> io::Result<Port> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let board = board.clone();
        let door = Door::open(listener, (MOST, FULL), move |stream: &TcpStream| {
            serve(stream, &board);
        })?;
        Ok(Port { address, _door: door })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn serve(stream: &TcpStream, board: &Board) {
    let head_end = |bytes: &[u8]| bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4);
    let mut buffer = vec![];
    let head = door::read_until(stream, &mut buffer, (MOST_HEAD, WITHIN), head_end);
    let answer = match head {
        Some(head) => answer(&String::from_utf8_lossy(&head), || metrics::text(board)),
        None if buffer.len() >= MOST_HEAD => {
            response("431 Request Header Fields Too Large", "", "text/plain", "the head is too long\n", true)
        }
        None => return,
    };
    let _ = door::write_all(stream, answer.as_bytes(), WITHIN);
}

/// The answer to a request.
fn answer(head: &str, metrics: impl Fn() -> String) -> String {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target, version) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let plain = |status: &str, headers: &str, body: &str| {
        response(status, headers, "text/plain; charset=utf-8", body, method != "HEAD")
    };
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return plain("400 Bad Request", "", "this is no request of HTTP/1.1\n");
    }
    if !is_for_us(head) {
        // A page in a browser reaches the loopback interface under a name of its own (DNS rebinding).
        return plain("403 Forbidden", "", "the Host is none of this machine\n");
    }
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET" | "HEAD", "/metrics") => {
            response("200 OK", "", super::metrics::TYPE, &metrics(), method == "GET")
        }
        (_, "/metrics") => plain("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "use GET\n"),
        _ => plain("404 Not Found", "", "there is only /metrics\n"),
    }
}

/// Whether the `Host` of a request is a name of the loopback interface. Without one there is nothing to
/// check.
fn is_for_us(head: &str) -> bool {
    let field = |line: &str| -> Option<String> {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim().to_ascii_lowercase())
    };
    let Some(host) = head.lines().skip(1).find_map(field) else { return true };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn response(status: &str, headers: &str, kind: &str, body: &str, with_body: bool) -> String {
    let len = body.len();
    let body = if with_body { body } else { "" };
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: {kind}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metrics_of_this_machine_are_served() {
        let status = |head: &str| {
            let answer = answer(head, || "x 1\n# EOF\n".to_owned());
            answer.split("\r\n").next().unwrap().to_owned()
        };
        let of = |first: &str| status(&format!("{first} HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n\r\n"));
        assert_eq!(of("GET /metrics"), "HTTP/1.1 200 OK");
        assert_eq!(of("GET /metrics?name=x"), "HTTP/1.1 200 OK");
        assert_eq!(of("HEAD /metrics"), "HTTP/1.1 200 OK");
        assert_eq!(of("POST /metrics"), "HTTP/1.1 405 Method Not Allowed");
        assert_eq!(of("GET /"), "HTTP/1.1 404 Not Found");
        assert_eq!(of("GET /metrics/x"), "HTTP/1.1 404 Not Found");
        for bad in ["", "GET", "GET /metrics", "\0\0\0\0", "GET /metrics HTTP/1.1 x", "GET /metrics SMTP"] {
            assert_eq!(status(&format!("{bad}\r\n\r\n")), "HTTP/1.1 400 Bad Request", "{bad:?}");
        }
        for (host, served) in [
            ("localhost:9464", true),
            ("LOCALHOST", true),
            ("[::1]:9464", true),
            ("evil.example", false),
            ("", false),
        ] {
            let status = status(&format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\n\r\n"));
            assert_eq!(status == "HTTP/1.1 200 OK", served, "{host}: {status}");
        }
        let head = answer("HEAD /metrics HTTP/1.0\r\n\r\n", || "x 1\n".to_owned());
        assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
}
