//! Counters and their text for Prometheus (text format 0.0.4).
//!
//! No label ever names a device: the number of series is bounded by routes, codes and channels.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offchannel_shared::ids::ChannelName;

use crate::domain::delivery::DeliveryState;
use crate::service::ServiceStats;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What this process has counted since its start. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    attempts: Mutex<BTreeMap<(ChannelName, &'static str), u64>>,
    connections_open: AtomicU64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Durations {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// An open connection; counted as one until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Metrics);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn request(&self, route: &'static str, status: u16, duration: Duration) {
        *lock(&self.0.requests).entry((route, status)).or_default() += 1;
        let mut all = lock(&self.0.durations);
        let durations = all.entry(route).or_default();
        let seconds = duration.as_secs_f64();
        durations.count += 1;
        durations.seconds += seconds;
        for (bucket, bound) in durations.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// Counts a refusal by its code.
    pub fn refusal(&self, code: &'static str) {
        *lock(&self.0.refusals).entry(code).or_default() += 1;
    }

    /// Counts an attempt to deliver, by what it left the delivery as.
    pub fn attempt(&self, channel: &ChannelName, state: DeliveryState) {
        let outcome = match state {
            DeliveryState::Delivered => "delivered",
            DeliveryState::Accepted => "accepted",
            DeliveryState::Pending => "retry",
            DeliveryState::Dead => "give-up",
        };
        *lock(&self.0.attempts).entry((channel.clone(), outcome)).or_default() += 1;
    }

    /// Counts a connection that is accepted.
    pub fn connection(&self) -> OpenConnection {
        self.0.connections_accepted.fetch_add(1, Ordering::Relaxed);
        self.0.connections_open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    /// Counts a connection that is closed at once because there are too many.
    pub fn connection_refused(&self) {
        self.0.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a TLS handshake that failed or took too long.
    pub fn handshake_failed(&self) {
        self.0.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything as text.
    pub fn render(&self, stats: &ServiceStats) -> String {
        let mut text = Text(String::with_capacity(8 * 1024));
        text.family("offchannel_build_info", "gauge", "Version of this program.");
        text.sample("offchannel_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        text.family("offchannel_http_requests_total", "counter", "Requests answered.");
        for ((route, status), count) in lock(&self.0.requests).iter() {
            let labels = [("route", *route), ("status", &status.to_string())];
            text.sample("offchannel_http_requests_total", &labels, *count as f64);
        }
        text.family(
            "offchannel_http_request_seconds",
            "histogram",
            "Time from a request's head to its answer.",
        );
        for (route, durations) in lock(&self.0.durations).iter() {
            for (bound, count) in BUCKETS.iter().zip(durations.buckets) {
                let labels = [("route", *route), ("le", &bound.to_string())];
                text.sample("offchannel_http_request_seconds_bucket", &labels, count as f64);
            }
            let (labels, count) = ([("route", *route), ("le", "+Inf")], durations.count as f64);
            text.sample("offchannel_http_request_seconds_bucket", &labels, count);
            text.sample("offchannel_http_request_seconds_sum", &[("route", route)], durations.seconds);
            text.sample("offchannel_http_request_seconds_count", &[("route", route)], count);
        }
        text.family("offchannel_refusals_total", "counter", "Requests refused, by the code of the refusal.");
        for (code, count) in lock(&self.0.refusals).iter() {
            text.sample("offchannel_refusals_total", &[("code", code)], *count as f64);
        }
        text.family("offchannel_delivery_attempts_total", "counter", "Attempts to deliver an alert.");
        for ((channel, outcome), count) in lock(&self.0.attempts).iter() {
            let labels = [("channel", channel.as_str()), ("outcome", outcome)];
            text.sample("offchannel_delivery_attempts_total", &labels, *count as f64);
        }
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, kind, help, value) in [
            ("connections_open", "gauge", "Connections open now.", of(&self.0.connections_open)),
            ("connections_total", "counter", "Connections accepted.", of(&self.0.connections_accepted)),
            (
                "connections_refused_total",
                "counter",
                "Connections closed at once because there were too many.",
                of(&self.0.connections_refused),
            ),
            (
                "tls_handshakes_failed_total",
                "counter",
                "TLS handshakes that failed or took too long.",
                of(&self.0.handshakes_failed),
            ),
            ("enrolments_total", "counter", "Devices enrolled.", stats.enrolments),
            ("check_ins_total", "counter", "Check-ins answered.", stats.check_ins),
            ("reports_total", "counter", "Reports committed.", stats.reports),
            (
                "reports_repeated_total",
                "counter",
                "Reports that were on record already.",
                stats.reports_repeated,
            ),
            ("key_rotations_total", "counter", "Keys of devices replaced by new ones.", stats.rotations),
            (
                "evaluations_total",
                "counter",
                "Devices judged again because time passed or the policy changed.",
                stats.evaluations,
            ),
            ("alerts_opened_total", "counter", "Alerts opened or reopened.", stats.alerts_opened),
            ("alerts_resolved_total", "counter", "Alerts resolved.", stats.alerts_resolved),
            ("devices_cached", "gauge", "Devices held in memory now.", stats.devices_cached),
            (
                "exceptions_in_force",
                "gauge",
                "Exceptions that accept something now.",
                stats.exceptions_in_force,
            ),
        ] {
            let name = format!("offchannel_{name}");
            text.family(&name, kind, help);
            text.sample(&name, &[], value as f64);
        }
        text.0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (position, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if position == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_counter_and_cumulative_buckets() {
        let metrics = Metrics::default();
        metrics.request("/healthz", 200, Duration::from_millis(3));
        metrics.request("/healthz", 200, Duration::from_millis(300));
        metrics.refusal("replayed");
        metrics.attempt(&ChannelName::new("siem").unwrap(), DeliveryState::Delivered);
        let open = metrics.connection();
        let text = metrics.render(&ServiceStats::default());
        for line in [
            "offchannel_http_requests_total{route=\"/healthz\",status=\"200\"} 2",
            "offchannel_http_request_seconds_bucket{route=\"/healthz\",le=\"0.001\"} 0",
            "offchannel_http_request_seconds_bucket{route=\"/healthz\",le=\"0.005\"} 1",
            "offchannel_http_request_seconds_bucket{route=\"/healthz\",le=\"+Inf\"} 2",
            "offchannel_http_request_seconds_count{route=\"/healthz\"} 2",
            "offchannel_refusals_total{code=\"replayed\"} 1",
            "offchannel_delivery_attempts_total{channel=\"siem\",outcome=\"delivered\"} 1",
            "offchannel_connections_open 1",
            "offchannel_reports_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "expected {line:?} in:\n{text}");
        }
        drop(open);
        assert!(metrics.render(&ServiceStats::default()).contains("\noffchannel_connections_open 0\n"));
    }
}
