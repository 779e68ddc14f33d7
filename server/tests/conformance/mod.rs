//! What every store must do, whatever it keeps its data in. Each implementation runs all of it.

mod alerts;
mod api_tokens;
mod deciding;
mod deliveries;
mod devices;
mod digests;
mod enrolling;
mod exceptions;
pub mod fixtures;
mod ledger;
pub mod model;
pub mod model_policies;
mod model_units;
mod policies;
mod tokens;
mod units;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use offchannel_server::store::{Store, StoreError};

type Run = Box<dyn Fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()>>>>;

/// One thing that a store must do, in a store that is empty at its start.
pub struct Behaviour {
    /// What it must do.
    pub name: &'static str,
    /// Fails where it does not.
    pub run: Run,
}

fn behaviour<F: Future<Output = ()> + 'static>(
    name: &'static str,
    run: fn(Arc<dyn Store>) -> F,
) -> Behaviour {
    Behaviour { name, run: Box::new(move |store| Box::pin(run(store))) }
}

/// All behaviours, with the part of the store that they concern.
pub fn all() -> Vec<(&'static str, Vec<Behaviour>)> {
    vec![
        ("alerts", alerts::all()),
        ("API tokens", api_tokens::all()),
        ("deciding", deciding::all()),
        ("deliveries", deliveries::all()),
        ("devices", devices::all()),
        ("digests", digests::all()),
        ("enrolling", enrolling::all()),
        ("exceptions", exceptions::all()),
        ("the ledger", ledger::all()),
        ("policies", policies::all()),
        ("tokens", tokens::all()),
        ("units", units::all()),
        ("the store", vec![behaviour("a closed store says so", a_closed_store_says_so)]),
    ]
}

async fn a_closed_store_says_so(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    assert!(matches!(store.tokens().await, Err(StoreError::Closed)));
    let token = fixtures::token(1);
    assert!(matches!(store.create_token(token).await, Err(StoreError::Closed)));
    assert!(matches!(store.close().await, Err(StoreError::Closed)));
}
