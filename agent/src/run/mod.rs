//! The daemon: one loop that carries out what [`Core`] decides.
//!
//! One thread runs it; scans run beside it on a thread of the runtime's, so that a slow disk delays
//! neither signals nor answers.

mod answers;
mod core;
mod events;
mod inventory;
mod policy;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod unread;

use std::future::{Future, pending};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offchannel_shared::error_chain::error_chain;
use offchannel_shared::signing::{KeyError, SigningKey};
use offchannel_shared::wire::{GoodbyeReason, GoodbyeRequest, SCHEMA};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub use core::{AGENT_VERSION, Core, preview};
pub use events::{Chance, Moment, ScanOrder, Scanned, Settings};
pub use inventory::{OwnHealth, bounded, reportable};
pub use policy::InForce;

use crate::client::{Client, Outcome, Request, Signer};
use crate::clock::Clock;
use crate::confinement::Confinement;
use crate::identity::Identity;
use crate::platform::supervisor;
use crate::scan::scanner::Scanner;
use crate::state::{Folder, Memory, SealKey};
use crate::watch::{Hints, Watcher};

/// Longest wait for the collector when the agent ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an agent runs at least before it ends to be started anew: less often than supervisors give up at.
const LIFE_MIN: Duration = Duration::from_secs(120);

/// Why the agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The key in the identity file is of no use.
    #[error("the device's key cannot be used; enrol again")]
    Key(#[source] KeyError),
    /// The system gives no random bytes.
    #[error("cannot get random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// The agent has to be started anew to look into a folder that has come.
    #[error("a folder has come that only an agent which is started anew may look into")]
    Outgrown,
    /// A scan ended in a panic, which is a bug.
    #[error("a scan broke off")]
    Scan(#[source] tokio::task::JoinError),
}

/// What the daemon works with.
#[derive(Debug)]
pub struct Parts {
    /// Where it keeps its files; locked by the caller.
    pub folder: Folder,
    /// Who it is.
    pub identity: Identity,
    /// What it remembers.
    pub memory: Memory,
    /// What that is sealed with.
    pub seal: SealKey,
    /// Seconds to the first check-in, if it was enrolled just now.
    pub first_check_in: Option<u32>,
    /// The way to the collector.
    pub client: Client,
    /// What it looks at.
    pub scanner: Scanner,
    /// What it may look at, if it was confined.
    pub confinement: Option<Confinement>,
    /// Whether the first check-in waits its turn among all devices.
    pub splay: bool,
    /// Time between two safety scans.
    pub safety_interval: Duration,
}

/// Runs until `stop` completes.
///
/// # Errors
/// [`RunError`]. Whatever can pass by itself is none.
pub async fn run(parts: Parts, clock: &Clock, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let Parts {
        folder,
        identity,
        memory,
        seal,
        first_check_in,
        client,
        scanner,
        confinement,
        splay,
        safety_interval,
    } = parts;
    let key = Arc::new(identity.seed.key().map_err(RunError::Key)?);
    let mut record = memory.record;
    let mut unsaved = !memory.saved || record.enrolment.as_ref() != Some(&identity.enrolment);
    // The identity is the truth; the record repeats it for those who may not read secrets.
    record.enrolment = Some(identity.enrolment.clone());
    let keys = &identity.enrolment.signing_keys;
    let kept = memory.policy.as_ref().map(|envelope| InForce::kept(envelope, keys, record.policy_version));
    let policy = match kept {
        Some(Ok(policy)) => Some(policy),
        Some(Err(error)) => {
            let why =
                format!("the stored policy cannot be used ({}); it is asked for again", error_chain(&error));
            tracing::error!("{why}");
            record.note = Some(why);
            unsaved = true;
            None
        }
        None => None,
    };
    for what in &memory.damaged {
        tracing::error!("{what}");
    }
    let settings = Settings {
        device: identity.enrolment.device_id.clone(),
        signing_keys: keys.clone(),
        platform: scanner.host().platform(),
        safety_interval,
        splay,
        first_check_in,
        unsaved,
    };
    let (watcher, hints) = Watcher::new();
    let core = Core::new(settings, record, policy, moment(clock), chance()?);
    let device = identity.enrolment.device_id.as_str().to_owned();
    tracing::info!(%device, server = %client.server(), "the agent runs");
    let mut daemon = Daemon {
        core,
        folder,
        seal,
        client,
        key,
        device: device.into(),
        clock: *clock,
        eyes: Some(Eyes { scanner, watcher, confinement }),
        scan: None,
        exchange: None,
    };
    let end = daemon.work(&hints, stop).await?;
    daemon.end(end).await
}

/// What looks at the device; lent to the thread that scans.
struct Eyes {
    scanner: Scanner,
    watcher: Watcher,
    confinement: Option<Confinement>,
}

/// A scan is done.
struct Looked {
    eyes: Eyes,
    scanned: Scanned,
    /// Whether there is a folder to look into that the agent was not allowed when it started.
    outgrown: bool,
}

/// Why the loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Somebody wants it.
    Asked,
    /// It is to be started anew at once.
    Outgrown,
}

struct Daemon {
    core: Core,
    folder: Folder,
    seal: SealKey,
    client: Client,
    key: Arc<SigningKey>,
    device: Arc<str>,
    clock: Clock,
    eyes: Option<Eyes>,
    scan: Option<JoinHandle<Looked>>,
    exchange: Option<Pin<Box<dyn Future<Output = Outcome>>>>,
}

