//! The core against a collector that gets lost requests, answers and power, in virtual time.

mod collector;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use offchannel_shared::catalogue::{AppKind, Catalogue};
use offchannel_shared::device::{DeviceFacts, Placement, Platform};
use offchannel_shared::ids::{AppId, DeviceId, Epoch};
use offchannel_shared::inventory::{Grade, Health, Inventory, Scope, Sighting};
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::{BUNDLE_SCHEMA, BUNDLE_TYPE, Bundle, parse};
use offchannel_shared::signing::{Envelope, SigningKey};
use proptest::prelude::*;

use self::collector::Collector;
use super::core::Core;
use super::events::{Chance, Moment, Notes, Scanned, Settings};
use super::policy::InForce;
use crate::client::{ClientError, Outcome, Request};
use crate::identity::{Enrolment, Identity, Seed};
use crate::state::Record;
use crate::watch::{Coverage, Hint, Sources};

/// When every simulation starts.
pub(super) const START: i64 = 1_800_000_000;

/// What becomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Works,
    /// Requests get lost.
    Cut,
    /// Requests arrive, answers get lost.
    LosesAnswers,
    /// The collector asks for patience.
    Busy,
}

/// A device and its collector.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) disk: Record,
    /// The identity file.
    pub(super) identity: Identity,
    pub(super) settings: Settings,
    pub(super) now: Duration,
    pub(super) apps: BTreeSet<AppId>,
    pub(super) network: Network,
    pub(super) disk_full: bool,
    pub(super) collector: Collector,
    pub(super) writes: u32,
    pub(super) noticed: u64,
    pub(super) forgets: u32,
    random: u64,
    policy: InForce,
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

/// A signed policy that prohibits consumer messengers.
pub(super) fn bundle(version: u64, more: &str, key: &SigningKey) -> Envelope {
    let text = format!(
        "schema = 1\nname = \"Test\"\nstale_after = \"7d\"\ncheck_in_every = \"5m\"\n\
         [[rule]]\nid = \"r\"\nverdict = \"prohibited\"\nkinds = [\"consumer\"]\nseverity = \"high\"\nreason = \"x\"\n\
         grades = [\"installed\"]\n{more}"
    );
    let at = |second| Timestamp::from_second(second).unwrap();
    let bundle = Bundle {
        schema: BUNDLE_SCHEMA,
        version,
        issued_at: at(START),
        expires_at: at(START + 30 * 86_400),
        placement: Placement::default(),
        policy: parse(&text).unwrap().policy,
    };
    Envelope::seal(BUNDLE_TYPE, &serde_json::to_vec(&bundle).unwrap(), key)
}

