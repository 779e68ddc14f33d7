//! Events in a file, one in each line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;
use tokio::sync::Mutex;

use super::event;
use crate::channels::{Channel, Tried};
use crate::domain::delivery::{Attempt, Delivery};

/// Who may read a file that is made: whoever ships it on is to be in the collector's group.
const MODE: u32 = 0o640;

/// Appends events to a file.
#[derive(Debug)]
pub struct Appended {
    name: ChannelName,
    path: Arc<PathBuf>,
    /// One line at a time.
    writing: Mutex<()>,
}

impl Appended {
    /// Makes the channel; the file is made with the first event.
    pub fn new(name: ChannelName, path: PathBuf) -> Self {
        Self { name, path: Arc::new(path), writing: Mutex::new(()) }
    }
}

#[async_trait]
impl Channel for Appended {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, delivery: &Delivery, now: Timestamp) -> Attempt {
        self.try_out(delivery, now).await.attempt
    }

    async fn try_out(&self, delivery: &Delivery, _: Timestamp) -> Tried {
        let line = match event::render(delivery) {
            Ok(line) => line,
            Err(error) => {
                let error = format!("the notification cannot be written as JSON: {error}");
                return Tried { attempt: Attempt::GiveUp { error }, said: None };
            }
        };
        let _one = self.writing.lock().await;
        let path = Arc::clone(&self.path);
        let appended = tokio::task::spawn_blocking(move || append(&path, &line)).await;
        match appended.map_err(io::Error::other).flatten() {
            Ok(length) => Tried {
                attempt: Attempt::Delivered,
                said: Some(format!(
                    "a line was appended to {}, which has {length} bytes now",
                    self.path.display()
                )),
            },
            Err(error) => {
                let error = format!("cannot append to {}: {error}", self.path.display());
                Tried { attempt: Attempt::Retry { error, after: None }, said: None }
            }
        }
    }
}

/// Appends a line and syncs it; returns how long the file is then.
fn append(path: &Path, line: &[u8]) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
    let mut whole = Vec::with_capacity(line.len() + 2);
    if cut_off(&mut file)? {
        whole.push(b'\n');
    }
    whole.extend_from_slice(line);
    whole.push(b'\n');
    file.write_all(&whole)?;
    file.sync_data()?;
    Ok(file.metadata()?.len())
}

/// Whether the last line of a file has no end.
fn cut_off(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::Value;

    use super::*;
    use crate::channels::samples;

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
    }

    #[tokio::test]
    async fn each_event_is_a_line_also_after_the_file_was_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.jsonl");
        let channel = Arc::new(Appended::new(ChannelName::new("lake").unwrap(), path.clone()));
        let delivery = samples::delivery(samples::prohibited("sam\n-laptop", "a\u{2028}b"));
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (channel, delivery) = (Arc::clone(&channel), delivery.clone());
            sending.spawn(async move { channel.send(&delivery, samples::at()).await });
        }
        assert!(sending.join_all().await.iter().all(|attempt| *attempt == Attempt::Delivered));
        assert_eq!(lines(&path).len(), 8);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0);
        fs::rename(&path, folder.path().join("findings.jsonl.1")).unwrap();
        assert_eq!(channel.send(&delivery, samples::at()).await, Attempt::Delivered);
        assert_eq!(lines(&path)[0]["class_uid"], 2003);
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.jsonl");
        fs::write(&path, "{\"class_uid\":20").unwrap();
        let channel = Appended::new(ChannelName::new("lake").unwrap(), path.clone());
        channel.send(&samples::delivery(samples::unit()), samples::at()).await;
        let lines = lines(&path);
        assert_eq!((lines.len(), &lines[0], &lines[1]["class_uid"]), (2, &Value::Null, &2003.into()));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let channel =
            Appended::new(ChannelName::new("lake").unwrap(), folder.path().join("no/findings.jsonl"));
        let attempt = channel.send(&samples::delivery(samples::unit()), samples::at()).await;
        assert!(matches!(attempt, Attempt::Retry { error, .. } if error.starts_with("cannot append to ")));
    }
}
