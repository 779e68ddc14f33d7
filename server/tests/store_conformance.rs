//! The embedded store does what every store must do.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod conformance;

use std::sync::Arc;

use offchannel_server::store::Store;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use self::conformance::fixtures::at;
use self::conformance::{model, model_policies};

fn store() -> (TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, migrate: true, announce: false, now: at(0) };
    let store = SqliteStore::open(&folder.path().join("offchannel.db"), &options).unwrap();
    (folder, store)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn the_embedded_store_does_what_every_store_must_do() {
    let runtime = runtime();
    for (part, behaviours) in conformance::all() {
        for behaviour in behaviours {
            println!("{part}: {}", behaviour.name);
            let (_folder, store) = store();
            runtime.block_on((behaviour.run)(store));
        }
    }
}

#[test]
fn the_embedded_store_reads_as_a_store_in_memory_would() {
    let runtime = runtime();
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let run = |commands| {
        let (_folder, store) = store();
        runtime.block_on(model::run(store, commands));
        Ok(())
    };
    TestRunner::new(config).run(&model::commands(), run).unwrap();
}

#[test]
fn the_embedded_store_keeps_policies_as_a_store_in_memory_would() {
    let runtime = runtime();
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let run = |commands| {
        let (_folder, store) = store();
        runtime.block_on(model_policies::run(store, commands));
        Ok(())
    };
    TestRunner::new(config).run(&model_policies::commands(), run).unwrap();
}
