//! A receiver of webhooks on the loopback interface that does what it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What the receiver does with a request once it has read it.
#[derive(Clone)]
pub enum Manner {
    Answer(String),
    /// Never answers, and keeps the connection.
    Hang,
    /// Closes the connection without a word.
    HangUp,
}

pub fn status(line: &str) -> Manner {
    Manner::Answer(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n"))
}

/// A receiver and what it hears.
pub struct Receiver {
    pub address: SocketAddr,
    pub heard: mpsc::UnboundedReceiver<String>,
    /// Whether it is down: nothing is heard then, and every connection ends at once.
    pub down: Arc<AtomicBool>,
}

impl Receiver {
    /// A receiver that treats each request in turn like this, and all further ones like the last.
    pub async fn start(manners: &[Manner]) -> Self {
        let mut manners = std::collections::VecDeque::from(manners.to_vec());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (hears, heard) = mpsc::unbounded_channel();
        let down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if is_down.load(Ordering::SeqCst) {
                    continue;
                }
                let mut read = Vec::new();
                let mut buffer = [0; 4096];
                while !complete(&read) {
                    let length = stream.read(&mut buffer).await.unwrap();
                    assert_ne!(length, 0, "the request broke off");
                    read.extend_from_slice(&buffer[..length]);
                }
                // A test that is over listens no more.
                let _ = hears.send(String::from_utf8(read).unwrap());
                let manner = if manners.len() > 1 { manners.pop_front() } else { manners.front().cloned() };
                match manner.unwrap() {
                    Manner::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    Manner::Hang => open.push(stream),
                    Manner::HangUp => {}
                }
            }
        });
        Self { address, heard, down }
    }
}

/// Whether a request was read to the end of its body.
pub fn complete(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    body.len() >= header(head, "content-length").parse::<usize>().unwrap()
}

pub fn header<'h>(head: &'h str, name: &str) -> &'h str {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)))
        .unwrap_or_else(|| panic!("no header {name} in:\n{head}"))
        .1
}
