//! What supervisors and operators ask for.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use offchannel_shared::error_chain::error_chain;

use super::refusal::Refusal;
use super::router::Shared;
use crate::metrics;

/// The process is alive and answers.
pub(super) async fn healthz() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

/// The store answers and a policy is in force.
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, Refusal> {
    match tokio::time::timeout(shared.limits.request_timeout, shared.service.ready()).await {
        Ok(Ok(())) => Ok(([(CACHE_CONTROL, "no-store")], "ready\n")),
        Ok(Err(error)) => {
            tracing::warn!(error = %error_chain(&error), "not ready");
            Err(Refusal::unavailable(format!("not ready: {error}")))
        }
        Err(_) => Err(Refusal::unavailable("not ready: the store does not answer")),
    }
}

/// Counters for Prometheus.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], shared.metrics.render(&shared.service.stats()))
}
