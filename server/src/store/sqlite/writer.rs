//! The writer: one thread, one connection, and one commit for all commands that are waiting.
//!
//! A commit costs a sync of the disk, which takes a hundred times longer than a command: so the
//! commands that arrive during one commit go into the next one together. Each runs in a savepoint of its
//! own, and nobody is answered before the commit. The longer a commit takes, the more commands share
//! the next.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::announce::Announcements;
use super::failure::{Cause, Failure, is_busy, is_full};
use super::open::BUSY;
use crate::store::StoreError;

/// Most commands in one transaction.
const BATCH: usize = 256;
/// Most commands that wait; further callers wait until there is room.
const WAITING: usize = 4 * BATCH;
/// The write-ahead log is written back at the latest when it has so many bytes. SQLite does it by itself far
/// earlier, unless somebody keeps reading an old state.
const WAL_CAP: u64 = 64 << 20;
/// How long writing the log back waits for readers.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(100);

/// The way to the writer thread.
#[derive(Debug)]
pub(super) struct Writer(mpsc::Sender<Message>);

enum Message {
    Run(Box<dyn Command>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Something that writes.
trait Command: Send {
    /// Does it; the transaction is open.
    fn run(&mut self, connection: &Connection) -> Ran;
    /// Tells the caller how it went.
    fn answer(self: Box<Self>, fate: &Fate);
}

/// How a command went.
enum Ran {
    /// What it wrote is to be kept.
    Keep,
    /// What it wrote is to be undone.
    Undo,
    /// There is no room, also for the others.
    Full,
}

/// What became of a batch.
enum Fate {
    Committed,
    Full,
    Busy,
    Failed(Cause),
}

impl Fate {
    fn of(error: rusqlite::Error) -> Self {
        match error {
            error if is_full(&error) => Self::Full,
            error if is_busy(&error) => Self::Busy,
            error => Self::Failed(Arc::new(error)),
        }
    }
}

/// SQLite ended the transaction by itself, which it does on some errors.
#[derive(Debug, thiserror::Error)]
#[error("a command that ran together with this one failed so badly that all of them were undone")]
struct Undone;

struct Job<T, W> {
    doing: &'static str,
    work: Option<W>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Command for Job<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, connection: &Connection) -> Ran {
        let Some(work) = self.work.take() else { return Ran::Undo };
        let outcome = work(connection).map_err(|failure| failure.into_error(self.doing));
        let ran = match &outcome {
            Ok(_) => Ran::Keep,
            Err(StoreError::Full) => Ran::Full,
            Err(_) => Ran::Undo,
        };
        self.outcome = Some(outcome);
        ran
    }

    fn answer(self: Box<Self>, fate: &Fate) {
        let result = match fate {
            Fate::Committed => self.outcome.unwrap_or(Err(StoreError::Closed)),
            Fate::Full => Err(StoreError::Full),
            Fate::Busy => Err(StoreError::Busy),
            Fate::Failed(cause) => {
                Err(StoreError::Failed { doing: self.doing, source: Box::new(Arc::clone(cause)) })
            }
        };
        // A caller that has gone away does not want to know.
        drop(self.reply.send(result));
    }
}

impl Writer {
    /// Starts the thread. `wal` is the path of the connection's write-ahead log; `announce` is where each commit is
    /// announced to other processes.
    pub(super) fn start(
        connection: Connection,
        wal: PathBuf,
        announce: Option<Announcements>,
    ) -> std::io::Result<Self> {
        let (sender, inbox) = mpsc::channel(WAITING);
        let work = move || run(connection, inbox, &wal, announce);
        thread::Builder::new().name("store-writer".to_owned()).spawn(work)?;
        Ok(Self(sender))
    }

