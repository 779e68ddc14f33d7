//! Everything that the collector refuses, and how it says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

mod http_support;

use offchannel_shared::ids::DeviceId;
use offchannel_shared::span::Span;
use offchannel_shared::wire::{self, codes};
use serde_json::json;

use self::http_support::{Device, LIMITS, Server, at, check_in, gzip, head, report, request};

const HOUR: Span = Span::minutes(60);

#[tokio::test]
async fn a_device_enrols_checks_in_reports_and_says_goodbye() {
    let server = Server::start().await;
    let device = server.device().await;
    let mut ahead = check_in();
    ahead["revision"] = json!(7);
    ahead["digest"] = report(7)["digest"].clone();
    let answer = device.post(wire::CHECK_IN_PATH, &ahead).await.accepted();
    assert_eq!(answer["report_wanted"], true);
    let answer = device.post(wire::REPORT_PATH, &report(1)).await.accepted();
    assert_eq!(answer["accepted_revision"], 1);
    let answer = device.post(wire::GOODBYE_PATH, &json!({ "schema": 1, "reason": "stop" })).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_may_not_be_used_is_refused_with_the_reason() {
    let server = Server::start().await;
    let enrol = async |token: &str| {
        let device = Device::new(&server);
        device.post(wire::ENROL_PATH, &device.enrol_body(token)).await.refused(403, codes::TOKEN_REFUSED)
    };
    for none in ["", "hunter2"] {
        assert!(enrol(none).await.contains("not an enrolment token"));
    }
    let other = Server::start().await.token(1, HOUR).await.text;
    assert!(enrol(&other).await.contains("not known here"));
    let spent = server.token(1, HOUR).await.text;
    let device = Device::new(&server);
    device.post(wire::ENROL_PATH, &device.enrol_body(&spent)).await.accepted();
    assert!(enrol(&spent).await.contains("was used 1 times"));
    let revoked = server.token(1, HOUR).await;
    server.service.revoke_token(&revoked.token.id).await.unwrap();
    assert!(enrol(&revoked.text).await.contains("was revoked"));
    let expired = server.token(1, Span::minutes(1)).await.text;
    server.clock.set(at(61));
    assert!(enrol(&expired).await.contains("expired"));
    assert!(!enrol(&expired).await.contains(&expired), "a token is never repeated");
}

#[tokio::test]
async fn an_enrolment_is_signed_with_the_key_that_it_registers() {
    let server = Server::start().await;
    let token = server.token(1, HOUR).await.text;
    let (device, other) = (Device::new(&server), Device::new(&server));
    other.post(wire::ENROL_PATH, &device.enrol_body(&token)).await.refused(401, codes::SIGNATURE_INVALID);
    let mut device = device;
    device.id = "me".to_owned();
    device.post(wire::ENROL_PATH, &device.enrol_body(&token)).await.refused(401, codes::SIGNATURE_INVALID);
}

#[tokio::test]
async fn a_request_without_a_valid_signature_is_refused() {
    let server = Server::start().await;
    let device = server.device().await;
    let body = serde_json::to_vec(&check_in()).unwrap();
    let send = async |headers: Vec<(String, String)>, body: &[u8]| {
        server.send(request("POST", wire::CHECK_IN_PATH, &headers, body)).await
    };
    let signed = device.sign_at(wire::CHECK_IN_PATH, &body, 0);
    for missing in 0..signed.len() {
        let mut headers = signed.clone();
        let (name, _) = headers.remove(missing);
        let message = send(headers, &body).await.refused(401, codes::SIGNATURE_MISSING);
        assert!(message.contains(&name), "{message}");
    }
    let mut unreadable = signed.clone();
    unreadable[1].1 = "sig1=rubbish".to_owned();
    send(unreadable, &body).await.refused(401, codes::SIGNATURE_MISSING);
    let message = send(signed, br#"{"schema":1}"#).await.refused(401, codes::SIGNATURE_INVALID);
    assert!(message.contains("digest"), "{message}");
    let elsewhere = device.sign_at(wire::REPORT_PATH, &body, 0);
    send(elsewhere, &body).await.refused(401, codes::SIGNATURE_INVALID);
    let mut thief = Device::new(&server);
    thief.id = device.id.clone();
    send(thief.sign_at(wire::CHECK_IN_PATH, &body, 0), &body).await.refused(401, codes::SIGNATURE_INVALID);
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_told_the_time() {
    let server = Server::start().await;
    let device = server.device().await;
    let body = serde_json::to_vec(&check_in()).unwrap();
    for (second, direction) in [(-3600, "before"), (3600, "after")] {
        let headers = device.sign_at(wire::CHECK_IN_PATH, &body, second);
        let answer = server.send(request("POST", wire::CHECK_IN_PATH, &headers, &body)).await;
        let message = answer.refused(401, codes::CLOCK_SKEW);
        assert!(message.contains(&format!("3600 s {direction}")), "{message}");
        let error: wire::ErrorBody = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(error.error.server_time, at(0));
    }
}

#[tokio::test]
async fn a_request_that_was_seen_before_is_refused() {
    let server = Server::start().await;
    let device = server.device().await;
    let body = serde_json::to_vec(&check_in()).unwrap();
    let headers = device.sign_at(wire::CHECK_IN_PATH, &body, 0);
    let again = async || server.send(request("POST", wire::CHECK_IN_PATH, &headers, &body)).await;
    again().await.accepted();
    again().await.refused(401, codes::REPLAYED);
    server.clock.set(at(299));
    again().await.refused(401, codes::REPLAYED);
    server.clock.set(at(301));
    again().await.refused(401, codes::CLOCK_SKEW);
}

#[tokio::test]
async fn an_enrolment_that_was_seen_before_is_refused_but_may_be_asked_for_again() {
    let server = Server::start().await;
    let token = server.token(1, HOUR).await.text;
    let device = Device::new(&server);
    let body = serde_json::to_vec(&device.enrol_body(&token)).unwrap();
    let headers = device.sign_at(wire::ENROL_PATH, &body, 0);
    let send = async |headers| server.send(request("POST", wire::ENROL_PATH, headers, &body)).await;
    let first = send(&headers).await.accepted();
    send(&headers).await.refused(401, codes::REPLAYED);
    let second = send(&device.sign_at(wire::ENROL_PATH, &body, 1)).await.accepted();
    assert_eq!(first["device_id"], second["device_id"], "an answer that was lost is given again");
}

#[tokio::test]
async fn a_device_that_is_unknown_or_retired_is_refused() {
    let server = Server::start().await;
    let mut stranger = Device::new(&server);
    for id in [DeviceId::from_random([3; 16]).to_string(), "nobody".to_owned(), String::new()] {
        stranger.id = id;
        stranger.post(wire::CHECK_IN_PATH, &check_in()).await.refused(401, codes::DEVICE_UNKNOWN);
    }
    let device = server.device().await;
    server.service.retire_device(&DeviceId::new(device.id.clone()).unwrap()).await.unwrap();
    for (path, body) in [(wire::CHECK_IN_PATH, check_in()), (wire::REPORT_PATH, report(1))] {
        let message = device.post(path, &body).await.refused(401, codes::DEVICE_UNKNOWN);
        assert!(message.contains("retired"), "{message}");
    }
    let mut thief = Device::new(&server);
    thief.id = device.id.clone();
    // Only the holder of the key is told that the device was retired.
    thief.post(wire::CHECK_IN_PATH, &check_in()).await.refused(401, codes::SIGNATURE_INVALID);
}

#[tokio::test]
async fn a_report_that_is_not_what_it_says_is_refused() {
    let server = Server::start().await;
    let device = server.device().await;
    let mut wrong = report(1);
    wrong["digest"] = json!("0".repeat(64));
    let message = device.post(wire::REPORT_PATH, &wrong).await.refused(422, codes::DIGEST_MISMATCH);
    assert!(message.contains(&"0".repeat(64)), "{message}");
    device.post(wire::REPORT_PATH, &report(2)).await.accepted();
    device.post(wire::REPORT_PATH, &report(1)).await.refused(409, codes::REVISION_STALE);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_length_without_being_read() {
    let server = Server::start().await;
    let device = server.device().await;
    let headers = device.sign_at(wire::REPORT_PATH, b"", 0);
    let length = (wire::BODY_MAX + 1).to_string();
    // Not a byte of the body is sent: the answer comes nevertheless.
    let answer = server.raw(head("POST", wire::REPORT_PATH, &headers, &[("content-length", &length)])).await;
    answer.refused(413, codes::TOO_LARGE);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_when_its_length_is_not_said() {
    let server = Server::start().await;
    let device = server.device().await;
    let headers = device.sign_at(wire::REPORT_PATH, b"", 0);
    let mut bytes = head("POST", wire::REPORT_PATH, &headers, &[("transfer-encoding", "chunked")]);
    for _ in 0..=wire::BODY_MAX / 4096 {
        bytes.extend_from_slice(b"1000\r\n");
        bytes.extend_from_slice(&[b' '; 4096]);
        bytes.extend_from_slice(b"\r\n");
    }
    server.raw(bytes).await.refused(413, codes::TOO_LARGE);
}

#[tokio::test]
async fn a_compression_bomb_is_refused_at_the_limit() {
    let server = Server::start().await;
    let device = server.device().await;
    let bomb = gzip(&vec![b' '; 8 * wire::BODY_DECOMPRESSED_MAX]);
    assert!(bomb.len() < wire::BODY_MAX, "{} bytes", bomb.len());
    let message = device
        .post_bytes(wire::REPORT_PATH, &bomb, &[("content-encoding", "gzip")])
        .await
        .refused(413, codes::TOO_LARGE);
    assert!(message.contains("after decompression"), "{message}");
}

#[tokio::test]
async fn a_body_in_gzip_is_read_and_one_in_anything_else_refused() {
    let server = Server::start().await;
    let device = server.device().await;
    let plain = serde_json::to_vec(&report(1)).unwrap();
    let send = async |body: &[u8], headers: &[(&str, &str)]| {
        device.post_bytes(wire::REPORT_PATH, body, headers).await
    };
    send(&gzip(&plain), &[("content-encoding", "gzip")]).await.accepted();
    send(&plain, &[("content-encoding", "identity")]).await.accepted();
    for other in ["br", "deflate", "gzip, gzip"] {
        send(&plain, &[("content-encoding", other)]).await.refused(415, codes::ENCODING_UNKNOWN);
    }
    let twice = [("content-encoding", "gzip"), ("content-encoding", "gzip")];
    send(&plain, &twice).await.refused(415, codes::ENCODING_UNKNOWN);
    let message = send(&plain, &[("content-encoding", "gzip")]).await.refused(400, codes::MALFORMED);
    assert!(message.contains("not gzip"), "{message}");
    send(&plain, &[("content-type", "text/plain")]).await.refused(415, "type_unknown");
    send(&plain, &[("content-type", "application/json; charset=utf-8")]).await.accepted();
}

#[tokio::test]
async fn a_body_that_is_not_what_is_expected_is_refused_with_its_place() {
    let server = Server::start().await;
    let device = server.device().await;
    let send = async |body: &[u8]| device.post_bytes(wire::CHECK_IN_PATH, body, &[]).await;
    for (body, place) in [
        (&b"{\"schema\":1,\n"[..], "line 2 column 0"),
        (b"", "line 1 column 0"),
        (b"[]", "line 1 column"),
        (b"{\"schema\":1}", "missing field `epoch` at line 1 column 12"),
        (b"{\"schema\":\"1\"}", "line 1 column 13"),
        (&b"[".repeat(100_000), "line 1 column"),
    ] {
        let message = send(body).await.refused(400, codes::MALFORMED);
        assert!(message.contains(place), "expected {place:?} in {message:?}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_whatever_else_it_says_and_unknown_fields_are_ignored() {
    let server = Server::start().await;
    let device = server.device().await;
    let message = device
        .post(wire::CHECK_IN_PATH, &json!({ "schema": 2, "epoch": { "new": "form" } }))
        .await
        .refused(400, codes::SCHEMA_UNKNOWN);
    assert!(message.contains("schema 2"), "{message}");
    let mut newer = check_in();
    newer["mood"] = json!({ "today": ["good"] });
    device.post(wire::CHECK_IN_PATH, &newer).await.accepted();
}

#[tokio::test]
async fn a_route_that_is_not_there_and_a_wrong_method_are_refused_in_json_too() {
    let server = Server::start().await;
    for path in ["/", "/agent/v2/report", "/agent/v1/report/", "/metrics"] {
        server.get(path).await.refused(404, codes::NOT_FOUND);
    }
    let answer = server.get(wire::REPORT_PATH).await;
    answer.refused(405, codes::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST");
    server.send(request("DELETE", "/healthz", &[], b"")).await.refused(405, codes::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn without_a_policy_the_collector_is_alive_but_not_ready() {
    let server = Server::with(LIMITS, None, &[]).await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let answer = server.get("/readyz").await;
    let message = answer.refused(503, codes::UNAVAILABLE);
    assert!(message.contains("policy"), "{message}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    let token = server.token(1, HOUR).await.text;
    let device = Device::new(&server);
    device.post(wire::ENROL_PATH, &device.enrol_body(&token)).await.refused(503, codes::UNAVAILABLE);
    assert_eq!(Server::start().await.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn refusals_are_counted_by_code_and_requests_by_route() {
    let server = Server::start().await;
    let device = server.device().await;
    device.post(wire::CHECK_IN_PATH, &check_in()).await.accepted();
    server.get("/no/such/route").await.refused(404, codes::NOT_FOUND);
    let text = server.metrics.render(&server.service.stats());
    for line in [
        "offchannel_http_requests_total{route=\"/agent/v1/check-in\",status=\"200\"} 1",
        "offchannel_http_requests_total{route=\"/agent/v1/enrol\",status=\"200\"} 1",
        "offchannel_http_requests_total{route=\"none\",status=\"404\"} 1",
        "offchannel_refusals_total{code=\"not_found\"} 1",
        "offchannel_enrolments_total 1",
        "offchannel_check_ins_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "expected {line:?} in:\n{text}");
    }
    assert!(!text.contains(&device.id), "metrics name no device");
}
