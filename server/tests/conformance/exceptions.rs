//! Exceptions and their history.

use std::sync::Arc;

use offchannel_server::domain::case::Decision;
use offchannel_server::domain::exception::{Covers, Exception, ExceptionError, ExceptionEvent, Request};
use offchannel_server::domain::in_force_exceptions::{Holder, InForceExceptions};
use offchannel_server::domain::placement::{Assignment, PersonRef};
use offchannel_server::store::{ChangeException, Store, StoreError};
use offchannel_shared::device::Placement;
use offchannel_shared::ids::{AppId, ExceptionId, RuleId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::span::Span;

use super::fixtures::{at, commit, enrolled, id, labels, nothing, unit_id};
use super::units::{organised, quiet, say};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("an exception is read as it was asked for, with its history", asked),
        behaviour("what is approved is judged with, and what is ended no longer", judged),
        behaviour("approving makes the device due that is meant", due),
        behaviour(
            "an exception is for a device, a unit, a person or a label, and for no other devices",
            meant,
        ),
        behaviour("a refused change changes nothing", refused),
        behaviour("a decision by older exceptions leaves the device due", outdated),
    ]
}

fn request(covers: Covers) -> Request {
    Request {
        covers,
        rule: Some(RuleId::new("no-consumer-messaging").unwrap()),
        app: Some(AppId::new("telegram").unwrap()),
        reason: "a port \u{202e}to the \"press\" desk".to_owned(),
        start: at(100),
        end: at(10_000),
    }
}

fn made(number: u64, covers: Covers) -> (Exception, ExceptionEvent) {
    let longest = Span::seconds(1_000_000);
    Exception::requested(id(number), request(covers), "ada", longest, at(number.cast_signed())).unwrap()
}

fn approve(by: &'static str, when: i64) -> ChangeException {
    ChangeException(Arc::new(move |exception: &mut Exception| {
        exception.approve(by, "fine", Span::seconds(1_000_000), at(when))
    }))
}

fn revoke(when: i64) -> ChangeException {
    ChangeException(Arc::new(move |exception: &mut Exception| exception.revoke("eve", "over", at(when))))
}

async fn asked(store: Arc<dyn Store>) {
    let (device, unit) =
        (made(1, Covers::Device(id(7))), made(2, Covers::Unit(UnitId::new("sales").unwrap())));
    for (exception, event) in [&device, &unit] {
        store.create_exception(exception.clone(), event.clone()).await.unwrap();
    }
    assert_eq!(store.exceptions().await.unwrap(), [unit.0.clone(), device.0.clone()]);
    let missing: ExceptionId = id(9);
    assert_eq!(store.exception(&missing).await.unwrap(), None);
    let approved = store.change_exception(&id(2), approve("eve", 50), at(50)).await.unwrap().unwrap();
    let revoked = store.change_exception(&id(2), revoke(60), at(60)).await.unwrap().unwrap();
    assert!(approved.approved.is_some() && approved.ended.is_none());
    let (found, history) = store.exception(&id(2)).await.unwrap().unwrap();
    assert_eq!(found, revoked);
    let told: Vec<&str> = history.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(told, ["requested", "approved", "revoked"]);
    assert_eq!((history[0].actor.as_str(), history[2].text.as_str()), ("ada", "over"));
}

async fn judged(store: Arc<dyn Store>) {
    assert_eq!(store.exceptions_in_force(0).await.unwrap(), None);
    let (exception, event) = made(1, Covers::Device(id(7)));
    store.create_exception(exception, event).await.unwrap();
    let asked = store.exceptions_in_force(0).await.unwrap().unwrap();
    assert_eq!(asked, InForceExceptions::new(asked.version(), []), "nobody has approved it");
    assert_eq!(store.exceptions_in_force(asked.version()).await.unwrap(), None, "that is known");
    store.change_exception(&id(1), approve("eve", 500), at(500)).await.unwrap().unwrap();
    let approved = store.exceptions_in_force(asked.version()).await.unwrap().unwrap();
    assert!(approved.version() > asked.version());
    let (placement, device) = (Placement::default(), id(7));
    let holder = Holder { id: &device, placement: &placement, person: None };
    let [told] = &approved.told_to(holder, at(600))[..] else { panic!("{approved:?}") };
    assert_eq!((&told.id, told.start, told.end), (&id(1), at(500), at(10_000)));
    store.change_exception(&id(1), revoke(600), at(600)).await.unwrap().unwrap();
    let revoked = store.exceptions_in_force(approved.version()).await.unwrap().unwrap();
    let past = revoked.told_to(holder, at(599));
    assert_eq!((past[0].start, past[0].end), (at(500), at(600)), "the past stays as it was");
    assert_eq!(revoked.told_to(holder, at(600)), []);
}

