//! A stretch of network between agent and collector that can lose answers.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use crate::port::Port;

/// Passes bytes on, in both directions or only to the collector.
#[derive(Debug)]
pub struct Relay {
    port: Port,
    losing: Arc<AtomicBool>,
    /// Connections whose answers still pass while others are lost.
    spared: Arc<AtomicU32>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay to a collector that passes on everything.
    pub fn to(collector: SocketAddr) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address()).expect("the relay's port");
        let (losing, ending) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let spared = Arc::new(AtomicU32::new(0));
        let (lost, spare, ended) = (Arc::clone(&losing), Arc::clone(&spared), Arc::clone(&ending));
        let thread = std::thread::spawn(move || {
            for near in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                if let (Ok(near), Ok(far)) = (near, TcpStream::connect(collector)) {
                    let take = |left: u32| left.checked_sub(1);
                    let is_spared = spare.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
                    let never = Arc::new(AtomicBool::new(false));
                    connect(near, far, if is_spared { &never } else { &lost });
                }
            }
        });
        Self { port, losing, spared, ending, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://{}", self.port.address())
    }

    /// Lets so many exchanges pass, each on a connection of its own; after them answers are lost.
    pub fn lose_answers_after(&self, exchanges: u32) {
        self.spared.store(exchanges, Ordering::SeqCst);
        self.lose_answers(true);
    }

    /// From now on requests arrive and their answers do not, or both again.
    pub fn lose_answers(&self, lose: bool) {
        self.losing.store(lose, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.port.address()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(near: TcpStream, far: TcpStream, losing: &Arc<AtomicBool>) {
    let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { return };
    // The peer's first bytes are its part of the handshake; what the agent sends after them is its request.
    let (greeted, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (greeted_too, asked_too) = (Arc::clone(&greeted), Arc::clone(&asked));
    let losing = Arc::clone(losing);
    std::thread::spawn(move || {
        pass(near, far, || {
            asked.fetch_or(greeted.load(Ordering::SeqCst), Ordering::SeqCst);
            true
        });
    });
    std::thread::spawn(move || {
        pass(far_again, near_again, || {
            greeted_too.store(true, Ordering::SeqCst);
            !(losing.load(Ordering::SeqCst) && asked_too.load(Ordering::SeqCst))
        });
    });
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        if passes() && to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either end may have closed already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
