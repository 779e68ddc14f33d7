//! The daemon: one loop that carries out what [`Core`] decides.
//!
//! One thread runs it; scans run beside it on a thread of the runtime's, so that a slow disk delays
//! neither signals nor answers.

mod anew;
mod answers;
mod core;
mod events;
mod inventory;
mod keys;
mod policy;
#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod unread;

use std::future::{Future, pending};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use offchannel_shared::device::DeviceFacts;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::Epoch;
use offchannel_shared::signing::KeyError;
use offchannel_shared::wire::{GoodbyeReason, GoodbyeRequest, SCHEMA};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub use anew::Renewed;
pub use core::{AGENT_VERSION, Core, preview};
pub use events::{Chance, Moment, Notes, ScanOrder, Scanned, Settings};
pub use inventory::{OwnHealth, bounded, reportable};
pub use keys::assumed_birth;
pub use policy::InForce;

use crate::client::{Client, Outcome, Request, Signer};
use crate::clock::Clock;
use crate::confinement::Confinement;
use crate::enrol::{self, EnrolError, Enrolled, Granted};
use crate::identity::{Identity, is_another};
use crate::platform::shutdown::{self, Fate};
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
    /// Whether the identity was made on another machine.
    pub copied: bool,
    /// What is not in order with the identity.
    pub notes: Notes,
    /// Time between two replacements of the device's key; never, if not given.
    pub rotate_every: Option<Duration>,
    /// Where a token to enrol again with may lie.
    pub token_file: Option<PathBuf>,
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

/// Runs until `stop` completes, which says what becomes of the device if whoever asked said so.
///
/// # Errors
/// [`RunError`]. Whatever can pass by itself is none.
pub async fn run(
    parts: Parts,
    clock: &Clock,
    stop: impl Future<Output = Option<Fate>>,
) -> Result<(), RunError> {
    let Parts { folder, identity, memory, seal, client, scanner, confinement, token_file, .. } = parts;
    // Sooner than with the first request.
    identity.seed.key().map_err(RunError::Key)?;
    let mut record = memory.record;
    let machine = scanner.host().machine();
    let other = is_another(&record.machine, &machine);
    let noted = record.is_on(&machine, Epoch::from_random(chance()?.id));
    if other {
        tracing::warn!("what was remembered was found on another machine; a new epoch was started");
    }
    let mut unsaved = noted || !memory.saved || record.enrolment.as_ref() != Some(&identity.enrolment);
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
            record.add_note(&why);
            unsaved = true;
            None
        }
        None => None,
    };
    for what in &memory.damaged {
        tracing::error!("{what}");
    }
    let settings = Settings {
        platform: scanner.host().platform(),
        rotate_every: parts.rotate_every,
        copied: parts.copied,
        notes: parts.notes,
        safety_interval: parts.safety_interval,
        splay: parts.splay,
        first_check_in: parts.first_check_in,
        unsaved,
    };
    let (watcher, hints) = Watcher::new();
    tracing::info!(device = %identity.enrolment.device_id, server = %client.server(), "the agent runs");
    let core = Core::new(settings, identity, record, policy, moment(clock), chance()?);
    let mut daemon = Daemon {
        core,
        folder,
        seal,
        client,
        token_file,
        clock: *clock,
        eyes: Some(Eyes { scanner, watcher, confinement }),
        scan: None,
        exchange: None,
        enrolling: None,
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
    /// Somebody wants it; what becomes of the device, where that came with it.
    Asked(Option<Fate>),
    /// It is to be started anew at once.
    Outgrown,
}

/// Something that the loop waits for beside everything else.
type UnderWay<T> = Pin<Box<dyn Future<Output = T>>>;

struct Daemon {
    core: Core,
    folder: Folder,
    seal: SealKey,
    client: Client,
    token_file: Option<PathBuf>,
    clock: Clock,
    eyes: Option<Eyes>,
    scan: Option<JoinHandle<Looked>>,
    exchange: Option<UnderWay<Outcome>>,
    enrolling: Option<UnderWay<Result<Granted, EnrolError>>>,
}

