//! Telling in time that a certificate expires: one is read at start only, and agents refuse an expired one.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::sync::watch;

use super::provider;
use crate::clock::Clock;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;
/// With fewer days left it is a warning, once a day.
const WARN_DAYS: i64 = 30;
/// After the end of every certificate: they count years with four digits. 31 December 9999, in Unix seconds.
const END_OF_DATES: u64 = 253_402_300_799;

/// When a certificate expires.
///
/// The library that checks certificates does not tell their dates, except as the reason for a refusal: so the
/// certificate is shown to it at the end of all dates, and its dates are what is checked first. None if
/// nothing is said about its dates, as of a certificate that never expires (RFC 5280, 4.1.2.5).
pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone().into_owned()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(END_OF_DATES));
    match verifier.verify_server_cert(certificate, &[], &name, &[], at) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok()
        }
        _ => None,
    }
}

/// Tells at start how many days are left, and then once a day if they are few.
pub async fn watch(expires_at: Timestamp, clock: Arc<dyn Clock>, mut stopped: watch::Receiver<bool>) {
    tracing::info!(%expires_at, days_left = days_left(expires_at, clock.now()), "the certificate is valid");
    let mut daily = tokio::time::interval(Duration::from_secs(DAY.unsigned_abs()));
    loop {
        tokio::select! {
            // Whoever could say so is gone: that is the end as well.
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = daily.tick() => warn(expires_at, clock.now()),
        }
    }
}

fn warn(expires_at: Timestamp, now: Timestamp) {
    match Left::of(expires_at, now) {
        Left::Enough => {}
        Left::Few(days_left) => {
            tracing::warn!(%expires_at, days_left, "the certificate expires soon: replace it and restart the collector; its own one is made anew by a restart alone");
        }
        Left::Nothing => {
            tracing::error!(%expires_at, "the certificate has expired and agents refuse it: replace it and restart the collector; its own one is made anew by a restart alone");
        }
    }
}

/// How much time is left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Enough,
    /// So many days.
    Few(i64),
    Nothing,
}

impl Left {
    fn of(expires_at: Timestamp, now: Timestamp) -> Self {
        match days_left(expires_at, now) {
            _ if expires_at <= now => Self::Nothing,
            days if days < WARN_DAYS => Self::Few(days),
            _ => Self::Enough,
        }
    }
}

/// Whole days that are left; negative after the end.
fn days_left(expires_at: Timestamp, now: Timestamp) -> i64 {
    expires_at.as_second().saturating_sub(now.as_second()).div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_thirty_days_are_few_and_an_end_is_an_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let left = |seconds| Left::of(at(1_800_000_000 + seconds), at(1_800_000_000));
        assert_eq!(left(30 * DAY), Left::Enough);
        assert_eq!(left(30 * DAY - 1), Left::Few(29));
        assert_eq!(left(1), Left::Few(0));
        assert_eq!(left(0), Left::Nothing);
        assert_eq!(left(-400 * DAY), Left::Nothing);
    }
}
