//! Units, and where devices belong.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use offchannel_server::domain::device::Device;
use offchannel_server::domain::placement::{
    Assigned, Assignment, DeviceKey, PersonRef, PlacedBy, PlacementError,
};
use offchannel_server::domain::token::Token;
use offchannel_server::domain::tree::{Reorganised, Tree};
use offchannel_server::domain::unit::{Held, Owner, Unit, UnitError};
use offchannel_server::store::{Assign, Enrolled, PlanRefused, Reorganise, Store, StoreError};
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::label::Label;

use super::fixtures::{
    at, commit, device, enrolled, enrolled_with, id, labels, nothing, presented, token, unit, unit_id,
};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("units are read as they were written", written),
        behaviour("a device belongs to its token's unit and to all above it", by_token),
        behaviour("a unit that moves takes its devices along, and leaves others alone", moved),
        behaviour("what is refused changes nothing", refused),
        behaviour("what belongs to a unit goes to its heir when it is removed", inherited),
        behaviour("without an heir devices go where token or labels say", disinherited),
        behaviour("what was said of a device goes before its token, and that before its labels", precedence),
        behaviour("a unit claims devices by label, the one farthest down first", claimed),
        behaviour("a device that enrols again keeps what was said of it", again),
        behaviour("who uses a device is no reason to judge it anew", person),
        behaviour("devices are found by id and by host name in any case", found),
        behaviour("the devices of a unit are listed with those below it, page by page", listed),
        behaviour("a unit knows what belongs to it", held),
        behaviour("a unit that is not there is named", missing),
        behaviour("many units change at once in any order", shuffled),
        behaviour("labels are those of devices, tokens and units", labelled),
    ]
}

/// Has the tree changed by this.
async fn change(
    store: &Arc<dyn Store>,
    now: i64,
    change: impl Fn(&mut Tree) -> Result<(), UnitError> + Send + Sync + 'static,
) -> Result<(), PlanRefused> {
    let change = Reorganise(Arc::new(move |organisation| {
        let mut tree = organisation.tree.clone();
        change(&mut tree)?;
        Ok(Reorganised { tree, ..Reorganised::default() })
    }));
    store.reorganise(change, at(now)).await.unwrap().map(drop)
}

pub(super) async fn put(store: &Arc<dyn Store>, now: i64, unit: Unit) {
    change(store, now, move |tree| tree.put(unit.clone())).await.unwrap();
}

async fn remove(
    store: &Arc<dyn Store>,
    now: i64,
    name: &str,
    heir: Option<Option<&str>>,
) -> Result<(), PlanRefused> {
    let (name, heir) = (unit_id(name), heir.map(|heir| heir.map(unit_id)));
    let change = Reorganise(Arc::new(move |organisation| {
        Ok(organisation.without(&name, heir.as_ref().map(Option::as_ref))?)
    }));
    store.reorganise(change, at(now)).await.unwrap().map(drop)
}

/// `head-office` with `finance` and `legal`, and `payroll` in `finance`.
pub async fn organised(store: &Arc<dyn Store>) {
    for (name, parent) in [
        ("head-office", None),
        ("finance", Some("head-office")),
        ("legal", Some("head-office")),
        ("payroll", Some("finance")),
    ] {
        put(store, 1, unit(name, parent)).await;
    }
}

fn token_of(number: u64, unit: &str) -> Token {
    Token { unit: Some(unit_id(unit)), ..token(number) }
}

pub async fn say(store: &Arc<dyn Store>, now: i64, device: &DeviceId, said: Assignment) {
    let assigned = Assigned { device: device.clone(), assignment: said };
    let decide = Assign(Arc::new(move |_| Ok(vec![assigned.clone()])));
    store.assign(vec![DeviceKey::Id(device.clone())], decide, at(now)).await.unwrap().unwrap();
}

/// A device that is not due for long.
pub async fn quiet(store: &Arc<dyn Store>, id: &DeviceId) {
    commit(store, id, |mut case| {
        case.device.evaluate_at = Some(at(9_000));
        nothing(case.device)
    })
    .await;
}

async fn load(store: &Arc<dyn Store>, id: &DeviceId) -> Device {
    store.device(id).await.unwrap().unwrap()
}

fn units(device: &Device) -> Vec<&str> {
    device.placement.units.iter().map(|unit| unit.as_str()).collect()
}

type Place<'a> = (Vec<&'a str>, Option<PlacedBy>, Option<Timestamp>, Option<Timestamp>);