impl Daemon {
    async fn work(&mut self, hints: &Hints, stop: impl Future<Output = ()>) -> Result<End, RunError> {
        tokio::pin!(stop);
        loop {
            self.carry_out()?;
            let now = moment(&self.clock);
            let wait = self.core.poll_timeout(now).saturating_sub(now.mono);
            tokio::select! {
                () = &mut stop => return Ok(End::Asked),
                done = some(&mut self.scan) => {
                    self.scan = None;
                    let Looked { eyes, scanned, outgrown } = done.map_err(RunError::Scan)?;
                    self.eyes = Some(eyes);
                    self.core.handle_scanned(scanned, moment(&self.clock), chance()?);
                    if outgrown && supervisor::is_there() && self.clock.elapsed() >= LIFE_MIN {
                        return Ok(End::Outgrown);
                    }
                }
                outcome = some(&mut self.exchange) => {
                    self.exchange = None;
                    self.core.handle_outcome(outcome, moment(&self.clock), chance()?);
                }
                hint = hints.next() => self.core.handle_hint(hint, moment(&self.clock)),
                () = sleep(wait) => self.core.handle_timeout(moment(&self.clock)),
            }
        }
    }

    /// Does everything that the core wants now: store, then save, then send and scan.
    fn carry_out(&mut self) -> Result<(), RunError> {
        let now = moment(&self.clock);
        if let Some(envelope) = self.core.poll_policy() {
            let stored = logged(self.folder.save_policy(envelope));
            self.core.handle_policy_stored(stored, now);
        }
        self.save(now)?;
        if let Some(request) = self.core.poll_send(now) {
            self.exchange = Some(Box::pin(self.exchange(request, now)));
        }
        // The core wants one scan at a time, so the eyes are here whenever it wants one.
        if self.eyes.is_some()
            && let Some(order) = self.core.poll_scan(now)
            && let Some(eyes) = self.eyes.take()
        {
            let clock = self.clock;
            self.scan = Some(tokio::task::spawn_blocking(move || look(eyes, &order, &clock)));
        }
        Ok(())
    }

    fn save(&mut self, now: Moment) -> Result<(), RunError> {
        if let Some(record) = self.core.poll_save(now) {
            let saved = logged(self.folder.save_record(record, &self.seal));
            self.core.handle_saved(saved, now, chance()?);
        }
        Ok(())
    }

    fn exchange(&self, request: Request, now: Moment) -> impl Future<Output = Outcome> + use<> {
        let (client, key, device) = (self.client.clone(), Arc::clone(&self.key), Arc::clone(&self.device));
        let now = self.core.time(now.wall);
        async move { client.exchange(&request, Signer { key: &key, key_id: &device, now }).await }
    }

    /// Hears the answer that is under way, saves what is only in memory and says goodbye. Nothing here
    /// may keep the system waiting for long.
    async fn end(mut self, end: End) -> Result<(), RunError> {
        if let Some(exchange) = self.exchange.take()
            && let Ok(outcome) = timeout(GOODBYE_TIMEOUT, exchange).await
        {
            self.core.handle_outcome(outcome, moment(&self.clock), chance()?);
        }
        self.core.handle_stop();
        let now = moment(&self.clock);
        // `poll_save` would wait after a failure; this is the last chance.
        if self.core.is_unsaved() {
            logged(self.folder.save_record(self.core.record(), &self.seal));
        }
        if end == End::Outgrown {
            return Err(RunError::Outgrown);
        }
        let goodbye = Request::Goodbye(GoodbyeRequest { schema: SCHEMA, reason: GoodbyeReason::Stop });
        match timeout(GOODBYE_TIMEOUT, self.exchange(goodbye, now)).await {
            Ok(Outcome::Accepted(_)) => tracing::info!("the agent ends"),
            // Only a courtesy: the collector notices the silence by itself.
            Ok(_) | Err(_) => tracing::info!("the agent ends; the collector could not be told"),
        }
        Ok(())
    }
}

/// Scans, after watching was set up if the order says so.
fn look(mut eyes: Eyes, order: &ScanOrder, clock: &Clock) -> Looked {
    let at = clock.now();
    let mut outgrown = false;
    let coverage = order.replan.then(|| {
        let wanted = eyes.scanner.watch_dirs();
        let confinement = eyes.confinement.as_ref();
        let host = eyes.scanner.host();
        let folders = || wanted.keys().map(PathBuf::as_path);
        outgrown = confinement.is_some_and(|known| known.is_outgrown(host.root(), folders()));
        if outgrown {
            // Without its name, which may be a user's.
            tracing::warn!("a folder has come that the agent may not look into until it is started anew");
        }
        eyes.watcher.update(&wanted, host.root(), &host.homes())
    });
    if order.forget {
        eyes.scanner.forget();
    }
    let scan = eyes.scanner.scan(&order.catalogue, order.only.as_ref(), clock);
    let facts = bounded(eyes.scanner.host().facts());
    Looked { eyes, scanned: Scanned { inventory: scan.inventory, facts, coverage, at }, outgrown }
}

/// Waits for what may not be there.
async fn some<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Whether it worked; if not, the log says why.
fn logged(result: Result<(), crate::state::StateError>) -> bool {
    if let Err(error) = &result {
        tracing::error!("{}; nothing new is reported until this works", error_chain(error));
    }
    result.is_ok()
}

fn moment(clock: &Clock) -> Moment {
    Moment { wall: clock.now(), mono: clock.elapsed() }
}

fn chance() -> Result<Chance, RunError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(RunError::Random)?;
    Ok(Chance { number: getrandom::u64().map_err(RunError::Random)?, id })
}
