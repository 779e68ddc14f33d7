//! The ledger of breaches, and what was decided about them.

use std::sync::Arc;

use offchannel_server::domain::alert::{About, Alert, AlertKind, AlertState};
use offchannel_server::domain::case::Decision;
use offchannel_server::domain::delivery::Delivery;
use offchannel_server::domain::ingest::Refusal;
use offchannel_server::domain::ledger::{Breach, Counted, Measure, Ruling, Whose};
use offchannel_server::domain::placement::PersonRef;
use offchannel_server::domain::subject::{SubjectCase, SubjectDecision};
use offchannel_server::domain::surge::Group;
use offchannel_server::store::{AlertFilter, DecideSubject, LedgerFilter, Store, StoreError};
use offchannel_shared::policy::{Party, Severity};

use super::fixtures::{alert, at, commit, delivery, enrolled, id, nothing, opened, rule, unit_id};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("a breach is in the ledger with the unit and the person of then", kept),
        behaviour("breaches are counted as somebody would count them by hand", counted),
        behaviour("only alerts are followed that are still the case that opened", followed),
        behaviour("breaches are summed up for each unit, person and device", tallied),
        behaviour("new breaches are grouped by the units that they happened in", grouped),
        behaviour(
            "an alert about a unit is kept, listed and changed beside those about devices",
            of_subjects,
        ),
        behaviour("decisions are kept, and are about what there is", ruled),
    ]
}

fn person(name: &str) -> PersonRef {
    PersonRef::new(name).unwrap()
}

fn whose_person(name: &str) -> Whose {
    Whose::Person(person(name))
}

/// A breach of a device: an alert of its own, so many seconds after the start.
fn breach(device: u64, number: u64, seconds: i64, units: &[&str], whose: Option<&str>) -> Breach {
    let of = alert(&id(device), number, "telegram");
    Breach {
        at: at(seconds),
        alert: of.id,
        device: of.about.device().unwrap().clone(),
        kind: of.kind,
        rule: of.rule,
        app: of.app,
        severity: of.severity,
        units: units.iter().map(|unit| unit_id(unit)).collect(),
        person: whose.map(person),
        returned: false,
    }
}

/// Opens the alert that a breach is of.
async fn open(store: &Arc<dyn Store>, breach: &Breach) {
    let breach = breach.clone();
    commit(store, &breach.device.clone(), move |case| {
        let mut alert = alert(&case.device.id, 0, "telegram");
        alert.id = breach.alert.clone();
        alert.kind = breach.kind;
        alert.rule.clone_from(&breach.rule);
        // One alert for each of them.
        alert.app = Some(super::fixtures::app(&format!("app-{}", alert.id.as_str()[20..].to_lowercase())));
        alert.active_since = breach.at;
        let events = vec![opened(&alert)];
        Decision { alerts: vec![alert], events, breaches: vec![breach.clone()], ..nothing(case.device) }
    })
    .await;
}

async fn kept(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    let first = breach(1, 10, 60, &["sales", "head-office"], Some("4711"));
    let second = breach(1, 11, 90, &[], None);
    open(&store, &first).await;
    open(&store, &second).await;
    let entries = store.ledger(LedgerFilter::default()).await.unwrap();
    let kept: Vec<_> = entries.iter().map(|entry| &entry.breach).collect();
    assert_eq!(kept, [&second, &first]);
    assert!(entries[0].sequence > entries[1].sequence);
    let of = async |whose: Whose| {
        let filter = LedgerFilter { whose: Some(whose), ..LedgerFilter::default() };
        store.ledger(filter).await.unwrap().len()
    };
    assert_eq!(of(Whose::Unit(unit_id("head-office"))).await, 1, "with what is below");
    assert_eq!(of(Whose::Unit(unit_id("legal"))).await, 0);
    assert_eq!(of(whose_person("4711")).await, 1);
    assert_eq!(of(Whose::Device(id(1))).await, 2);
    let between = LedgerFilter { since: Some(at(60)), until: Some(at(90)), ..LedgerFilter::default() };
    assert_eq!(store.ledger(between).await.unwrap().len(), 1);
    assert_eq!(store.ledger(LedgerFilter { limit: 1, ..LedgerFilter::default() }).await.unwrap().len(), 1);
}

