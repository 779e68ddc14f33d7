//! What a policy would change is what its publication then changes.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use offchannel_server::clock::SettableClock;
use offchannel_server::domain::exception::{Covers, Request};
use offchannel_server::domain::finding::Finding;
use offchannel_server::domain::published::Publication;
use offchannel_server::domain::route::Routes;
use offchannel_server::domain::unit::Unit;
use offchannel_server::service::{ExceptionChange, Service, TokenRequest};
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_shared::device::{DeviceFacts, Ownership, Platform};
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{AppId, DeviceId, Epoch};
use offchannel_shared::inventory::{Grade, Inventory, Scope, Sighting};
use offchannel_shared::namespace::Namespace;
use offchannel_shared::signing::SigningKey;
use offchannel_shared::span::Span;
use offchannel_shared::wire::{EnrolRequest, ReportRequest, SCHEMA};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Builder;

const APPS: [&str; 4] = ["signal", "telegram", "microsoft-teams", "whatsapp"];

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

#[derive(Debug, Clone)]
struct Machine {
    platform: Platform,
    personal: bool,
    unit: Option<&'static str>,
    kiosk: bool,
    apps: Vec<(&'static str, Grade)>,
    reports: bool,
}

fn machine() -> impl Strategy<Value = Machine> {
    let grade = prop::sample::select(Grade::ALL.to_vec());
    let apps = prop::collection::vec((prop::sample::select(APPS.to_vec()), grade), 0..4);
    let unit = prop::option::of(prop::sample::select(vec!["sales", "legal"]));
    let platform = prop::sample::select(vec![Platform::Linux, Platform::Windows]);
    (platform, any::<bool>(), unit, any::<bool>(), apps, prop::bool::weighted(0.9)).prop_map(
        |(platform, personal, unit, kiosk, apps, reports)| Machine {
            platform,
            personal,
            unit,
            kiosk,
            apps,
            reports,
        },
    )
}

fn policy() -> impl Strategy<Value = String> {
    let verdict = prop::sample::select(vec!["prohibited", "prohibited", "allowed", "required"]);
    let about = prop::sample::select(vec![
        "apps = [\"signal\"]",
        "apps = [\"telegram\", \"whatsapp\"]",
        "apps = [\"microsoft-teams\"]",
        "apps = [\"signal\"]\nkinds = [\"consumer\"]",
        "apps = [\"acme-chat\"]\nnetworks = [\"whatsapp\"]",
    ]);
    let scope = prop::sample::select(vec![
        "",
        "where = { platform = [\"linux\"] }",
        "where = { unit = [\"sales\"] }",
        "where = { unit = [\"head-office\"] }",
        "where = { label = [\"kiosk\"] }",
        "where = { platform = [\"linux\", \"windows\"], label = [\"kiosk\", \"lab\"] }",
        "where = { ownership = [\"personal\"] }",
    ]);
    let rest = prop::sample::select(vec![
        "",
        "grace = \"10m\"",
        "grace = \"45m\"",
        "effective_from = \"2099-01-01\"",
    ]);
    let rules = prop::collection::vec((verdict, about, scope, rest), 0..4);
    (rules, any::<bool>()).prop_map(|(rules, report)| {
        let mut text = "schema = 1\nname = \"x\"\nstale_after = \"7d\"\n".to_owned();
        if report {
            text += "unreviewed = \"report\"\n";
        }
        for (at, (verdict, about, scope, rest)) in rules.into_iter().enumerate() {
            text += &format!("[[rule]]\nid = \"r{at}\"\nverdict = \"{verdict}\"\n{about}\n{scope}\n{rest}\n");
        }
        // An app of the organisation's own, which takes the place of a built-in one.
        text + "[[app]]\nid = \"acme-chat\"\nname = \"Acme\"\nvendor = \"Acme\"\nkind = \"workplace\"\nnetworks = [\"acme\"]\nofficial = true\nhomepage = \"https://acme.example\"\nmatch = { dpkg = [\"acme-chat\"] }\n"
    })
}

struct Collector {
    service: Service,
    clock: SettableClock,
    folder: Arc<tempfile::TempDir>,
}

impl Collector {
    async fn start() -> Self {
        let clock = SettableClock::at(at(0));
        let collector = Self::on(Arc::new(tempfile::tempdir().unwrap()), clock).await;
        for (id, parent) in [("head-office", None), ("sales", Some("head-office")), ("legal", None)] {
            let (id, parent) = (id.parse().unwrap(), parent.map(|parent| parent.parse().unwrap()));
            let unit = Unit { id, name: String::from("x"), parent, owner: None, label: None };
            collector.service.add_unit(unit, "tests").await.unwrap();
        }
        collector
    }

    /// One on this folder, beside others.
    async fn on(folder: Arc<tempfile::TempDir>, clock: SettableClock) -> Self {
        let options = OpenOptions { create: true, migrate: true, announce: false, now: at(0) };
        let store = SqliteStore::open(&folder.path().join("offchannel.db"), &options).unwrap();
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let service =
            Service::start(store, Arc::new(clock.clone()), key, Routes::default(), Publication::Alone)
                .await
                .unwrap();
        Self { service, clock, folder }
    }

