//! What agents ask for.
//!
//! Each use case runs as a task of its own: a peer that hangs up, or a time limit, must not stop it between
//! its commit and what follows from that.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use offchannel_shared::wire::{
    CheckInRequest, CheckInResponse, EnrolResponse, GoodbyeRequest, ReportRequest, ReportResponse,
    RotateRequest, RotateResponse,
};

use super::auth::{Enrolling, Signed};
use super::refusal::Refusal;
use super::router::Shared;
use crate::service::ServiceError;

pub(super) async fn enrol(
    State(shared): State<Arc<Shared>>,
    Enrolling { body, claim }: Enrolling,
) -> Result<Json<EnrolResponse>, Refusal> {
    let service = shared.service.clone();
    let response = finished(&shared, async move { service.enrol(body).await }).await?;
    // Should there be no room to remember it: to enrol the same key again gives the same device.
    let _ = shared.replays.remember(&claim, shared.service.now());
    Ok(Json(response))
}

pub(super) async fn check_in(
    State(shared): State<Arc<Shared>>,
    Signed { device, body, .. }: Signed<CheckInRequest>,
) -> Result<Json<CheckInResponse>, Refusal> {
    let service = shared.service.clone();
    finished(&shared, async move { service.check_in(&device, body).await }).await.map(Json)
}

pub(super) async fn report(
    State(shared): State<Arc<Shared>>,
    Signed { device, body, .. }: Signed<ReportRequest>,
) -> Result<Json<ReportResponse>, Refusal> {
    let service = shared.service.clone();
    finished(&shared, async move { service.report(&device, body).await }).await.map(Json)
}

pub(super) async fn rotate(
    State(shared): State<Arc<Shared>>,
    Signed { device, key, body }: Signed<RotateRequest>,
) -> Result<Json<RotateResponse>, Refusal> {
    let service = shared.service.clone();
    finished(&shared, async move { service.rotate(&device, &key, body).await }).await.map(Json)
}

pub(super) async fn goodbye(
    State(shared): State<Arc<Shared>>,
    Signed { device, body, .. }: Signed<GoodbyeRequest>,
) -> Result<StatusCode, Refusal> {
    let service = shared.service.clone();
    finished(&shared, async move { service.goodbye(&device, body).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Waits for a use case, but not for ever.
pub(super) async fn finished<T: Send + 'static>(
    shared: &Shared,
    work: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::time::timeout(shared.limits.request_timeout, tokio::spawn(work)).await {
        Ok(Ok(done)) => done.map_err(Refusal::from),
        Ok(Err(error)) => Err(Refusal::of_task(&error)),
        Err(_) => Err(Refusal::unavailable("the collector is too busy: come back later")),
    }
}
