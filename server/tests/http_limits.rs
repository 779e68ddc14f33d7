//! Limits of time and number, on real sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "the refusals of bodies and signatures run in http_refusals")]
mod http_support;

use std::io::ErrorKind;
use std::time::Duration;

use offchannel_server::config::Limits;
use offchannel_server::http as collector;
use offchannel_shared::wire;
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use self::http_support::{LIMITS, Server, check_in, head};

const SHORT: Duration = Duration::from_millis(200);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads until the peer ends the connection; returns what it sent.
async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            read.extend_from_slice(&buffer[..length]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the connection was not ended");
    read
}

#[tokio::test]
async fn a_peer_that_never_finishes_its_head_is_cut_off() {
    let server = Server::with(Limits { header_timeout: SHORT, ..LIMITS }, None, &[]).await;
    let mut stream = server.connect().await.unwrap();
    stream.write_all(b"POST /agent/v1/report HTTP/1.1\r\nhost: local").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"");
}

#[tokio::test]
async fn a_connection_that_is_idle_after_an_answer_is_ended() {
    let server = Server::with(Limits { header_timeout: SHORT, ..LIMITS }, None, &[]).await;
    let mut stream = server.connect().await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let read = read_to_end(&mut stream).await;
    assert!(read.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&read));
}

#[tokio::test]
async fn a_peer_that_never_starts_tls_is_cut_off() {
    let server = Server::with(Limits { handshake_timeout: SHORT, ..LIMITS }, None, &[]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"");
    let text = server.metrics.render(&server.service.stats());
    assert!(text.contains("\noffchannel_tls_handshakes_failed_total 1\n"), "{text}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused() {
    let limits = Limits { request_timeout: SHORT, ..LIMITS };
    let server = Server::start().await;
    let device = server.device().await;
    // Another listener before the same service: only its own limits are short.
    let router = collector::router(server.service.clone(), &limits, &server.metrics);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(collector::serve_plain(listener, router, limits, stopped));
    let headers = device.sign_at(wire::CHECK_IN_PATH, b"", 0);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let bytes = head("POST", wire::CHECK_IN_PATH, &headers, &[("content-length", "100")]);
    stream.write_all(&bytes).await.unwrap();
    let read = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    assert!(read.starts_with("HTTP/1.1 408 "), "{read}");
    assert!(read.contains("\"code\":\"timeout\""), "{read}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start().await;
    let long = "x".repeat(64 * 1024);
    let answer = server.raw(head("GET", "/healthz", &[], &[("x-long", &long)])).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_there_is_room_again_later() {
    let server = Server::with(Limits { connections: 2, ..LIMITS }, None, &[]).await;
    let first = server.connect().await.unwrap();
    let second = server.connect().await.unwrap();
    let error = server.connect().await.unwrap_err();
    let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(closed.contains(&error.kind()), "{error:?}");
    drop(first);
    // The collector notices by itself; until then a new connection is closed like the one before.
    let again = async {
        while server.connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("there is no room again");
    drop(second);
    let text = server.metrics.render(&server.service.stats());
    assert!(!text.contains("\noffchannel_connections_refused_total 0\n"), "{text}");
}

#[tokio::test]
async fn a_second_connection_resumes_the_first_and_saves_the_handshake() {
    let server = Server::with(LIMITS, None, &[]).await;
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let mut stream = server.connect().await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
        stream.write_all(&head("GET", "/healthz", &[], &[])).await.unwrap();
        // The ticket for the next connection comes with the answer.
        assert!(!read_to_end(&mut stream).await.is_empty());
    }
}

#[tokio::test]
async fn a_collector_that_stops_lets_idle_connections_go_and_takes_no_new_ones() {
    let server = Server::start().await;
    let address = server.address;
    let mut idle = server.connect().await.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("the collector did not stop");
    assert_eq!(read_to_end(&mut idle).await, b"");
    assert_eq!(read_to_end(&mut silent).await, b"");
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_request_under_way_is_answered_when_the_collector_stops() {
    let server = Server::start().await;
    let device = server.device().await;
    let body = serde_json::to_vec(&check_in()).unwrap();
    let headers = device.sign_at(wire::CHECK_IN_PATH, &body, 0);
    let length = body.len().to_string();
    let mut stream = server.connect().await.unwrap();
    let bytes = head(
        "POST",
        wire::CHECK_IN_PATH,
        &headers,
        &[("content-length", &length), ("expect", "100-continue")],
    );
    stream.write_all(&bytes).await.unwrap();
    // The collector asks for the body: the request is under way.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.stop.send_replace(true);
    stream.write_all(&body).await.unwrap();
    let read = read_to_end(&mut stream).await;
    assert!(read.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&read));
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_served_on_their_own_listener_only() {
    let server = Server::start().await;
    let router = collector::probes(server.service.clone(), &LIMITS, &server.metrics);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(collector::serve_plain(listener, router, LIMITS, stopped));
    for (path, expected) in
        [("/metrics", "offchannel_build_info"), ("/readyz", "ready"), (wire::REPORT_PATH, "not_found")]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&head("GET", path, &[], &[])).await.unwrap();
        let read = String::from_utf8(read_to_end(&mut stream).await).unwrap();
        assert!(read.contains(expected), "expected {expected:?} of {path}:\n{read}");
    }
}