/// Units, how the device came there, since when, and when it is due.
fn place(device: &Device) -> Place<'_> {
    (units(device), device.placed_by, device.placed_at, device.evaluate_at)
}

async fn written(store: Arc<dyn Store>) {
    assert_eq!(store.organisation(at(0)).await.unwrap().tree, Tree::default());
    organised(&store).await;
    let owner =
        |email: Option<&str>| Some(Owner { name: "Sam Doe".to_owned(), email: email.map(str::to_owned) });
    let payroll = Unit {
        owner: owner(Some("sam@example.org")),
        label: Some(Label::new("site=leeds").unwrap()),
        ..unit("payroll", Some("finance"))
    };
    let legal = Unit { owner: owner(None), ..unit("legal", None) };
    put(&store, 2, payroll.clone()).await;
    put(&store, 2, legal.clone()).await;
    let tree = store.placing(Vec::new()).await.unwrap().tree;
    let all: Vec<&Unit> = tree.units().collect();
    assert_eq!(all, [&unit("finance", Some("head-office")), &unit("head-office", None), &legal, &payroll]);
}

async fn by_token(store: Arc<dyn Store>) {
    organised(&store).await;
    let labelled = Token { labels: labels(&["kiosk"]), ..token_of(1, "payroll") };
    let device = enrolled_with(&store, 1, labelled.clone()).await;
    assert_eq!(units(&device), ["payroll", "finance", "head-office"]);
    assert_eq!((device.placed_by, &device.placement.labels), (Some(PlacedBy::Token), &labels(&["kiosk"])));
    assert_eq!(load(&store, &device.id).await, device);
    assert_eq!(store.tokens().await.unwrap(), [Token { uses: 1, ..labelled }]);
    let other = enrolled(&store, 2).await;
    assert_eq!(place(&other), (vec![], None, None, None));
}

async fn moved(store: Arc<dyn Store>) {
    organised(&store).await;
    let inside = enrolled_with(&store, 1, token_of(1, "payroll")).await;
    let outside = enrolled_with(&store, 2, token_of(2, "legal")).await;
    for device in [&inside, &outside] {
        quiet(&store, &device.id).await;
    }
    put(&store, 500, unit("finance", Some("legal"))).await;
    let now = load(&store, &inside.id).await;
    let expected = vec!["payroll", "finance", "legal", "head-office"];
    assert_eq!(place(&now), (expected, Some(PlacedBy::Token), Some(at(500)), Some(at(500))));
    assert_eq!(store.due(at(500), 10).await.unwrap(), std::slice::from_ref(&inside.id));
    let other = load(&store, &outside.id).await;
    assert_eq!((units(&other), other.evaluate_at), (vec!["legal", "head-office"], Some(at(9_000))));
    assert!(other.placed_at.is_some_and(|since| since <= at(1)), "{other:?}");
    // Another name places nobody anew.
    put(&store, 600, Unit { name: "Money".to_owned(), ..unit("finance", Some("legal")) }).await;
    assert_eq!(load(&store, &inside.id).await.placed_at, Some(at(500)));
}

async fn refused(store: Arc<dyn Store>) {
    organised(&store).await;
    enrolled_with(&store, 1, token_of(1, "payroll")).await;
    let before = store.organisation(at(1)).await.unwrap();
    let circle = change(&store, 2, |tree| tree.put(unit("head-office", Some("payroll")))).await;
    assert!(matches!(circle, Err(PlanRefused::Unit(UnitError::Cycle { .. }))), "{circle:?}");
    let in_use = remove(&store, 2, "payroll", None).await.unwrap_err();
    let expected = Held { devices: 1, tokens: 1, units: 0 };
    assert_eq!(in_use, PlanRefused::Unit(UnitError::InUse { unit: unit_id("payroll"), held: expected }));
    let inside = remove(&store, 2, "finance", Some(Some("payroll"))).await;
    assert!(matches!(inside, Err(PlanRefused::Unit(UnitError::Heir { .. }))), "{inside:?}");
    assert_eq!(store.organisation(at(1)).await.unwrap(), before);
    let decide = Assign(Arc::new(|placing| {
        placing.active(&id(99))?;
        Ok(Vec::new())
    }));
    let unknown = store.assign(vec![DeviceKey::Id(id(99))], decide, at(2)).await.unwrap().unwrap_err();
    assert_eq!(unknown, PlanRefused::Placement(PlacementError::Unknown(id(99))));
}

