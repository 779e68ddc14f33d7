//! Requests that a collector refuses: each with its code, none with a trace in the database.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use offchannel_shared::signing::request::SKEW_MAX;
use offchannel_shared::wire::{
    BODY_DECOMPRESSED_MAX, BODY_MAX, CHECK_IN_PATH, ENROL_PATH, ErrorBody, REPORT_PATH, codes,
};
use offchannel_tests::clock::now;
use offchannel_tests::device::{dpkg, enrolment, json};
use offchannel_tests::{Answer, Client, Device, Signer, Site};
use serde_json::{Value, json as value};

/// A collector with a device that has reported a prohibited app, and all that is stored.
struct Scene {
    site: Site,
    client: Client,
    device: Device,
    before: BTreeMap<String, Vec<String>>,
}

impl Scene {
    fn new() -> Self {
        let site = Site::serving();
        let client = site.client();
        let device = Device::enrol(&client, &site.token());
        device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
        site.receiver.wait_for("alert.opened", "telegram");
        let before = offchannel_tests::wait_for("the delivery to be noted", || {
            let rows = site.rows();
            let deliveries = &rows["deliveries"];
            if deliveries.iter().all(|row| row.contains("delivered")) {
                Ok(rows)
            } else {
                Err(format!("{deliveries:?}"))
            }
        });
        Self { site, client, device, before }
    }

    /// A report that would change everything if it were taken.
    fn report(&self) -> Vec<u8> {
        json(&self.device.report(2, Vec::new()))
    }

    #[track_caller]
    fn refused(&self, what: &str, answer: &Answer, status: u16, code: &str) -> String {
        let (found_status, found_code, message) = answer.refusal();
        assert_eq!((found_status, found_code.as_str()), (status, code), "{what}: {message}");
        assert_eq!(self.site.rows(), self.before, "{what}: refused, but the database has changed");
        message
    }
}

#[test]
fn a_request_that_is_not_signed_by_the_device_is_refused() {
    let scene = Scene::new();
    let (client, signer, body) = (&scene.client, &scene.device.signer, scene.report());
    let answer = client.post(REPORT_PATH, &[], &body);
    scene.refused("unsigned", &answer, 401, codes::SIGNATURE_MISSING);

    let all = signer.sign(REPORT_PATH, &body, now());
    for (number, (name, _)) in all.iter().enumerate() {
        let mut some = all.clone();
        some.remove(number);
        let answer = client.post(REPORT_PATH, &some, &body);
        scene.refused(&format!("without {name}"), &answer, 401, codes::SIGNATURE_MISSING);
    }

    let forger = Signer::unknown().named(scene.device.id.as_str());
    let answer = forger.post(client, REPORT_PATH, &body);
    scene.refused("signed with another key", &answer, 401, codes::SIGNATURE_INVALID);

    let headers = signer.sign(CHECK_IN_PATH, &body, now());
    let answer = client.post(REPORT_PATH, &headers, &body);
    scene.refused("signed for another path", &answer, 401, codes::SIGNATURE_INVALID);

    let headers = signer.sign(REPORT_PATH, &body, now());
    let altered = String::from_utf8_lossy(&body).replace("bare", "bear").into_bytes();
    let answer = client.post(REPORT_PATH, &headers, &altered);
    scene.refused("altered on its way", &answer, 401, codes::SIGNATURE_INVALID);

    // The genuine request is taken afterwards: nothing of the forged ones stuck.
    assert_eq!(signer.post(client, REPORT_PATH, &body).status, 200);
}