async fn due(store: Arc<dyn Store>) {
    for number in [1, 2] {
        enrolled(&store, number).await;
        commit(&store, &id(number), |case| {
            let mut device = case.device;
            device.evaluate_at = Some(at(1_000_000));
            nothing(device)
        })
        .await;
    }
    let (exception, event) = made(1, Covers::Device(id(2)));
    store.create_exception(exception, event).await.unwrap();
    assert_eq!(store.due(at(1_000), 10).await.unwrap(), [], "asking changes nothing");
    store.change_exception(&id(1), approve("eve", 500), at(500)).await.unwrap().unwrap();
    assert_eq!(store.due(at(1_000), 10).await.unwrap(), [id(2)]);
}

async fn meant(store: Arc<dyn Store>) {
    organised(&store).await;
    for number in 1..=5 {
        enrolled(&store, number).await;
    }
    let person = || PersonRef::new("4711").unwrap();
    let said = [
        (1, Assignment { unit: Some(unit_id("payroll")), ..Assignment::default() }),
        (2, Assignment { person: Some(person()), ..Assignment::default() }),
        (3, Assignment { labels: labels(&["kiosk=yes"]), person: Some(person()), ..Assignment::default() }),
        (4, Assignment { unit: Some(unit_id("legal")), ..Assignment::default() }),
    ];
    for (number, said) in said {
        say(&store, 1, &id(number), said).await;
    }
    let label = Label::new("kiosk=yes").unwrap();
    let cases: [(Covers, &[u64]); 6] = [
        (Covers::Device(id(5)), &[5]),
        (Covers::Unit(unit_id("head-office")), &[1, 4]),
        (Covers::Unit(unit_id("payroll")), &[1]),
        (Covers::Person(person()), &[2, 3]),
        (Covers::Label(label), &[3]),
        (Covers::Label(Label::new("kiosk").unwrap()), &[]),
    ];
    for ((covers, devices), number) in cases.into_iter().zip(1..) {
        for device in 1..=5 {
            quiet(&store, &id(device)).await;
        }
        let (exception, event) = made(number, covers.clone());
        store.create_exception(exception.clone(), event).await.unwrap();
        store.change_exception(&id(number), approve("eve", 600), at(600)).await.unwrap().unwrap();
        let due = store.due(at(1_000), 10).await.unwrap();
        assert_eq!(due, devices.iter().map(|number| id(*number)).collect::<Vec<_>>(), "{covers}");
        assert_eq!(store.covered_devices(&covers).await.unwrap(), devices.len() as u64, "{covers}");
        let found = store.exception(&id(number)).await.unwrap().unwrap().0;
        assert_eq!(found.request, exception.request);
    }
    // Whoever gets a device brings along what is accepted for them.
    quiet(&store, &id(5)).await;
    say(&store, 700, &id(5), Assignment { person: Some(person()), ..Assignment::default() }).await;
    let device = store.device(&id(5)).await.unwrap().unwrap();
    assert_eq!((device.evaluate_at, device.placed_at), (Some(at(700)), None));
}

async fn refused(store: Arc<dyn Store>) {
    let (exception, event) = made(1, Covers::Device(id(7)));
    store.create_exception(exception.clone(), event).await.unwrap();
    let own = store.change_exception(&id(1), approve(" Ada", 50), at(50)).await.unwrap();
    assert_eq!(own, Err(ExceptionError::Name));
    let own = store.change_exception(&id(1), approve("ADA", 50), at(50)).await.unwrap();
    assert_eq!(own, Err(ExceptionError::OwnRequest("ada".to_owned())));
    let (found, history) = store.exception(&id(1)).await.unwrap().unwrap();
    assert_eq!((found, history.len()), (exception, 1));
    let missing = store.change_exception(&id(9), approve("eve", 50), at(50)).await;
    assert!(matches!(missing, Err(StoreError::NotFound { what: "exception", .. })), "{missing:?}");
}

async fn outdated(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    let (exception, event) = made(1, Covers::Device(id(1)));
    store.create_exception(exception, event).await.unwrap();
    store.change_exception(&id(1), approve("eve", 500), at(500)).await.unwrap().unwrap();
    let judged_by = |version: u64| {
        let store = Arc::clone(&store);
        async move {
            commit(&store, &id(1), move |case| {
                let mut device = case.device;
                device.evaluate_at = Some(at(9_999));
                Decision { exceptions_version: version, ..nothing(device) }
            })
            .await;
            store.due(at(1_000), 10).await.unwrap()
        }
    };
    assert_eq!(judged_by(0).await, [id(1)], "it is judged again");
    let newest = store.exceptions_in_force(0).await.unwrap().unwrap().version();
    assert_eq!(judged_by(newest).await, []);
}