async fn inherited(store: Arc<dyn Store>) {
    organised(&store).await;
    put(&store, 1, Unit { label: Some(Label::new("kiosk").unwrap()), ..unit("payroll", Some("finance")) })
        .await;
    let by_token = enrolled_with(&store, 1, token_of(1, "payroll")).await;
    let labelled = Token { labels: labels(&["kiosk"]), ..token(2) };
    let by_label = enrolled_with(&store, 2, labelled).await;
    assert_eq!(by_label.placed_by, Some(PlacedBy::Label));
    let assigned = enrolled(&store, 3).await;
    say(&store, 1, &assigned.id, Assignment { unit: Some(unit_id("payroll")), ..Assignment::default() })
        .await;
    quiet(&store, &assigned.id).await;
    remove(&store, 700, "payroll", Some(Some("legal"))).await.unwrap();
    for (device, by) in [
        (by_token, PlacedBy::Token),
        // Nothing leads it there any more but that somebody wanted it.
        (by_label, PlacedBy::Assigned),
        (assigned, PlacedBy::Assigned),
    ] {
        let now = load(&store, &device.id).await;
        assert_eq!(place(&now), (vec!["legal", "head-office"], Some(by), Some(at(700)), Some(at(700))));
    }
    assert_eq!(store.tokens().await.unwrap()[2].unit, Some(unit_id("legal")));
    remove(&store, 800, "finance", None).await.unwrap();
    assert_eq!(store.organisation(at(0)).await.unwrap().tree.len(), 2);
}

async fn disinherited(store: Arc<dyn Store>) {
    organised(&store).await;
    put(&store, 1, Unit { label: Some(Label::new("kiosk").unwrap()), ..unit("legal", Some("head-office")) })
        .await;
    let said =
        |unit| Assignment { unit: Some(unit_id(unit)), labels: labels(&["kiosk"]), ..Assignment::default() };
    let first = enrolled_with(&store, 1, token_of(1, "finance")).await;
    say(&store, 1, &first.id, said("payroll")).await;
    let second = enrolled(&store, 2).await;
    say(&store, 1, &second.id, said("payroll")).await;
    for device in [&first, &second] {
        quiet(&store, &device.id).await;
    }
    remove(&store, 700, "payroll", Some(None)).await.unwrap();
    let now = load(&store, &first.id).await;
    let expected = vec!["finance", "head-office"];
    assert_eq!(place(&now), (expected, Some(PlacedBy::Token), Some(at(700)), Some(at(700))));
    let now = load(&store, &second.id).await;
    let expected = vec!["legal", "head-office"];
    assert_eq!(place(&now), (expected, Some(PlacedBy::Label), Some(at(700)), Some(at(700))));
    // What is below it goes to the top.
    remove(&store, 800, "head-office", Some(None)).await.unwrap();
    assert_eq!(units(&load(&store, &second.id).await), ["legal"]);
}

async fn precedence(store: Arc<dyn Store>) {
    organised(&store).await;
    put(&store, 1, Unit { label: Some(Label::new("kiosk").unwrap()), ..unit("legal", Some("head-office")) })
        .await;
    let labelled = Token { labels: labels(&["kiosk"]), ..token_of(1, "finance") };
    let device = enrolled_with(&store, 1, labelled).await;
    assert_eq!(place(&device).0, ["finance", "head-office"]);
    let said = Assignment {
        unit: Some(unit_id("payroll")),
        ownership: Some(Ownership::Personal),
        labels: labels(&["kiosk", "lab"]),
        person: None,
    };
    say(&store, 10, &device.id, said.clone()).await;
    let now = load(&store, &device.id).await;
    let expected = vec!["payroll", "finance", "head-office"];
    assert_eq!(place(&now), (expected, Some(PlacedBy::Assigned), Some(at(10)), Some(at(10))));
    assert_eq!(now.placement.ownership, Ownership::Personal);
    say(&store, 20, &device.id, Assignment { unit: None, ownership: None, ..said }).await;
    let now = load(&store, &device.id).await;
    assert_eq!((units(&now), now.placed_by), (vec!["finance", "head-office"], Some(PlacedBy::Token)));
    assert_eq!((now.placement.ownership, now.placed_at), (Ownership::Corporate, Some(at(20))));
    // What is said twice is said once.
    let known = store.placing(vec![DeviceKey::Id(device.id.clone())]).await.unwrap();
    say(&store, 30, &device.id, known.devices[0].assignment.clone()).await;
    assert_eq!(load(&store, &device.id).await, now);
}