async fn counted(store: Arc<dyn Store>) {
    let people = [Some("4711"), Some("4712"), None];
    let places: [&[&str]; 4] = [&["sales", "head-office"], &["legal", "head-office"], &["head-office"], &[]];
    let mut all = Vec::new();
    for number in 0..24_u64 {
        if number < 3 {
            enrolled(&store, number).await;
        }
        let place = usize::try_from(number).unwrap();
        let seconds = i64::try_from(number * 7 % 24).unwrap() * 10;
        let mut one = breach(number % 3, 100 + number, seconds, places[place % 4], people[place / 2 % 3]);
        one.severity = Severity::ALL[place % Severity::ALL.len()];
        one.rule = Some(rule(["first", "second"][place / 3 % 2]));
        if number % 5 == 0 {
            one.kind = AlertKind::RequiredAppMissing;
        }
        open(&store, &one).await;
        all.push(one);
    }
    let entries = store.ledger(LedgerFilter::default()).await.unwrap();
    let whose = [
        whose_person("4711"),
        whose_person("4713"),
        Whose::Device(id(2)),
        Whose::Unit(unit_id("head-office")),
        Whose::Unit(unit_id("sales")),
    ];
    for whose in whose {
        for entry in &entries {
            for rules in [vec![], vec![rule("first")]] {
                let counted = Counted {
                    whose: whose.clone(),
                    after: at(55),
                    through: entry.sequence,
                    severity: Severity::Medium,
                    rules: rules.clone(),
                };
                let by_hand = entries.iter().filter(|one| {
                    let breach = &one.breach;
                    let theirs = match &whose {
                        Whose::Device(id) => breach.device == *id,
                        Whose::Person(person) => breach.person.as_ref() == Some(person),
                        Whose::Unit(unit) => breach.units.contains(unit),
                    };
                    theirs
                        && one.sequence <= entry.sequence
                        && breach.at > at(55)
                        && breach.kind != AlertKind::RequiredAppMissing
                        && breach.severity >= Severity::Medium
                        && (rules.is_empty() || rules.contains(breach.rule.as_ref().unwrap()))
                });
                assert_eq!(store.count_breaches(counted).await.unwrap(), by_hand.count() as u64, "{whose}");
            }
        }
    }
}

async fn followed(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    for number in 10..14 {
        open(&store, &breach(1, number, i64::try_from(number).unwrap(), &[], None)).await;
    }
    commit(&store, &id(1), |case| {
        let mut alerts = case.alerts;
        for alert in &mut alerts {
            if alert.id == id(11) {
                alert.state = AlertState::Resolved;
            }
            if alert.id == id(12) {
                alert.active_since = at(500);
            }
        }
        Decision { alerts, ..nothing(case.device) }
    })
    .await;
    let alerts = async |after, limit| {
        let followed = store.follow_ledger(after, limit).await.unwrap();
        let alerts: Vec<_> = followed.entries.iter().map(|entry| entry.breach.alert.clone()).collect();
        (alerts, followed.through)
    };
    let entries = store.ledger(LedgerFilter::default()).await.unwrap();
    let (first, last) = (entries[3].sequence, entries[0].sequence);
    assert_eq!(alerts(0, 10).await, (vec![id(10), id(13)], last));
    assert_eq!(alerts(0, 1).await, (vec![id(10)], first));
    assert_eq!(alerts(first, 1).await, (vec![id(13)], last));
    assert_eq!(alerts(last, 10).await, (vec![], last));
}

async fn tallied(store: Arc<dyn Store>) {
    for device in 1..=2 {
        enrolled(&store, device).await;
    }
    open(&store, &breach(1, 10, 10, &["sales", "head-office"], Some("4711"))).await;
    open(&store, &breach(2, 11, 20, &["sales", "head-office"], Some("4711"))).await;
    open(&store, &breach(2, 12, 30, &["head-office"], None)).await;
    store.rule(ruling(Whose::Unit(unit_id("sales")), "first")).await.unwrap();
    store.rule(ruling(Whose::Unit(unit_id("sales")), "second")).await.unwrap();
    let tally = async |party, filter: LedgerFilter| {
        let tallies = store.tally(party, filter).await.unwrap();
        let said = |tally: offchannel_server::domain::ledger::Tally| {
            let ruling = tally.ruling.map(|ruling| ruling.text);
            (tally.whose.id().to_owned(), tally.breaches, tally.devices, tally.active, tally.last_at, ruling)
        };
        tallies.into_iter().map(said).collect::<Vec<_>>()
    };
    let second = || Some("second".to_owned());
    assert_eq!(
        tally(Party::Unit, LedgerFilter::default()).await,
        [("head-office".to_owned(), 3, 2, 3, at(30), None), ("sales".to_owned(), 2, 2, 2, at(20), second())]
    );
    let people = [("4711".to_owned(), 2, 2, 2, at(20), None)];
    assert_eq!(tally(Party::Person, LedgerFilter::default()).await, people);
    let late = LedgerFilter { since: Some(at(20)), ..LedgerFilter::default() };
    assert_eq!(tally(Party::Person, late).await[0].1, 1);
    let of_sales = LedgerFilter { whose: Some(Whose::Unit(unit_id("sales"))), ..LedgerFilter::default() };
    assert_eq!(tally(Party::Device, of_sales).await.len(), 2);
}

