//! Policies.

use std::sync::Arc;

use offchannel_server::domain::case::Decision;
use offchannel_server::domain::published::{PolicyVersion, VersionState};
use offchannel_server::store::{Store, StoreError};
use tokio::task::JoinSet;

use super::fixtures::{at, commit, enrolled, finding, nothing, policy};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("versions count up from 1 and are kept byte for byte", versions),
        behaviour("a publication that knows an older version is refused", conflict),
        behaviour("of many publications that know the same version one is taken", race),
        behaviour("a publication makes every active device due", due),
        behaviour("a version that is scheduled makes devices due when it takes force, once", scheduled),
        behaviour("of many that put a version in force at once one does", scheduled_race),
        behaviour("devices are read in slices, retired ones left out", cases),
        behaviour("a device that was judged by an older policy stays due", judged_by_an_older_one),
    ]
}

async fn versions(store: Arc<dyn Store>) {
    assert_eq!(store.policy(None).await.unwrap(), None);
    let first = store.publish(policy("first", 1), None).await.unwrap();
    let second = store.publish(policy("second", 2), Some(1)).await.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    assert_eq!(first.source, policy("", 0).source);
    assert_eq!(store.policy(None).await.unwrap().as_ref(), Some(&second));
    assert_eq!(store.policy(Some(1)).await.unwrap().as_ref(), Some(&first));
    for missing in [0, 3, u64::MAX] {
        assert_eq!(store.policy(Some(missing)).await.unwrap(), None);
    }
    assert_eq!(store.policies().await.unwrap(), [second, first]);
}

async fn conflict(store: Arc<dyn Store>) {
    store.publish(policy("first", 1), Some(0)).await.unwrap();
    let device = enrolled(&store, 1).await;
    let error = store.publish(policy("second", 2), Some(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { expected: 0, found: 1, .. }), "{error:?}");
    assert_eq!(store.policies().await.unwrap().len(), 1);
    let device = store.device(&device.id).await.unwrap().unwrap();
    assert_eq!(device.evaluate_at, None, "nothing of a refused publication stays");
}

async fn race(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.publish(policy(&number.to_string(), 1), Some(0)).await.is_ok() });
    }
    let taken = tasks.join_all().await.into_iter().filter(|taken| *taken).count();
    assert_eq!((taken, store.policies().await.unwrap().len()), (1, 1));
}

async fn due(store: Arc<dyn Store>) {
    let (never, later, earlier, retired) = (
        enrolled(&store, 1).await,
        enrolled(&store, 2).await,
        enrolled(&store, 3).await,
        enrolled(&store, 4).await,
    );
    for (device, due, retired_at) in
        [(&later, Some(at(500)), None), (&earlier, Some(at(50)), None), (&retired, None, Some(at(20)))]
    {
        commit(&store, &device.id, move |mut case| {
            case.device.evaluate_at = due;
            case.device.retired_at = retired_at;
            nothing(case.device)
        })
        .await;
    }
    store.publish(policy("first", 100), None).await.unwrap();
    let mut found = Vec::new();
    for device in [&never, &later, &earlier, &retired] {
        found.push(store.device(&device.id).await.unwrap().unwrap().evaluate_at);
    }
    assert_eq!(found, [Some(at(100)), Some(at(100)), Some(at(50)), None]);
}

fn later(comment: &str, seconds: i64, from: i64) -> PolicyVersion {
    PolicyVersion { effective_from: Some(at(from)), ..policy(comment, seconds) }
}

async fn scheduled(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let due = async || store.device(&device.id).await.unwrap().unwrap().evaluate_at;
    store.publish(later("first", 10, 100), None).await.unwrap();
    assert_eq!((due().await, store.policy_in_force().await.unwrap()), (None, None));
    assert_eq!(store.take_force(at(99)).await.unwrap(), None);
    let taken = store.take_force(at(105)).await.unwrap().unwrap();
    assert_eq!((taken.version, taken.in_force_since), (1, Some(at(105))));
    assert_eq!(due().await, Some(at(105)));
    assert_eq!(store.take_force(at(110)).await.unwrap(), None);
    // A clock that is put back takes nothing out of force.
    assert_eq!(store.take_force(at(1)).await.unwrap(), None);
    assert_eq!(store.policy_in_force().await.unwrap(), Some(taken));
    // One that is overtaken never takes force: agents do not go back.
    store.publish(later("second", 120, 200), None).await.unwrap();
    store.publish(policy("third", 130), None).await.unwrap();
    assert_eq!(store.take_force(at(300)).await.unwrap(), None);
    assert_eq!(store.policy_in_force().await.unwrap().unwrap().version, 3);
    let (second, cancelled) = store.cancel_policy(2, "eve", at(310)).await.unwrap();
    assert_eq!((second.state(3), cancelled), (VersionState::Overtaken, false));
}

async fn scheduled_race(store: Arc<dyn Store>) {
    store.publish(later("first", 10, 100), None).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.take_force(at(100)).await.unwrap().is_some() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
}

async fn cases(store: Arc<dyn Store>) {
    let mut devices = Vec::new();
    for number in 1..6 {
        devices.push(enrolled(&store, number).await);
    }
    let retired = devices.remove(2);
    commit(&store, &retired.id, |mut case| {
        case.device.retired_at = Some(at(20));
        nothing(case.device)
    })
    .await;
    let found = finding(&devices[0].id, 7, "telegram");
    let findings = vec![found.clone()];
    commit(&store, &devices[0].id, move |case| Decision {
        findings: findings.clone(),
        ..nothing(case.device)
    })
    .await;
    let first = store.cases(None, 3).await.unwrap();
    assert_eq!(
        first.iter().map(|case| &case.device.id).collect::<Vec<_>>(),
        [&devices[0].id, &devices[1].id, &devices[2].id]
    );
    assert_eq!(first[0].findings, [found]);
    let rest = store.cases(Some(&devices[2].id), 3).await.unwrap();
    assert_eq!(rest.iter().map(|case| &case.device.id).collect::<Vec<_>>(), [&devices[3].id]);
}

async fn judged_by_an_older_one(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    store.publish(policy("first", 10), None).await.unwrap();
    store.publish(policy("second", 20), None).await.unwrap();
    let judge = |policy_version| {
        let (store, id) = (Arc::clone(&store), device.id.clone());
        async move {
            commit(&store, &id, move |mut case| {
                case.device.evaluate_at = Some(at(500));
                Decision { policy_version, ..nothing(case.device) }
            })
            .await;
            store.device(&id).await.unwrap().unwrap().evaluate_at
        }
    };
    assert_eq!(judge(1).await, Some(at(10)), "what made it due still does");
    assert_eq!(judge(2).await, Some(at(500)));
}
