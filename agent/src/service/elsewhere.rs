//! Systems whose services this program does not know.

use std::path::Path;

use super::{ServiceError, Status};

pub fn install(_root: Option<&Path>, _configured: bool) -> Result<Vec<String>, ServiceError> {
    Err(ServiceError::Unsupported)
}

#[expect(clippy::unused_async, reason = "one signature for all systems")]
pub async fn stop(_root: Option<&Path>) -> Result<bool, ServiceError> {
    Err(ServiceError::Unsupported)
}

pub fn remove(_root: Option<&Path>) -> Result<Vec<String>, ServiceError> {
    Err(ServiceError::Unsupported)
}

pub fn status(_root: Option<&Path>) -> Result<Status, ServiceError> {
    Err(ServiceError::Unsupported)
}