async fn grouped(store: Arc<dyn Store>) {
    for device in 1..=2 {
        enrolled(&store, device).await;
    }
    let sales: &[&str] = &["sales", "head-office"];
    // The same app again on the same device is one breach; what is missing is none, and old ones are past.
    open(&store, &breach(1, 10, 100, sales, None)).await;
    open(&store, &breach(1, 11, 200, sales, None)).await;
    open(&store, &breach(2, 12, 200, sales, None)).await;
    open(&store, &breach(2, 13, 200, &["head-office"], None)).await;
    open(&store, &breach(2, 14, 200, &[], None)).await;
    open(&store, &breach(2, 15, 99, &["head-office"], None)).await;
    let missing =
        Breach { kind: AlertKind::RequiredAppMissing, ..breach(2, 16, 200, &["head-office"], None) };
    open(&store, &missing).await;
    let mut groups = store.breach_groups(at(100)).await.unwrap();
    groups.sort_by_key(|group| group.units.len());
    let group = |units: &[&str], breaches| Group {
        units: units.iter().map(|unit| unit_id(unit)).collect(),
        breaches,
    };
    assert_eq!(groups, [group(&["head-office"], 1), group(sales, 2)]);
}

async fn of_subjects(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    open(&store, &breach(1, 10, 10, &[], None)).await;
    let opening = |number: u64, unit: &'static str| {
        DecideSubject(Arc::new(move |case: SubjectCase| {
            if let Some(mut alert) = case.alert {
                alert.changed_at = at(700);
                return Ok(Some(SubjectDecision { alert, events: Vec::new(), deliveries: Vec::new() }));
            }
            let mut alert = alert(&id(1), number, "telegram");
            (alert.about, alert.kind, alert.rule, alert.app) = (case.about, AlertKind::UnitSurge, None, None);
            let events = vec![opened(&alert)];
            let deliveries = vec![delivery_of_unit(&alert, number, unit)];
            Ok(Some(SubjectDecision { alert, events, deliveries }))
        }))
    };
    for (number, unit) in [(20, "sales"), (21, "legal"), (22, "sales")] {
        let decided = store
            .decide_subject(&About::Unit(unit_id(unit)), opening(number, unit))
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(decided.alert.about, About::Unit(unit_id(unit)));
    }
    let nothing = DecideSubject(Arc::new(|_| Ok(None)));
    assert_eq!(store.decide_subject(&About::Unit(unit_id("legal")), nothing).await.unwrap(), Ok(None));
    let refused = DecideSubject(Arc::new(|_| Err(Refusal::Retired(at(1)))));
    assert_eq!(
        store.decide_subject(&About::Unit(unit_id("legal")), refused).await.unwrap(),
        Err(Refusal::Retired(at(1)))
    );
    let alerts = store.subject_alerts().await.unwrap();
    let about: Vec<_> = alerts.iter().map(|alert| (alert.id.clone(), alert.changed_at)).collect();
    assert_eq!(about, [(id(21), alerts[0].changed_at), (id(20), at(700))]);
    let (record, events) = store.alert(&id(20)).await.unwrap().unwrap();
    assert_eq!((record.hostname, events.len()), (None, 1));
    let listed = store.alerts(AlertFilter::default()).await.unwrap();
    assert_eq!(listed.len(), 3);
    let ending = DecideSubject(Arc::new(|case: SubjectCase| {
        let mut alert = alert(&id(1), 30, "telegram");
        (alert.about, alert.kind, alert.rule, alert.app) =
            (case.about, AlertKind::ExceptionEnding, None, None);
        Ok(Some(SubjectDecision { alert, events: Vec::new(), deliveries: Vec::new() }))
    }));
    let about = About::Exception(id(5));
    store.decide_subject(&about, ending).await.unwrap().unwrap();
    assert_eq!(store.subject_alerts().await.unwrap()[0].about, about);
    assert_eq!(store.case(&id(1)).await.unwrap().unwrap().alerts.len(), 1, "it is no alert of the device");
    assert!(store.delivery(&id(20)).await.unwrap().is_some());
}

fn delivery_of_unit(alert: &Alert, number: u64, unit: &str) -> Delivery {
    let mut delivery = delivery(alert, number, "mail", 10);
    delivery.notification.device = None;
    delivery.notification.note = Some(unit.to_owned());
    delivery
}

fn ruling(about: Whose, text: &str) -> Ruling {
    Ruling::new(about, Vec::new(), (Measure::Warned, text), "ada", at(100)).unwrap()
}

async fn ruled(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    open(&store, &breach(1, 10, 10, &["sales"], Some("4711"))).await;
    for (about, what) in [
        (Whose::Unit(unit_id("legal")), "unit"),
        (whose_person("4712"), "person"),
        (Whose::Device(id(9)), "device"),
    ] {
        let refused = store.rule(ruling(about, "x")).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotFound { what: found, .. } if found == what), "{refused}");
    }
    let mut named = ruling(whose_person("4711"), "a talk");
    named.alerts = vec![id(99)];
    let refused = store.rule(named.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { what: "alert", .. }), "{refused}");
    named.alerts = vec![id(10)];
    let of_unit = ruling(Whose::Unit(unit_id("sales")), "a reminder");
    for ruling in [&named, &of_unit] {
        store.rule(ruling.clone()).await.unwrap();
    }
    assert_eq!(store.rulings(None).await.unwrap(), [of_unit.clone(), named.clone()]);
    assert_eq!(store.rulings(Some(whose_person("4711"))).await.unwrap(), [named]);
}