async fn claimed(store: Arc<dyn Store>) {
    organised(&store).await;
    let device = enrolled(&store, 1).await;
    let said = Assignment { labels: labels(&["lab", "site=leeds"]), ..Assignment::default() };
    say(&store, 10, &device.id, said.clone()).await;
    let now = load(&store, &device.id).await;
    assert_eq!(place(&now), (vec![], None, Some(at(10)), Some(at(10))), "labels alone are read by rules");
    let claim = |name, parent, label| Unit { label: Some(Label::new(label).unwrap()), ..unit(name, parent) };
    put(&store, 20, claim("legal", Some("head-office"), "lab")).await;
    assert_eq!(units(&load(&store, &device.id).await), ["legal", "head-office"]);
    put(&store, 30, claim("payroll", Some("finance"), "site=leeds")).await;
    let now = load(&store, &device.id).await;
    assert_eq!(
        (units(&now)[0], now.placed_by, now.placed_at),
        ("payroll", Some(PlacedBy::Label), Some(at(30)))
    );
    put(&store, 40, claim("payroll", None, "site=leeds")).await;
    assert_eq!(units(&load(&store, &device.id).await), ["legal", "head-office"], "that is farther down now");
    say(&store, 50, &device.id, Assignment { labels: labels(&["site=leeds"]), ..said }).await;
    assert_eq!(units(&load(&store, &device.id).await), ["payroll"]);
    put(&store, 60, unit("payroll", None)).await;
    assert_eq!(units(&load(&store, &device.id).await), [""; 0]);
}

async fn again(store: Arc<dyn Store>) {
    organised(&store).await;
    let first = enrolled_with(&store, 1, token_of(1, "finance")).await;
    let said = Assignment {
        unit: Some(unit_id("payroll")),
        labels: labels(&["kiosk"]),
        person: Some(PersonRef::new("p-1").unwrap()),
        ownership: None,
    };
    say(&store, 10, &first.id, said).await;
    let next = Token { labels: labels(&["lab"]), ownership: Ownership::Personal, ..token_of(2, "legal") };
    store.create_token(next.clone()).await.unwrap();
    let Enrolled::Registered(now) = store.enrol(presented(&next), device(1), at(20)).await.unwrap() else {
        panic!("refused");
    };
    assert_eq!((units(&now)[0], now.placed_by), ("payroll", Some(PlacedBy::Assigned)));
    assert_eq!(now.placement.labels, labels(&["kiosk", "lab"]));
    assert_eq!(now.placement.ownership, Ownership::Personal);
    assert_eq!((now.placed_at, now.person), (Some(at(20)), Some(PersonRef::new("p-1").unwrap())));
}

async fn person(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let person = Some(PersonRef::new("0xfeed caf\u{e9}").unwrap());
    say(&store, 10, &device.id, Assignment { person: person.clone(), ..Assignment::default() }).await;
    let now = load(&store, &device.id).await;
    assert_eq!((&now.person, now.evaluate_at, now.placed_at), (&person, Some(at(10)), None));
    say(&store, 20, &device.id, Assignment { person, ..Assignment::default() }).await;
    assert_eq!(load(&store, &device.id).await, now);
    say(&store, 30, &device.id, Assignment::default()).await;
    assert_eq!(load(&store, &device.id).await.person, None);
}

async fn found(store: Arc<dyn Store>) {
    let mut all = BTreeMap::new();
    for number in 1..4 {
        all.insert(number, enrolled(&store, number).await.id);
    }
    commit(&store, &all[&2], |mut case| {
        case.device.retired_at = Some(at(5));
        case.device.facts.hostname = "HOST-1".to_owned();
        nothing(case.device)
    })
    .await;
    let names = |names: &[&str]| names.iter().map(|name| DeviceKey::Hostname((*name).to_owned())).collect();
    let mut keys: Vec<DeviceKey> = names(&["Host-1", "host-9"]);
    keys.push(DeviceKey::Id(all[&3].clone()));
    keys.push(DeviceKey::Id(id(99)));
    let placing = store.placing(keys).await.unwrap();
    let found: Vec<_> =
        placing.devices.iter().map(|one| (&one.id, one.hostname.as_str(), one.retired)).collect();
    assert_eq!(found, [(&all[&1], "host-1", false), (&all[&2], "HOST-1", true), (&all[&3], "host-3", false)]);
}

