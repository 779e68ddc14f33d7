//! Tokens.

use std::sync::Arc;

use offchannel_server::store::{Store, StoreError};

use super::fixtures::{at, id, token};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("tokens are listed as they were made, newest first", listed),
        behaviour("a token is revoked once", revoked),
        behaviour("a token that is not there cannot be revoked", missing),
        behaviour("a token id is taken once", twice),
    ]
}

async fn listed(store: Arc<dyn Store>) {
    for number in [2, 3, 1] {
        store.create_token(token(number)).await.unwrap();
    }
    assert_eq!(store.tokens().await.unwrap(), [token(3), token(2), token(1)]);
}

async fn revoked(store: Arc<dyn Store>) {
    store.create_token(token(1)).await.unwrap();
    let first = store.revoke_token(&id(1), at(10)).await.unwrap();
    assert_eq!(first.revoked_at, Some(at(10)));
    let second = store.revoke_token(&id(1), at(20)).await.unwrap();
    assert_eq!(second, first, "the first revocation counts");
    assert_eq!(store.tokens().await.unwrap(), [first]);
}

async fn missing(store: Arc<dyn Store>) {
    let error = store.revoke_token(&id(1), at(10)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "token", .. }), "{error:?}");
}

async fn twice(store: Arc<dyn Store>) {
    store.create_token(token(1)).await.unwrap();
    let mut other = token(1);
    other.label = "another".to_owned();
    assert!(store.create_token(other).await.is_err());
    assert_eq!(store.tokens().await.unwrap(), [token(1)]);
}