    async fn enrol(&self, number: u8, machine: &Machine) {
        let ownership = if machine.personal { Ownership::Personal } else { Ownership::Corporate };
        let request = TokenRequest {
            label: String::new(),
            ownership,
            unit: machine.unit.map(|unit| unit.parse().unwrap()),
            labels: machine.kiosk.then(|| "kiosk".parse().unwrap()).into_iter().collect(),
            max_uses: 1,
            life: Span::minutes(60),
        };
        let token = self.service.create_token(request).await.unwrap().text;
        let facts = DeviceFacts {
            hostname: format!("host-{number}"),
            platform: machine.platform,
            os: String::new(),
            arch: String::new(),
            machine: String::new(),
        };
        let key = SigningKey::from_seed(&[number; 32]).unwrap();
        let enrolled = self
            .service
            .enrol(EnrolRequest {
                schema: SCHEMA,
                token,
                public_key: key.public().clone(),
                facts: facts.clone(),
                agent_version: "1".to_owned(),
            })
            .await
            .unwrap();
        if !machine.reports {
            return;
        }
        let sighting = |(app, grade): &(&str, Grade)| Sighting {
            app: AppId::new(*app).unwrap(),
            source: "dpkg".to_owned(),
            namespace: Namespace::Dpkg,
            identifier: (*app).to_owned(),
            scope: Scope::System,
            grade: *grade,
            version: None,
        };
        let mut inventory =
            Inventory { sightings: machine.apps.iter().map(sighting).collect(), ..Inventory::default() };
        inventory.normalise();
        let report = ReportRequest {
            schema: SCHEMA,
            epoch: Epoch::from_random([number; 16]),
            revision: 1,
            digest: Digest::of(&inventory),
            observed_at: self.service.now(),
            policy_version: 1,
            agent_version: "1".to_owned(),
            catalogue_version: "x".to_owned(),
            facts,
            inventory,
            transitions: Vec::new(),
            transitions_lost: 0,
        };
        self.service.report(&enrolled.device_id, report).await.unwrap();
    }

    /// Has an app accepted from minute 20 to 40, on a device, in a unit or for a label.
    async fn accept(&self, on: &str, app: &str) {
        let first = self.service.devices(None, 1).await.unwrap().remove(0).device.id;
        let covers = match on {
            "device" => Covers::Device(first),
            "label" => Covers::Label("kiosk".parse().unwrap()),
            unit => Covers::Unit(unit.parse().unwrap()),
        };
        let request = Request {
            covers,
            rule: None,
            app: Some(AppId::new(app).unwrap()),
            reason: "A project.".to_owned(),
            start: at(20),
            end: at(40),
        };
        let asked = self.service.request_exception(request, "ada").await.unwrap();
        let id = asked.exception.id;
        self.service.change_exception(&id, ExceptionChange::Approve, "grace", "").await.unwrap();
    }

    /// Every finding of every device, with how it counts.
    async fn stands(&self) -> BTreeMap<DeviceId, BTreeMap<(String, String), &'static str>> {
        let now = self.service.now();
        let weight = |finding: &Finding| match finding {
            finding if finding.exception.is_some() => "exempt",
            finding if finding.breach_at <= now => "breach",
            _ => "grace",
        };
        let devices = self.service.devices(None, 100).await.unwrap();
        let findings = |findings: &[Finding]| {
            findings.iter().map(|f| ((f.rule.to_string(), f.app.to_string()), weight(f))).collect()
        };
        devices.into_iter().map(|view| (view.device.id, findings(&view.findings))).collect()
    }
}

type Input = (String, String, Vec<Machine>, i64, Option<(&'static str, &'static str)>);