async fn listed(store: Arc<dyn Store>) {
    organised(&store).await;
    let mut inside = Vec::new();
    for (number, unit) in [(1, "payroll"), (2, "legal"), (3, "finance"), (4, "payroll")] {
        let device = enrolled_with(&store, number, token_of(number, unit)).await;
        inside.push(device.id);
    }
    inside.remove(1);
    let page = |after: Option<DeviceId>, limit| {
        let store = Arc::clone(&store);
        async move {
            let list = store.devices_in(&unit_id("finance"), after.as_ref(), limit).await.unwrap();
            list.into_iter().map(|summary| summary.device.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(page(None, 10).await, inside);
    assert_eq!(page(None, 2).await, inside[..2]);
    assert_eq!(page(Some(inside[1].clone()), 2).await, inside[2..]);
    assert!(store.devices_in(&unit_id("nowhere"), None, 10).await.unwrap().is_empty());
}

async fn held(store: Arc<dyn Store>) {
    organised(&store).await;
    for number in 1..3 {
        enrolled_with(&store, number, token_of(number, "payroll")).await;
    }
    let retired = enrolled_with(&store, 3, token_of(3, "payroll")).await;
    commit(&store, &retired.id, |mut case| {
        case.device.retired_at = Some(at(5));
        nothing(case.device)
    })
    .await;
    store.revoke_token(&id(1), at(5)).await.unwrap();
    let organisation = store.organisation(at(10)).await.unwrap();
    assert_eq!(organisation.held(&unit_id("payroll")), Held { devices: 2, tokens: 2, units: 0 });
    assert_eq!(organisation.held(&unit_id("head-office")), Held { devices: 0, tokens: 0, units: 2 });
    let late = store.organisation(at(1_000_000)).await.unwrap();
    assert_eq!(late.held(&unit_id("payroll")), Held { devices: 2, tokens: 0, units: 0 });
}

async fn missing(store: Arc<dyn Store>) {
    let error = store.create_token(token_of(1, "nowhere")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "unit", .. }), "{error:?}");
    assert!(store.tokens().await.unwrap().is_empty());
    let device = enrolled(&store, 2).await;
    let said = Assignment { unit: Some(unit_id("nowhere")), ..Assignment::default() };
    let assigned = Assigned { device: device.id.clone(), assignment: said };
    let decide = Assign(Arc::new(move |_| Ok(vec![assigned.clone()])));
    let error = store.assign(vec![DeviceKey::Id(device.id.clone())], decide, at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "unit", .. }), "{error:?}");
    assert_eq!(load(&store, &device.id).await, device);
}

async fn shuffled(store: Arc<dyn Store>) {
    organised(&store).await;
    let device = enrolled_with(&store, 1, token_of(1, "finance")).await;
    // Upside down, with one unit less, and one more on top that comes last by id.
    let upside = [
        unit("zenith", None),
        unit("payroll", Some("zenith")),
        unit("finance", Some("payroll")),
        unit("head-office", Some("finance")),
    ];
    let tree: Tree = upside.into_iter().collect();
    let change =
        Reorganise(Arc::new(move |_| Ok(Reorganised { tree: tree.clone(), ..Reorganised::default() })));
    store.reorganise(change, at(50)).await.unwrap().unwrap();
    let now = load(&store, &device.id).await;
    let expected = vec!["finance", "payroll", "zenith"];
    assert_eq!(place(&now), (expected, Some(PlacedBy::Token), Some(at(50)), Some(at(50))));
    assert_eq!(store.organisation(at(50)).await.unwrap().tree.len(), 4);
}

async fn labelled(store: Arc<dyn Store>) {
    assert_eq!(store.labels().await.unwrap(), labels(&[]));
    put(&store, 1, Unit { label: labels(&["lawyer"]).pop_first(), ..unit("legal", None) }).await;
    let token = Token { labels: labels(&["kiosk", "site=leeds"]), ..token(1) };
    let device = enrolled_with(&store, 2, token).await;
    let said = Assignment { labels: labels(&["kiosk", "spare"]), ..Assignment::default() };
    let assigned = Assigned { device: device.id.clone(), assignment: said };
    let decide = Assign(Arc::new(move |_| Ok(vec![assigned.clone()])));
    store.assign(vec![DeviceKey::Id(device.id.clone())], decide, at(3)).await.unwrap().unwrap();
    assert_eq!(store.labels().await.unwrap(), labels(&["kiosk", "lawyer", "site=leeds", "spare"]));
}