    /// Has something done and committed.
    pub(super) async fn write<T, W>(&self, doing: &'static str, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Job { doing, work: Some(work), outcome: None, reply };
        self.0.send(Message::Run(Box::new(job))).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Commits what is waiting, writes the log back and ends the thread.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Close(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn run(
    connection: Connection,
    mut inbox: mpsc::Receiver<Message>,
    wal: &Path,
    mut announce: Option<Announcements>,
) {
    let mut messages = Vec::with_capacity(BATCH);
    let mut closing = Vec::new();
    let mut cap = WAL_CAP;
    while inbox.blocking_recv_many(&mut messages, BATCH) > 0 {
        let mut batch = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Run(command) => batch.push(command),
                Message::Close(reply) => {
                    // What was sent before is still received.
                    inbox.close();
                    closing.push(reply);
                }
            }
        }
        if !batch.is_empty() {
            let fate = transact(&connection, &mut batch);
            // Before anybody is answered: what was answered is known to all.
            if let (Fate::Committed, Some(announcements)) = (&fate, &mut announce)
                && let Err(error) = announcements.announce()
            {
                tracing::warn!(%error, "a running collector could not be told; it takes this in within a second");
            }
            for command in batch {
                command.answer(&fate);
            }
            cap = limit_wal(&connection, wal, cap);
        }
    }
    let mut result = finish(connection);
    for reply in closing {
        drop(reply.send(std::mem::replace(&mut result, Err(StoreError::Closed))));
    }
}

/// Runs a batch in one transaction.
fn transact(connection: &Connection, batch: &mut [Box<dyn Command>]) -> Fate {
    let fate = match attempt(connection, batch) {
        Ok(()) => return Fate::Committed,
        Err(fate) => fate,
    };
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction could not be rolled back");
    }
    fate
}

fn attempt(connection: &Connection, batch: &mut [Box<dyn Command>]) -> Result<(), Fate> {
    execute(connection, "BEGIN IMMEDIATE").map_err(Fate::of)?;
    for command in batch {
        execute(connection, "SAVEPOINT command").map_err(Fate::of)?;
        let ran = command.run(connection);
        if matches!(ran, Ran::Full) {
            return Err(Fate::Full);
        }
        if connection.is_autocommit() {
            return Err(Fate::Failed(Arc::new(Undone)));
        }
        if matches!(ran, Ran::Undo) {
            execute(connection, "ROLLBACK TO command").map_err(Fate::of)?;
        }
        execute(connection, "RELEASE command").map_err(Fate::of)?;
    }
    execute(connection, "COMMIT").map_err(Fate::of)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Writes the log back if it has more than `cap` bytes; returns the size at which to look again.
fn limit_wal(connection: &Connection, wal: &Path, cap: u64) -> u64 {
    let size = wal.metadata().map_or(0, |metadata| metadata.len());
    if size <= cap {
        return cap;
    }
    // Everybody waits meanwhile: the store's own readers are done at once, a foreign one is not waited for.
    let outcome = connection.busy_timeout(CHECKPOINT_WAIT).and_then(|()| checkpoint(connection, "TRUNCATE"));
    // Also after a failure: commits are to wait for other programs as long as before.
    let restored = connection.busy_timeout(BUSY);
    let outcome = outcome.and_then(|done| restored.map(|()| done));
    match outcome {
        Ok(true) => WAL_CAP,
        Ok(false) => {
            tracing::warn!(bytes = size, "the write-ahead log grows: somebody keeps reading an old state");
            size.saturating_add(WAL_CAP)
        }
        Err(error) => {
            tracing::warn!(%error, bytes = size, "the write-ahead log could not be written back");
            size.saturating_add(WAL_CAP)
        }
    }
}

/// Writes the whole log back; false if that was in somebody's way. `TRUNCATE` empties it as well, and keeps
/// everybody else from writing while it waits for readers; `PASSIVE` waits for nobody.
fn checkpoint(connection: &Connection, mode: &'static str) -> rusqlite::Result<bool> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// Leaves one file behind, without a log: the last connection that is closed removes it. While another program
/// has the database open, as a collector beside an admin command, the log stays, and nobody waits for
/// this one. Nothing is lost if writing back fails: the log is read at the next start.
fn finish(connection: Connection) -> Result<(), StoreError> {
    let failed = |error| Failure::Database(error).into_error("close");
    checkpoint(&connection, "PASSIVE").map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A database with something in its log, and the log's path.
    fn database(folder: &Path) -> (Connection, PathBuf) {
        let connection = Connection::open(folder.join("a.db")).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1)")
            .unwrap();
        (connection, folder.join("a.db-wal"))
    }

    #[test]
    fn a_log_that_cannot_be_written_back_does_not_shorten_later_waits() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, wal) = database(folder.path());
        connection.busy_timeout(BUSY).unwrap();
        // SQLite refuses to write the log back within a transaction.
        connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
        assert!(limit_wal(&connection, &wal, 0) > WAL_CAP, "the log was written back");
        let wait: i64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).unwrap();
        assert_eq!(u128::try_from(wait).unwrap(), BUSY.as_millis());
    }

    #[test]
    fn closing_waits_for_nobody_who_still_reads() {
        static WAITS: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let (mut connection, _) = database(folder.path());
        let reader = Connection::open(folder.path().join("a.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        connection.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        let count = |_| {
            WAITS.fetch_add(1, Ordering::SeqCst);
            false
        };
        connection.busy_handler(Some(count)).unwrap();
        finish(connection).unwrap();
        assert_eq!(WAITS.load(Ordering::SeqCst), 0);
    }
}
