//! Tokens for programs.

use std::sync::Arc;

use offchannel_server::domain::api_token::{ApiToken, Right};
use offchannel_server::store::{Store, StoreError};

use super::fixtures::{at, id};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("tokens for programs are listed as they were made, newest first", listed),
        behaviour("a token for programs is revoked once", revoked),
    ]
}

fn token(number: u64) -> ApiToken {
    ApiToken {
        id: id(number),
        secret_hash: format!("{number:064x}"),
        label: format!("program {number}"),
        may: vec![Right::PolicyRead, Right::PolicyPublish],
        created_at: at(number as i64),
        expires_at: at(1_000),
        revoked_at: None,
    }
}

async fn listed(store: Arc<dyn Store>) {
    for number in [2, 3, 1] {
        store.create_api_token(token(number)).await.unwrap();
    }
    assert_eq!(store.api_tokens().await.unwrap(), [token(3), token(2), token(1)]);
    assert_eq!(store.api_token(&id(2)).await.unwrap(), Some(token(2)));
    assert_eq!(store.api_token(&id(4)).await.unwrap(), None);
    store.create_api_token(token(1)).await.unwrap_err();
}

async fn revoked(store: Arc<dyn Store>) {
    store.create_api_token(token(1)).await.unwrap();
    let first = store.revoke_api_token(&id(1), at(10)).await.unwrap();
    assert_eq!(first.revoked_at, Some(at(10)));
    assert_eq!(store.revoke_api_token(&id(1), at(20)).await.unwrap(), first, "the first revocation counts");
    assert_eq!(store.api_token(&id(1)).await.unwrap(), Some(first));
    let error = store.revoke_api_token(&id(2), at(10)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
}