#[test]
fn a_request_that_was_seen_before_is_refused() {
    let scene = Scene::new();
    let report = json(&scene.device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
    let headers = scene.device.signer.sign(REPORT_PATH, &report, now());
    let first = scene.client.post(REPORT_PATH, &headers, &report);
    assert_eq!(first.status, 200, "a repeated state under a new signature is welcome: {}", first.text());
    let again = scene.client.post(REPORT_PATH, &headers, &report);
    scene.refused("the same bytes twice", &again, 401, codes::REPLAYED);
}

#[test]
fn a_request_of_another_time_is_refused_and_told_the_right_time() {
    let scene = Scene::new();
    let body = scene.report();
    let sent = |at: Timestamp| {
        scene.client.post(REPORT_PATH, &scene.device.signer.sign(REPORT_PATH, &body, at), &body)
    };
    let beyond = SignedDuration::from_secs(i64::from(SKEW_MAX.as_seconds()) + 30);
    for (what, at) in [
        ("an hour old", now() - SignedDuration::from_hours(1)),
        ("an hour ahead", now() + SignedDuration::from_hours(1)),
        ("a little too old", now() - beyond),
        ("a little too far ahead", now() + beyond),
    ] {
        let answer = sent(at);
        scene.refused(what, &answer, 401, codes::CLOCK_SKEW);
        let told: ErrorBody = serde_json::from_slice(&answer.body).expect("a refusal");
        let off = now().duration_since(told.error.server_time).abs();
        assert!(off < SignedDuration::from_secs(30), "{what}: told {}", told.error.server_time);
    }
    let within = SignedDuration::from_secs(i64::from(SKEW_MAX.as_seconds()) - 30);
    assert_eq!(sent(now() - within).status, 200, "clocks may differ a little");
}

#[test]
fn a_device_that_is_not_known_is_refused() {
    let scene = Scene::new();
    let body = scene.report();
    for id in ["dev_00000000000000000000000000", "nobody", "", "dev_"] {
        let answer = Signer::unknown().named(id).post(&scene.client, REPORT_PATH, &body);
        scene.refused(&format!("the device {id:?}"), &answer, 401, codes::DEVICE_UNKNOWN);
    }
}

#[test]
fn a_device_that_was_retired_is_refused() {
    let mut scene = Scene::new();
    let id = scene.device.id.as_str();
    let retired = scene.site.run(&["device", "retire", id]);
    assert_eq!(retired.code, 0, "{retired:#?}");
    let resolved = scene.site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(resolved.data["alert"]["cause"], "device-retired", "{:#}", resolved.data);
    scene.before = offchannel_tests::wait_for("the delivery to be noted", || {
        let rows = scene.site.rows();
        let deliveries = &rows["deliveries"];
        if deliveries.iter().all(|row| row.contains("delivered")) {
            Ok(rows)
        } else {
            Err(format!("{deliveries:?}"))
        }
    });
    let answer = offchannel_tests::wait_for("the collector to have heard of it", || {
        let answer = scene.device.signer.post(&scene.client, REPORT_PATH, &scene.report());
        if answer.status == 401 { Ok(answer) } else { Err(answer.text()) }
    });
    let message = scene.refused("a report", &answer, 401, codes::DEVICE_UNKNOWN);
    assert!(message.contains("retired"), "{message}");
    let check_in = json(&scene.device.check_in());
    let answer = scene.device.signer.post(&scene.client, CHECK_IN_PATH, &check_in);
    scene.refused("a check-in", &answer, 401, codes::DEVICE_UNKNOWN);
    assert_eq!(scene.site.devices(), Vec::<Value>::new());
}

#[test]
fn a_body_that_does_not_say_what_it_should_is_refused() {
    let scene = Scene::new();
    let send = |body: &[u8]| scene.device.signer.post(&scene.client, REPORT_PATH, body);
    let report = || serde_json::to_value(scene.device.report(2, Vec::new())).expect("JSON");
    let with = |field: &str, new: Value| {
        let mut report = report();
        report[field] = new;
        json(&report)
    };
    for body in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", b"{\"schema\":1}"] {
        let what = format!("the body {:?}", String::from_utf8_lossy(body));
        scene.refused(&what, &send(body), 400, codes::MALFORMED);
    }
    scene.refused(
        "a revision that is no number",
        &send(&with("revision", value!("x"))),
        400,
        codes::MALFORMED,
    );
    scene.refused("no inventory", &send(&with("inventory", value!(null))), 400, codes::MALFORMED);
    let deep = format!("{{\"schema\":1,\"x\":{}", "[".repeat(100_000));
    scene.refused("a body that nests without end", &send(deep.as_bytes()), 400, codes::MALFORMED);
    scene.refused("a later schema", &send(&with("schema", value!(2))), 400, codes::SCHEMA_UNKNOWN);
    let digest = value!("0".repeat(64));
    scene.refused("another digest", &send(&with("digest", digest)), 422, codes::DIGEST_MISMATCH);
    // Revision 1 is on record with another content.
    scene.refused("an older revision", &send(&with("revision", value!(1))), 409, codes::REVISION_STALE);
}

#[test]
fn a_body_that_is_too_large_is_refused_whole_or_packed() {
    let scene = Scene::new();
    let signer = &scene.device.signer;
    let large = vec![b' '; BODY_MAX + 1];
    // The length alone is enough: nothing of the body is sent.
    let head = format!(
        "POST {REPORT_PATH} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/json\r\n\r\n",
        large.len()
    );
    let answer = scene.client.exchange(head.as_bytes()).expect("an answer");
    scene.refused("a large body that was announced", &answer, 413, codes::TOO_LARGE);

    let mut request = format!(
        "POST {REPORT_PATH} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"
    );
    for (name, value) in signer.sign(REPORT_PATH, &large, now()) {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("\r\n{:x}\r\n", large.len());
    let answer = scene.client.exchange(&[request.as_bytes(), &large].concat()).expect("an answer");
    scene.refused("a large body that was not announced", &answer, 413, codes::TOO_LARGE);

    let packed = |plain: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(plain).expect("packing");
        packer.finish().expect("packing")
    };
    let send = |body: &[u8], encoding: &str| {
        let mut headers = signer.sign(REPORT_PATH, body, now());
        headers.push(("content-encoding", encoding.to_owned()));
        scene.client.post(REPORT_PATH, &headers, body)
    };
    let bomb = packed(&vec![b' '; 50 * BODY_DECOMPRESSED_MAX]);
    assert!(bomb.len() < BODY_MAX, "the bomb has {} bytes", bomb.len());
    scene.refused("a bomb", &send(&bomb, "gzip"), 413, codes::TOO_LARGE);
    scene.refused("gzip that is none", &send(&scene.report(), "gzip"), 400, codes::MALFORMED);
    let whole = packed(&scene.report());
    scene.refused("gzip that breaks off", &send(&whole[..whole.len() / 2], "gzip"), 400, codes::MALFORMED);
    scene.refused("another encoding", &send(&scene.report(), "br"), 415, codes::ENCODING_UNKNOWN);
    assert_eq!(send(&packed(&scene.report()), "gzip").status, 200, "a packed report is welcome");
}

#[test]
fn what_a_later_agent_adds_is_ignored() {
    let scene = Scene::new();
    let mut report = serde_json::to_value(scene.device.report(2, Vec::new())).expect("JSON");
    report["mood"] = value!({"of": "the day"});
    report["facts"]["colour"] = value!("grey");
    let answer = scene.device.signer.post(&scene.client, REPORT_PATH, &json(&report));
    assert_eq!(answer.status, 200, "{}", answer.text());
    scene.site.receiver.wait_for("alert.resolved", "telegram");
}

#[test]
fn nobody_enrols_a_key_that_he_does_not_have() {
    let mut scene = Scene::new();
    let token = scene.site.token();
    scene.before = scene.site.rows();
    let (own, other) = (Signer::unknown(), Signer::unknown());
    let request = json(&enrolment(&other, &token));
    let answer = own.post(&scene.client, ENROL_PATH, &request);
    scene.refused("somebody else's key", &answer, 401, codes::SIGNATURE_INVALID);
    let answer = scene.client.post(ENROL_PATH, &[], &request);
    scene.refused("unsigned", &answer, 401, codes::SIGNATURE_MISSING);
}

#[test]
fn other_routes_and_methods_are_refused() {
    let scene = Scene::new();
    let ask = |method: &str, path: &str| scene.client.request(method, path, &[], b"").expect("an answer");
    for path in ["/", "/agent/v1/", "/agent/v2/report", "/metrics", "/agent/v1/report/", "/../healthz"] {
        scene.refused(path, &ask("GET", path), 404, codes::NOT_FOUND);
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        scene.refused(method, &ask(method, REPORT_PATH), 405, codes::METHOD_NOT_ALLOWED);
    }
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(ask("GET", probe).status, 200, "{probe}");
    }
}

#[test]
fn bytes_that_are_no_request_do_no_harm() {
    let scene = Scene::new();
    let endless = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'a'; 100_000]].concat();
    for bytes in [&b"\0\0\0\0\r\n\r\n"[..], b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", &endless] {
        if let Ok(answer) = scene.client.exchange(bytes) {
            assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
        }
    }
    let twice = format!(
        "POST {REPORT_PATH} HTTP/1.1\r\nhost: c\r\nconnection: close\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{{}}x"
    );
    if let Ok(answer) = scene.client.exchange(twice.as_bytes()) {
        assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    }
    assert_eq!(scene.site.rows(), scene.before);
    assert_eq!(scene.device.signer.post(&scene.client, REPORT_PATH, &scene.report()).status, 200);
}
