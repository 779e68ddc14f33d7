//! The agent beside this program: finding it, configuring it, running it as a child.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};

use crate::files;

/// The agent's file name.
const PROGRAM: &str = "offchannel-agent";
/// How long the agent may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(10);
/// How the agent's service has its heap kept; why is said there (`packaging/linux/offchannel-agent.service`).
const HEAP: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=65536:glibc.malloc.tcache_count=0:\
     glibc.malloc.top_pad=16384:glibc.malloc.trim_threshold=32768",
);
/// How much of the agent's log is shown when it fails, in bytes.
const LOG_TAIL: u64 = 2_000;

/// Why the agent could not be run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It is not where it should be.
    #[error("there is no {PROGRAM} in {dir}: build both programs with `cargo build --release`")]
    Missing {
        /// The folder of this program.
        dir: PathBuf,
    },
    /// This program does not know where it is.
    #[error("cannot tell in which folder this program stands")]
    Where(#[source] io::Error),
    /// A file for the agent cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended by itself.
    #[error("it ended by itself ({status}); the end of its log {log}:\n{tail}")]
    Ended {
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
}

/// Finds the agent that was built or installed beside this program.
pub(super) fn find() -> Result<PathBuf, AgentError> {
    let own = std::env::current_exe().map_err(AgentError::Where)?;
    let dir = own.parent().unwrap_or(Path::new("/")).to_owned();
    let program = dir.join(PROGRAM);
    if program.is_file() { Ok(program) } else { Err(AgentError::Missing { dir }) }
}

/// The agent's part of the data folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    root: Option<PathBuf>,
}

impl Folder {
    pub(super) fn new(data: &Path, root: Option<&Path>) -> Result<Self, AgentError> {
        let dir = data.join("agent");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| AgentError::Write { path, source }
        };
        files::make_private_dir(&dir).map_err(failed(&dir))?;
        let root = root.map(|root| root.canonicalize().map_err(failed(root))).transpose()?;
        Ok(Self { dir, root })
    }

    /// Whether the agent has been enrolled before.
    pub(super) fn is_enrolled(&self) -> bool {
        self.dir.join("state").join("identity.json").exists()
    }

    /// Writes the agent's configuration and starts it.
    pub(super) fn start(
        &self,
        program: &Path,
        collector: SocketAddr,
        ca_file: &Path,
        token: Option<&str>,
    ) -> Result<Agent, AgentError> {
        let write = |name: &str, text: &str| {
            let path = self.dir.join(name);
            let written = files::write_private(&path, text.as_bytes());
            written.map(|()| path.clone()).map_err(|source| AgentError::Write { path, source })
        };
        let mut config = toml::Table::new();
        let text = |path: &Path| toml::Value::String(path.display().to_string());
        let mut server = toml::Table::new();
        server.insert("url".to_owned(), toml::Value::String(format!("https://{}", reachable(collector))));
        server.insert("ca_file".to_owned(), text(ca_file));
        config.insert("server".to_owned(), toml::Value::Table(server));
        config.insert("state_dir".to_owned(), text(&self.dir.join("state")));
        let mut check_in = toml::Table::new();
        // One device is no herd, and somebody is looking.
        check_in.insert("splay".to_owned(), toml::Value::Boolean(false));
        config.insert("check_in".to_owned(), toml::Value::Table(check_in));
        if let Some(root) = &self.root {
            let mut scan = toml::Table::new();
            scan.insert("root".to_owned(), text(root));
            config.insert("scan".to_owned(), toml::Value::Table(scan));
        }
        if let Some(token) = token {
            let file = write("enrolment.token", &format!("{token}\n"))?;
            let mut enrolment = toml::Table::new();
            enrolment.insert("token_file".to_owned(), text(&file));
            config.insert("enrolment".to_owned(), toml::Value::Table(enrolment));
        }
        let config = write("agent.toml", &config.to_string())?;
        self.spawn(program, &config)
    }

    fn spawn(&self, program: &Path, config: &Path) -> Result<Agent, AgentError> {
        let log = self.dir.join("agent.log");
        let file = File::options().create(true).append(true).open(&log);
        let file = file.map_err(|source| AgentError::Write { path: log.clone(), source })?;
        let start = |source| AgentError::Start { program: program.to_owned(), source };
        let mut child = Command::new(program)
            .arg("run")
            .arg("--config")
            .arg(config)
            // Its input ends with this process, however that ends: nobody else could end the agent after a
            // SIGKILL, and a second one would find the state folder in use.
            .arg("--stop-at-eof")
            .env(HEAP.0, HEAP.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(file))
            // Ctrl-C in the terminal reaches this program alone, which then ends both in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let input = child.stdin.take();
        Ok(Agent { child, _input: input, log })
    }
}

/// The running agent.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    /// Kept open, and apart from the child: waiting for a child closes the input that it holds.
    _input: Option<ChildStdin>,
    log: PathBuf,
}

impl Agent {
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Resolves if the agent ends by itself.
    pub(super) async fn ended(&mut self) -> AgentError {
        let status = match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        };
        AgentError::Ended { status, log: self.log.clone(), tail: tail(&self.log).unwrap_or_default() }
    }

    /// Asks the agent to stop, waits for its goodbye, and ends it if it takes too long.
    pub(super) async fn stop(mut self) -> Result<(), AgentError> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Without an id it has ended already.
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
            if tokio::time::timeout(GOODBYE, self.child.wait()).await.is_err() {
                tracing::warn!("the agent did not stop in time and was ended");
                let _ = self.child.kill().await;
            }
        }
        Ok(())
    }
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// An address under which this machine reaches itself.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_has_the_heap_that_its_service_gives_it() {
        let unit = include_str!("../../../packaging/linux/offchannel-agent.service");
        let given: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("Environment=")).collect();
        let (name, value) = HEAP;
        assert_eq!(given, [format!("{name}={value}")]);
    }
}