pub(super) fn app(number: usize) -> AppId {
    let catalogue = Catalogue::built_in();
    let consumer: Vec<_> = catalogue.apps().into_iter().filter(|app| app.kind == AppKind::Consumer).collect();
    AppId::new(consumer[number].id.to_string()).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let policy = InForce::kept(&bundle(1, "", &key(1)), &[key(1).public().clone()], 0).unwrap();
        let mut disk = Record::new(Epoch::from_random([1; 16]));
        disk.policy_version = 1;
        let identity = identity();
        let (started, first) = (moment(Duration::ZERO), Some(policy.clone()));
        let keys = vec![identity.seed.key().unwrap().public().clone()];
        let mut world = Self {
            core: Core::new(settings(), identity.clone(), disk.clone(), first, started, chance(0)),
            disk,
            identity,
            settings: settings(),
            now: Duration::ZERO,
            apps: BTreeSet::new(),
            network: Network::Works,
            disk_full: false,
            collector: Collector { keys, ..Collector::default() },
            writes: 0,
            noticed: 0,
            forgets: 0,
            random: 7,
            policy,
        };
        world.restart();
        world
    }

    /// The process is killed and started again with what is on disk.
    pub(super) fn restart(&mut self) {
        let chance = self.chance();
        let policy = Some(self.policy.clone());
        let (settings, identity) = (self.settings.clone(), self.identity.clone());
        self.core = Core::new(settings, identity, self.disk.clone(), policy, moment(self.now), chance);
    }

    pub(super) fn toggle(&mut self, number: usize) {
        let app = app(number);
        if !self.apps.remove(&app) {
            self.apps.insert(app);
        }
        self.noticed += 1;
        self.hint();
    }

    pub(super) fn hint(&mut self) {
        self.core.handle_hint(Hint { sources: Sources::from(["dpkg"]), ..Hint::default() }, moment(self.now));
    }

    /// Lets time pass and does what the core wants, but at most so many things; whatever comes after
    /// is lost, as by a kill. Returns how many were done.
    pub(super) fn pass(&mut self, length: Duration, mut most: u32) -> u32 {
        let end = self.now + length;
        let mut done = 0;
        for rounds in 0.. {
            assert!(rounds < 100_000, "the core never rests at {:?}", self.now);
            let now = moment(self.now);
            let mut step = |done: &mut u32| {
                let may = most > 0;
                most = most.saturating_sub(1);
                *done += u32::from(may);
                may
            };
            if let Some(envelope) = self.core.poll_policy().cloned() {
                if !step(&mut done) {
                    return done;
                }
                if !self.disk_full {
                    self.policy = InForce::kept(&envelope, &[key(1).public().clone()], 0).unwrap();
                }
                self.core.handle_policy_stored(!self.disk_full, now);
            }
            if let Some(record) = self.core.poll_save(now) {
                if !step(&mut done) {
                    return done;
                }
                if !self.disk_full {
                    self.disk = record.clone();
                    self.writes += 1;
                }
                let chance = self.chance();
                self.core.handle_saved(!self.disk_full, now, chance);
            }
            if self.core.poll_new_key(now) {
                let number = self.chance().number;
                let mut seed = [5; 32];
                seed[..8].copy_from_slice(&number.to_be_bytes());
                self.core.handle_new_key(Seed::from_random(seed));
            }
            if let Some(identity) = self.core.poll_identity(now) {
                if !step(&mut done) {
                    return done;
                }
                if !self.disk_full {
                    self.identity = identity.clone();
                }
                let chance = self.chance();
                self.core.handle_identity_saved(!self.disk_full, now, chance);
            }
            if let Some(request) = self.core.poll_send(now) {
                if !step(&mut done) {
                    return done;
                }
                let outcome = self.deliver(&request);
                if !step(&mut done) {
                    return done;
                }
                let chance = self.chance();
                self.core.handle_outcome(outcome, now, chance);
                continue;
            }
            if let Some(order) = self.core.poll_scan(now) {
                self.forgets += u32::from(order.forget);
                let scanned = Scanned {
                    inventory: self.found(),
                    facts: facts(),
                    coverage: order.replan.then(|| Coverage { polled: Sources::new(), health: Health::Ok }),
                    at: now.wall,
                };
                let chance = self.chance();
                self.core.handle_scanned(scanned, now, chance);
                continue;
            }
            let next = self.core.poll_timeout(now);
            if next > end {
                self.now = end;
                return done;
            }
            self.now = next.max(self.now);
            self.core.handle_timeout(moment(self.now));
        }
        done
    }

    fn deliver(&mut self, request: &Request) -> Outcome {
        let lost = || {
            Outcome::Unreachable(ClientError::Connect("c".to_owned(), std::io::ErrorKind::TimedOut.into()))
        };
        match self.network {
            Network::Cut => lost(),
            Network::Busy => Outcome::Later { status: 503, retry_after: Some(Duration::from_secs(30)) },
            Network::Works => self.asked(request),
            Network::LosesAnswers => {
                self.asked(request);
                lost()
            }
        }
    }

    fn asked(&mut self, request: &Request) -> Outcome {
        let signed_with = self.core.key().unwrap().public().clone();
        self.collector.answer(request, &signed_with, self.now)
    }

    /// Whether the device and the collector have the same key, and nothing is under way.
    pub(super) fn agrees(&self) -> bool {
        let known = self.collector.keys.last();
        [&self.identity, self.core.identity()]
            .into_iter()
            .all(|identity| identity.next.is_none() && known == Some(identity.seed.key().unwrap().public()))
    }

    fn found(&self) -> Inventory {
        let sighting = |app: &AppId| Sighting {
            app: app.clone(),
            source: "dpkg".to_owned(),
            namespace: Namespace::Dpkg,
            identifier: app.to_string(),
            scope: Scope::System,
            grade: Grade::Installed,
            version: None,
        };
        Inventory { sightings: self.apps.iter().map(sighting).collect(), ..Inventory::default() }
    }

    fn chance(&mut self) -> Chance {
        // An odd multiplier of the golden ratio: spread enough for jitter, the same in every run.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chance(self.random)
    }

    /// Whether the collector knows exactly what is on the device.
    pub(super) fn is_known(&self) -> bool {
        self.collector.current.as_ref().is_some_and(|report| {
            report.inventory.sightings.iter().map(|s| s.app.clone()).collect::<BTreeSet<_>>() == self.apps
        })
    }
}

/// A device that was enrolled when the simulation starts.
pub(super) fn identity() -> Identity {
    let enrolment = Enrolment {
        device_id: DeviceId::from_random([3; 16]),
        server: "https://c".to_owned(),
        signing_keys: vec![key(1).public().clone()],
    };
    let start = Timestamp::from_second(START).unwrap();
    Identity::new(Seed::from_random([11; 32]), enrolment, "m1".to_owned(), start)
}

