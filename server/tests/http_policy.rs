//! The policy as programs of the organisation read and publish it: with a token, and only over the version they know.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "shared with other tests")]
mod http_support;

use http::header::{HeaderName, HeaderValue};
use offchannel_server::domain::api_token::Right;
use offchannel_server::service::{ApiTokenRequest, NewApiToken};
use offchannel_shared::span::Span;

use self::http_support::{Answer, POLICY, Server, at, gzip, request};

const ROUTE: &str = "/api/v1/policy";
const NEXT: &str =
    "schema = 1\nname = \"Next\"\n[[rule]]\nid = \"no\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n";

async fn token(server: &Server, right: Right) -> NewApiToken {
    let life = Span::minutes(60);
    let request = ApiTokenRequest { label: "CI".to_owned(), may: vec![right], life };
    server.service.create_api_token(request).await.unwrap()
}

async fn send(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
    more: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let headers = [("authorization".to_owned(), format!("Bearer {token}"))];
    let mut request = request(method, path, &headers, body);
    for (name, value) in more {
        // As UTF-8, which a header may be.
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    server.send(request).await
}

#[tokio::test]
async fn a_policy_is_read_and_published_over_the_version_that_is_known() {
    let server = Server::start().await;
    let text = token(&server, Right::PolicyPublish).await.text;
    let read = send(&server, "GET", ROUTE, &text, &[], b"").await;
    assert_eq!((read.status.as_u16(), &read.body[..]), (200, POLICY.as_bytes()));
    assert_eq!(read.headers["etag"], "\"1\"");
    let named =
        [("if-match", "\"1\""), ("offchannel-comment", "Geprüft"), ("content-type", "application/toml")];
    let published = send(&server, "PUT", ROUTE, &text, &named, NEXT.as_bytes()).await;
    assert_eq!(published.headers["etag"], "\"2\"");
    let answer = published.accepted();
    assert_eq!((&answer["outcome"], &answer["version"]), (&"published".into(), &2.into()), "{answer:#}");
    let stored = server.service.version(2).await.unwrap();
    assert_eq!((stored.author.as_str(), stored.comment.as_str()), ("api: CI", "Geprüft"));
    assert_eq!(stored.source, NEXT);
    // Who still thinks of version 1 is told of version 2.
    let conflict = send(&server, "PUT", ROUTE, &text, &named, NEXT.as_bytes()).await;
    assert!(conflict.refused(412, "version_conflict").contains("expected version 1, found 2"));
    assert_eq!(conflict.headers["etag"], "\"2\"");
    let none = send(&server, "PUT", ROUTE, &text, &[], NEXT.as_bytes()).await;
    assert!(none.refused(428, "version_missing").contains("if-match"));
    assert_eq!(server.service.policies().await.unwrap().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let server = Server::start().await;
    drop(server.device().await);
    let text = token(&server, Right::PolicyPublish).await.text;
    let path = format!("{ROUTE}?dry-run=true");
    let answer = send(&server, "PUT", &path, &text, &[("content-encoding", "gzip")], &gzip(NEXT.as_bytes()))
        .await
        .accepted();
    assert_eq!((&answer["outcome"], &answer["version"]), (&"checked".into(), &serde_json::Value::Null));
    assert_eq!(answer["what_if"]["totals"]["devices"], 1, "{answer:#}");
    assert_eq!(server.service.policies().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_policy_can_be_published_for_later_and_takes_force_once() {
    let server = Server::start().await;
    let text = token(&server, Right::PolicyPublish).await.text;
    let from = at(600).to_string();
    let later = [("if-match", "\"1\""), ("offchannel-effective-from", from.as_str())];
    let answer = send(&server, "PUT", ROUTE, &text, &later, NEXT.as_bytes()).await.accepted();
    assert_eq!(answer["outcome"], "scheduled", "{answer:#}");
    assert_eq!(server.service.in_force().unwrap().version, 1);
    assert!(server.service.take_force().await.unwrap().is_none());
    server.clock.set(at(600));
    assert_eq!(server.service.take_force().await.unwrap().unwrap().version, 2);
    assert_eq!(server.service.in_force().unwrap().version, 2);
    assert!(server.service.take_force().await.unwrap().is_none());
    let late = [("if-match", "\"2\""), ("offchannel-effective-from", from.as_str())];
    let refused = send(&server, "PUT", ROUTE, &text, &late, NEXT.as_bytes()).await;
    assert!(refused.refused(400, "malformed").contains("not in the future"));
}

#[tokio::test]
async fn whoever_may_not_is_refused_and_learns_nothing() {
    let server = Server::start().await;
    let put =
        async |text: &str| send(&server, "PUT", ROUTE, text, &[("if-match", "\"1\"")], NEXT.as_bytes()).await;
    let without = server.send(request("PUT", ROUTE, &[], NEXT.as_bytes())).await;
    assert_eq!(without.headers["www-authenticate"], "Bearer");
    without.refused(401, "api_token_refused");
    for wrong in ["", "hunter2", "oca1_", "oca1_api_x_y"] {
        put(wrong).await.refused(401, "api_token_refused");
    }
    let reader = token(&server, Right::PolicyRead).await.text;
    assert!(put(&reader).await.refused(403, "api_token_refused").contains("policy:publish"));
    assert_eq!(send(&server, "GET", ROUTE, &reader, &[], b"").await.status, 200);
    // A good id with another secret is as unknown as no id at all.
    let good = token(&server, Right::PolicyPublish).await;
    let forged = format!("{}{}", &good.text[..good.text.len() - 4], "AAAA");
    let unknown = put(&forged).await.refused(401, "api_token_refused");
    let other = Server::start().await;
    let foreign = token(&other, Right::PolicyPublish).await.text;
    assert_eq!(put(&foreign).await.refused(401, "api_token_refused"), unknown);
    server.service.revoke_api_token(&good.token.id).await.unwrap();
    assert!(put(&good.text).await.refused(401, "api_token_refused").contains("revoked"));
    let late = token(&server, Right::PolicyPublish).await.text;
    server.clock.set(at(3_600));
    assert!(put(&late).await.refused(401, "api_token_refused").contains("expired"));
    assert_eq!(server.service.policies().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_policy_or_no_request_is_refused_with_the_reason() {
    let server = Server::start().await;
    let text = token(&server, Right::PolicyPublish).await.text;
    let put = async |path: &str, more: &[(&str, &str)], body: &[u8]| {
        send(&server, "PUT", path, &text, more, body).await
    };
    let known = ("if-match", "\"1\"");
    let wrong = put(ROUTE, &[known], b"schema = 1\nname = \"x\"\nstale_aftr = \"7d\"\n").await;
    let message = wrong.refused(422, "policy_invalid");
    assert!(
        message.contains("3:1: error: stale_aftr: unknown key; did you mean \"stale_after\"?"),
        "{message}"
    );
    put(ROUTE, &[known], &[0xff, 0xfe]).await.refused(400, "malformed");
    for tag in ["1", "*", "W/\"1\"", "\"1\", \"2\"", "\"one\""] {
        put(ROUTE, &[("if-match", tag)], NEXT.as_bytes()).await.refused(400, "malformed");
    }
    put(&format!("{ROUTE}?dryrun"), &[known], NEXT.as_bytes()).await.refused(400, "malformed");
    put(ROUTE, &[known, ("offchannel-effective-from", "soon")], NEXT.as_bytes())
        .await
        .refused(400, "malformed");
    put(ROUTE, &[known, ("content-type", "image/png")], NEXT.as_bytes()).await.refused(415, "type_unknown");
    put(ROUTE, &[known], &vec![b'#'; 300 * 1024]).await.refused(413, "too_large");
    send(&server, "DELETE", ROUTE, &text, &[], b"").await.refused(405, "method_not_allowed");
    assert_eq!(server.service.policies().await.unwrap().len(), 1);
}