impl Daemon {
    async fn work(
        &mut self,
        hints: &Hints,
        stop: impl Future<Output = Option<Fate>>,
    ) -> Result<End, RunError> {
        tokio::pin!(stop);
        loop {
            self.carry_out()?;
            let now = moment(&self.clock);
            let wait = self.core.poll_timeout(now).saturating_sub(now.mono);
            tokio::select! {
                known = &mut stop => return Ok(End::Asked(known)),
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
                granted = some(&mut self.enrolling) => {
                    self.enrolling = None;
                    self.enrolled(granted)?;
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
        if self.core.poll_new_key(now) {
            self.core.handle_new_key(enrol::new_seed().map_err(RunError::Random)?);
        }
        if let Some(identity) = self.core.poll_identity(now) {
            let saved = logged(self.folder.save_identity(identity));
            self.core.handle_identity_saved(saved, now, chance()?);
        }
        if let Some(request) = self.core.poll_send(now) {
            self.exchange = Some(Box::pin(self.exchange(request, now)?));
        }
        if let Some(facts) = self.core.poll_enrol() {
            self.enrol(facts);
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

    fn exchange(
        &self,
        request: Request,
        now: Moment,
    ) -> Result<impl Future<Output = Outcome> + use<>, RunError> {
        let (client, key) = (self.client.clone(), self.core.key().map_err(RunError::Key)?);
        let device = self.core.identity().enrolment.device_id.clone();
        let now = self.core.time(now.wall);
        Ok(async move { client.exchange(&request, Signer { key: &key, key_id: device.as_str(), now }).await })
    }

    /// Enrols again, if there is a token.
    fn enrol(&mut self, facts: DeviceFacts) {
        let Some(file) = self.token_file.as_deref().filter(|file| file.exists()) else { return };
        let token = match enrol::token_from_file(file) {
            Ok(token) => token,
            Err(error) => {
                self.core.handle_not_enrolled(&error_chain(&error).to_string(), moment(&self.clock));
                return;
            }
        };
        tracing::info!("the collector does not know this device; it is enrolled again with the token file");
        self.core.handle_enrolling();
        let (client, folder, clock) = (self.client.clone(), self.folder.clone(), self.clock);
        self.enrolling =
            Some(Box::pin(async move { enrol::ask(&client, &folder, token, facts, &clock).await }));
    }

    /// The collector has answered the enrolment, or not.
    fn enrolled(&mut self, granted: Result<Granted, EnrolError>) -> Result<(), RunError> {
        let (now, chance) = (moment(&self.clock), chance()?);
        let record = self.core.record_to_renew(Epoch::from_random(chance.id));
        match granted.and_then(|granted| enrol::keep(&self.folder, &self.client, granted, record)) {
            Ok(enrolled) => {
                if let Some(file) = &self.token_file {
                    enrol::discard(file);
                }
                let Enrolled { identity, memory, policy, first_check_in } = enrolled;
                if let Some(seal) = &identity.seal {
                    self.seal = seal.clone();
                }
                let renewed = Renewed { identity, record: memory.record, policy, first_check_in };
                self.core.handle_renewed(renewed, now, chance);
            }
            Err(error) => self.core.handle_not_enrolled(&error_chain(&error).to_string(), now),
        }
        Ok(())
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
        if let Some(identity) = self.core.poll_identity(now) {
            logged(self.folder.save_identity(identity));
        }
        // `poll_save` would wait after a failure; this is the last chance.
        if self.core.is_unsaved() {
            logged(self.folder.save_record(self.core.record(), &self.seal));
        }
        let End::Asked(known) = end else { return Err(RunError::Outgrown) };
        let fate = match known {
            Some(fate) => Some(fate),
            None => fate().await,
        };
        let reason = if fate == Some(Fate::GoesDown) { GoodbyeReason::Shutdown } else { GoodbyeReason::Stop };
        let stays_up = fate == Some(Fate::StaysUp);
        let goodbye = Request::Goodbye(GoodbyeRequest { schema: SCHEMA, reason, stays_up });
        match timeout(GOODBYE_TIMEOUT, self.exchange(goodbye, now)?).await {
            Ok(Outcome::Accepted(_)) => tracing::info!("the agent ends"),
            // Only a courtesy: the collector notices the silence by itself.
            Ok(_) | Err(_) => tracing::info!("the agent ends; the collector could not be told"),
        }
        Ok(())
    }
}

/// What becomes of the device, if its system says so soon.
async fn fate() -> Option<Fate> {
    shutdown::fate().await.unwrap_or_else(|error| {
        tracing::info!("cannot tell whether the system goes down: {}", error_chain(&error));
        None
    })
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