#[test]
fn what_would_change_is_what_changes() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    let on = prop::sample::select(vec!["device", "sales", "head-office", "label"]);
    let accepted = prop::option::of((on, prop::sample::select(APPS.to_vec())));
    let inputs = (policy(), policy(), prop::collection::vec(machine(), 1..6), 0_i64..60, accepted);
    let run = |(first, second, machines, minutes, accepted): Input| {
        runtime.block_on(async {
            let collector = Collector::start().await;
            let service = &collector.service;
            service.publish_policy(&first, "ada", "", None).await.unwrap();
            for (number, machine) in machines.iter().enumerate() {
                collector.enrol(u8::try_from(number).unwrap(), machine).await;
            }
            if let Some((on, app)) = accepted {
                collector.accept(on, app).await;
            }
            collector.clock.set(at(minutes));
            let in_force = u64::from(accepted.is_some() && (20..40).contains(&minutes));
            assert_eq!(service.stats().exceptions_in_force, in_force);
            while service.evaluate_due(100).await.unwrap() > 0 {}
            let before = collector.stands().await;
            let told = service.what_if(&second, 100).await.unwrap();
            assert_eq!(collector.stands().await, before, "asking changes nothing");
            service.publish_policy(&second, "ada", "", None).await.unwrap();
            while service.evaluate_due(100).await.unwrap() > 0 {}
            let after = collector.stands().await;
            let mut expected = before.clone();
            for effect in &told.effects {
                let findings = expected.get_mut(&effect.device).unwrap();
                for change in &effect.changes {
                    let key = (change.rule.to_string(), change.app.to_string());
                    assert_eq!(findings.get(&key).copied(), change.before.map(|weight| weight.as_str()));
                    match change.after {
                        Some(weight) => findings.insert(key, weight.as_str()),
                        None => findings.remove(&key),
                    };
                }
            }
            assert_eq!(expected, after, "{first}\n{second}\n{:#?}", told.effects);
            // The sums are those of the devices.
            let totals = told.totals;
            let gravest = |stands: &BTreeMap<_, &'static str>| {
                ["breach", "grace", "exempt"].into_iter().find(|word| stands.values().any(|one| one == word))
            };
            let became = |word: Option<&str>| {
                let changed = before.keys().filter(|id| gravest(&before[*id]) != gravest(&after[*id]));
                changed.filter(|id| gravest(&after[*id]) == word).count() as u64
            };
            let counted =
                [totals.newly_in_breach, totals.newly_in_grace, totals.newly_exempt, totals.cleared];
            let words = [Some("breach"), Some("grace"), Some("exempt"), None];
            assert_eq!(counted, words.map(became));
            let same = before.keys().filter(|id| before[*id] == after[*id]).count() as u64;
            assert_eq!(totals.unchanged, same);
            assert_eq!(
                totals.devices,
                counted.iter().sum::<u64>() + totals.other_findings + totals.unchanged
            );
            for (rule, app, sums) in &told.rules {
                let key = (rule.to_string(), app.to_string());
                let count = |becomes: fn(Option<&&str>) -> bool| {
                    let changed = before.keys().filter(|id| before[*id].get(&key) != after[*id].get(&key));
                    changed.filter(|id| becomes(after[*id].get(&key))).count() as u64
                };
                assert_eq!(sums.newly_a_breach, count(|word| word == Some(&"breach")), "{rule} {app}");
                assert_eq!(sums.newly_accepted, count(|word| word == Some(&"exempt")), "{rule} {app}");
                assert_eq!(sums.gone, count(|word| word.is_none()), "{rule} {app}");
                assert_eq!(sums.devices, count(|_| true), "{rule} {app}");
            }
            let silent = machines.iter().filter(|machine| !machine.reports).count() as u64;
            assert_eq!(told.not_reported, silent);
        });
        Ok(())
    };
    TestRunner::new(config).run(&inputs, run).unwrap();
}

#[tokio::test]
async fn apps_that_devices_were_not_asked_for_are_named() {
    let collector = Collector::start().await;
    let rule = |app: &str| {
        format!("schema = 1\nname = \"x\"\n[[rule]]\nid = \"no\"\nverdict = \"prohibited\"\napps = [{app}]\n")
    };
    collector.service.publish_policy(&rule("\"signal\""), "ada", "", None).await.unwrap();
    let machine = Machine {
        platform: Platform::Linux,
        personal: false,
        unit: None,
        kiosk: false,
        apps: Vec::new(),
        reports: true,
    };
    collector.enrol(1, &machine).await;
    let told = collector.service.what_if(&rule("\"signal\", \"telegram\""), 10).await.unwrap();
    let apps: Vec<String> = told.unseen.apps.iter().map(ToString::to_string).collect();
    assert_eq!((apps, told.unseen.devices), (vec!["telegram".to_owned()], 1));
    let told = collector.service.what_if(&rule("\"signal\""), 10).await.unwrap();
    assert_eq!(told.unseen, Default::default());
    let whole = format!(
        "{}[[rule]]\nid = \"yes\"\nverdict = \"allowed\"\napps = [\"telegram\"]\n",
        rule("\"signal\"").replace("name =", "unreviewed = \"report\"\nname =")
    );
    assert!(collector.service.what_if(&whole, 10).await.unwrap().unseen.unlisted);
}

#[tokio::test]
async fn what_another_process_accepted_counts() {
    let collector = Collector::start().await;
    let policy =
        "schema = 1\nname = \"x\"\n[[rule]]\nid = \"no\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n";
    collector.service.publish_policy(policy, "ada", "", None).await.unwrap();
    let machine = Machine {
        platform: Platform::Linux,
        personal: false,
        unit: None,
        kiosk: false,
        apps: vec![("signal", Grade::Installed)],
        reports: true,
    };
    collector.enrol(1, &machine).await;
    let beside = Collector::on(Arc::clone(&collector.folder), collector.clock.clone()).await;
    beside.accept("device", "signal").await;
    collector.clock.set(at(30));
    let told = collector.service.what_if(policy, 10).await.unwrap();
    assert_eq!((told.totals.newly_exempt, told.totals.unchanged), (1, 0), "{told:#?}");
}