fn settings() -> Settings {
    Settings {
        platform: Platform::Linux,
        rotate_every: Some(Duration::from_secs(30 * 86_400)),
        copied: false,
        notes: Notes::default(),
        safety_interval: Duration::from_secs(900),
        splay: true,
        first_check_in: None,
        unsaved: false,
    }
}

fn facts() -> DeviceFacts {
    DeviceFacts {
        hostname: "h".to_owned(),
        platform: Platform::Linux,
        os: "o".to_owned(),
        arch: "a".to_owned(),
        machine: String::new(),
    }
}

pub(super) fn moment(now: Duration) -> Moment {
    let wall = Timestamp::from_second(START).unwrap().checked_add(now).unwrap();
    Moment { wall, mono: now }
}

pub(super) fn chance(number: u64) -> Chance {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Chance { number, id }
}

#[derive(Debug, Clone)]
enum Event {
    Toggle(usize),
    Network(Network),
    DiskFull(bool),
    /// Time passes; the process is killed after so many effects.
    Kill(u64, u32),
    Pass(u64),
    /// The disk image is put back to what it was when this was last asked.
    Restore,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let network = prop_oneof![
        Just(Network::Works),
        Just(Network::Cut),
        Just(Network::LosesAnswers),
        Just(Network::Busy)
    ];
    let event = prop_oneof![
        6 => (0usize..6).prop_map(Event::Toggle),
        3 => network.prop_map(Event::Network),
        1 => any::<bool>().prop_map(Event::DiskFull),
        3 => (0u64..400_000, 0u32..8).prop_map(|(millis, most)| Event::Kill(millis, most)),
        4 => (0u64..1_000_000).prop_map(Event::Pass),
        1 => Just(Event::Restore),
    ];
    proptest::collection::vec(event, 0..40)
}

proptest! {
    #[test]
    fn whatever_happens_the_collector_learns_the_truth_in_the_end(events in events()) {
        let mut world = World::new();
        let mut image = world.disk.clone();
        for event in events {
            match event {
                Event::Toggle(number) => world.toggle(number),
                Event::Network(network) => world.network = network,
                Event::DiskFull(full) => world.disk_full = full,
                Event::Kill(millis, most) => {
                    world.pass(Duration::from_millis(millis), most);
                    world.restart();
                }
                Event::Pass(millis) => {
                    world.pass(Duration::from_millis(millis), u32::MAX);
                }
                Event::Restore => {
                    let older = std::mem::replace(&mut image, world.disk.clone());
                    // A restored image comes with a restart. It is only told from the original once the
                    // collector has a later revision, so let it have that before.
                    if older.epoch == world.disk.epoch && older.revision < world.disk.acknowledged {
                        world.disk = older;
                        world.collector.restored = true;
                        world.restart();
                        world.network = Network::Works;
                        world.disk_full = false;
                        world.pass(Duration::from_secs(3600), u32::MAX);
                    }
                }
            }
        }
        world.network = Network::Works;
        world.disk_full = false;
        world.pass(Duration::from_secs(2 * 3600), u32::MAX);
        prop_assert!(world.is_known(), "{:?}\n{:?}", world.apps, world.collector.current);
        prop_assert!(world.disk.is_acknowledged());
        prop_assert!(world.disk.transitions.is_empty() && world.disk.trouble.is_none());
    }

    #[test]
    fn without_kills_no_transition_is_lost_or_doubled(
        toggles in proptest::collection::vec((0usize..4, 0u64..600_000, 0u8..4), 1..25)
    ) {
        let mut world = World::new();
        world.pass(Duration::from_secs(60), u32::MAX);
        for (number, millis, network) in toggles {
            world.network = match network {
                0 => Network::Cut,
                1 => Network::LosesAnswers,
                2 => Network::Busy,
                _ => Network::Works,
            };
            world.toggle(number);
            // Longer than the debounce, so that each change is seen by a scan of its own.
            world.pass(Duration::from_millis(1_100 + millis), u32::MAX);
        }
        world.network = Network::Works;
        world.pass(Duration::from_secs(2 * 3600), u32::MAX);
        prop_assert!(world.is_known());
        prop_assert_eq!(world.disk.transitions_lost, 0);
        let mut told: Vec<_> = world.collector.transitions.iter().map(|t| (t.at, t.sighting.app.clone())).collect();
        told.sort();
        prop_assert_eq!(told.len() as u64, world.noticed, "{:?}", world.collector.transitions);
    }
}
