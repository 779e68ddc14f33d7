//! Every route, in one place.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use offchannel_shared::wire;

use super::refusal::Refusal;
use super::replay::Replays;
use super::{agent, api, envelope, probe};
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::service::Service;

/// Answers as long as the process is alive.
pub(super) const HEALTHZ: &str = "/healthz";
/// Answers whether requests can be served.
pub(super) const READYZ: &str = "/readyz";
/// Counters for Prometheus.
pub(super) const METRICS: &str = "/metrics";

/// The policy, for programs of the organisation.
pub(super) const POLICY: &str = "/api/v1/policy";

/// All routes, as they are named in logs and metrics.
pub(super) const ROUTES: [&str; 9] = [
    wire::ENROL_PATH,
    wire::CHECK_IN_PATH,
    wire::REPORT_PATH,
    wire::ROTATE_PATH,
    wire::GOODBYE_PATH,
    HEALTHZ,
    READYZ,
    METRICS,
    POLICY,
];

/// What handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) metrics: Metrics,
    pub(super) limits: Limits,
    pub(super) replays: Replays,
}

/// What the public listener serves: agents, programs of the organisation, and probes.
pub fn router(service: Service, limits: &Limits, metrics: &Metrics) -> Router {
    let routes = Router::new()
        .route(wire::ENROL_PATH, post(agent::enrol))
        .route(wire::CHECK_IN_PATH, post(agent::check_in))
        .route(wire::REPORT_PATH, post(agent::report))
        .route(wire::ROTATE_PATH, post(agent::rotate))
        .route(wire::GOODBYE_PATH, post(agent::goodbye))
        .route(POLICY, get(api::policy).put(api::publish))
        .route(HEALTHZ, get(probe::healthz))
        .route(READYZ, get(probe::readyz));
    finish(routes, service, *limits, metrics.clone())
}

/// What the plain listener for operators serves: metrics and probes.
pub fn probes(service: Service, limits: &Limits, metrics: &Metrics) -> Router {
    let routes = Router::new()
        .route(METRICS, get(probe::metrics))
        .route(HEALTHZ, get(probe::healthz))
        .route(READYZ, get(probe::readyz));
    finish(routes, service, *limits, metrics.clone())
}

fn finish(routes: Router<Arc<Shared>>, service: Service, limits: Limits, metrics: Metrics) -> Router {
    let shared = Arc::new(Shared { service, metrics, limits, replays: Replays::default() });
    routes
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(from_fn_with_state(Arc::clone(&shared), envelope::around))
        .with_state(shared)
}
