//! The readers: threads that each own a connection and take queries from one queue.
//!
//! A thread with its own connection costs a point read one hand-over and nothing else: no lock around
//! a pool, no search for a free connection, prepared statements always at hand. A query never
//! runs on the caller's thread, because a page that is not cached would stop a whole event loop.

use std::sync::{Arc, Mutex};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use crate::store::StoreError;

/// Most queries that wait; further callers wait until there is room.
const WAITING: usize = 256;

/// The way to the reader threads.
#[derive(Debug)]
pub(super) struct Readers {
    queue: mpsc::Sender<Message>,
    threads: usize,
}

enum Message {
    Run(Box<dyn FnOnce(&Connection) + Send>),
    Close(oneshot::Sender<()>),
}

impl Readers {
    /// Starts a thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (queue, inbox) = mpsc::channel(WAITING);
        let inbox = Arc::new(Mutex::new(inbox));
        let threads = connections.len();
        for connection in connections {
            let inbox = Arc::clone(&inbox);
            let work = move || run(connection, inbox);
            thread::Builder::new().name("store-reader".to_owned()).spawn(work)?;
        }
        Ok(Self { queue, threads })
    }

    /// Reads something from one state of the database.
    pub(super) async fn read<T, W>(&self, doing: &'static str, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = move |connection: &Connection| {
            // A caller that has gone away does not want to know.
            if !reply.is_closed() {
                let outcome = one_state(connection, work).map_err(|failure| failure.into_error(doing));
                drop(reply.send(outcome));
            }
        };
        self.queue.send(Message::Run(Box::new(job))).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Answers what is waiting and ends the threads.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let mut ends = Vec::with_capacity(self.threads);
        for _ in 0..self.threads {
            let (end, ended) = oneshot::channel();
            self.queue.send(Message::Close(end)).await.map_err(|_| StoreError::Closed)?;
            ends.push(ended);
        }
        for ended in ends {
            // A thread that is gone has ended, too.
            drop(ended.await);
        }
        Ok(())
    }
}

fn run(connection: Connection, inbox: Arc<Mutex<mpsc::Receiver<Message>>>) {
    loop {
        let message = match inbox.lock() {
            Ok(mut inbox) => inbox.blocking_recv(),
            Err(_) => None,
        };
        match message {
            Some(Message::Run(job)) => job(&connection),
            Some(Message::Close(end)) => {
                drop(inbox);
                drop(connection);
                // Whoever closes may have gone away.
                let _ = end.send(());
                return;
            }
            None => return,
        }
    }
}

/// Runs a query whose statements all see the same state.
fn one_state<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let outcome = work(connection);
    // Some errors end the transaction by themselves.
    if !connection.is_autocommit() {
        connection.prepare_cached("COMMIT")?.execute([])?;
    }
    outcome
}
