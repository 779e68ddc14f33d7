//! Policies that two agree on, that take force later, and what another process has changed meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use offchannel_server::clock::SettableClock;
use offchannel_server::domain::published::{PolicyVersion, Publication};
use offchannel_server::domain::route::Routes;
use offchannel_server::domain::unit::Unit;
use offchannel_server::service::{PublishRequest, Published, Service, ServiceError, Words};
use offchannel_server::store::StoreError;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_shared::ids::DraftId;
use offchannel_shared::signing::SigningKey;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

async fn service(folder: &Path, clock: &SettableClock, publication: Publication) -> Service {
    let options = OpenOptions { create: true, migrate: true, announce: true, now: at(0) };
    let store = SqliteStore::open(&folder.join("offchannel.db"), &options).unwrap();
    let key = SigningKey::from_seed(&[7; 32]).unwrap();
    Service::start(store, Arc::new(clock.clone()), key, Routes::default(), publication).await.unwrap()
}

fn request(from: Option<i64>) -> PublishRequest {
    PublishRequest {
        source: "schema = 1\nname = \"x\"\n".to_owned(),
        words: Words { author: "ada".to_owned(), comment: String::new() },
        effective_from: from.map(at),
        ..PublishRequest::default()
    }
}

async fn proposed(service: &Service, from: Option<i64>) -> DraftId {
    match service.publish(request(from)).await.unwrap() {
        Published::Proposed { draft, .. } => draft.id,
        other @ Published::Version { .. } => panic!("{other:?}"),
    }
}

fn version(published: Published) -> (PolicyVersion, Vec<u64>) {
    match published {
        Published::Version { policy, overtaken, .. } => (policy, overtaken),
        other @ Published::Proposed { .. } => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_approved_late_takes_force_at_once_and_nothing_is_approved_over_another_version() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), SettableClock::at(at(0)));
    let service = service(folder.path(), &clock, Publication::FourEyes).await;
    let (late, other) = (proposed(&service, Some(10)).await, proposed(&service, None).await);
    clock.set(at(20));
    let (policy, _) = version(service.approve_policy(&late, "grace").await.unwrap());
    assert_eq!((policy.effective_from, policy.in_force_since), (None, Some(at(20))));
    assert_eq!(service.policy_in_force().await.unwrap().unwrap().version, policy.version);
    let refused = service.approve_policy(&other, "grace").await.unwrap_err();
    let conflict = ServiceError::Store(StoreError::Conflict { what: "the policy", expected: 0, found: 1 });
    assert_eq!(refused.to_string(), conflict.to_string());

    let later = proposed(&service, Some(30)).await;
    let (policy, _) = version(service.approve_policy(&later, "grace").await.unwrap());
    assert_eq!((policy.effective_from, policy.in_force_since), (Some(at(30)), None));
}

#[tokio::test]
async fn of_two_for_the_same_time_the_newer_one_takes_force_and_the_older_one_is_named() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), SettableClock::at(at(0)));
    let service = service(folder.path(), &clock, Publication::Alone).await;
    let mut overtaken = Vec::new();
    for from in [None, Some(10), Some(20), Some(20)] {
        overtaken.push(version(service.publish(request(from)).await.unwrap()).1);
    }
    assert_eq!(overtaken, [vec![], vec![], vec![], vec![3]]);
    for (minute, in_force) in [(10, 2), (20, 4), (30, 4)] {
        clock.set(at(minute));
        while service.take_force().await.unwrap().is_some() {}
        assert_eq!(service.policy_in_force().await.unwrap().unwrap().version, in_force, "at {minute}");
    }
}

#[tokio::test]
async fn a_unit_that_another_process_made_is_known_when_a_policy_names_it() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), SettableClock::at(at(0)));
    let serving = service(folder.path(), &clock, Publication::Alone).await;
    let beside = service(folder.path(), &clock, Publication::Alone).await;
    let policy = "schema = 1\nname = \"x\"\n[[rule]]\nid = \"a\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n\
                  where = { unit = [\"sales\"] }\n";
    assert_eq!(serving.what_if(policy, 1).await.unwrap().warnings.len(), 1);
    let id = "sales".parse().unwrap();
    let unit = Unit { id, name: "Sales".to_owned(), parent: None, owner: None, label: None };
    beside.add_unit(unit, "ada").await.unwrap();
    assert_eq!(serving.what_if(policy, 1).await.unwrap().warnings, []);
}
