//! Signatures of requests: the part of RFC 9421 (HTTP Message Signatures) that agents use.
//!
//! Every request of an agent covers the same three components, `@method`, `@path` and
//! `content-digest` (RFC 9530), and carries `created`, `nonce`, `keyid`, `alg` and `tag`. Nothing else is
//! accepted, so that there is nothing to negotiate and nothing to confuse. Header names are
//! not covered because proxies rewrite headers; the body, its path and its instant are what counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::HeaderValue;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};

use super::{PublicKey, SigningKey};
use crate::span::Span;

/// The header of RFC 9530.
pub const CONTENT_DIGEST: &str = "content-digest";
/// The header that says what is signed.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The header with the signature.
pub const SIGNATURE: &str = "signature";
/// RFC 9421's application-specific tag: a signature made for another use of a key is refused.
pub const TAG: &str = "offchannel-agent";
/// How far a request's instant may lie from the collector's clock, either way.
pub const SKEW_MAX: Span = Span::minutes(5);

/// The label of the signature in both headers.
const LABEL: &str = "sig1";
/// The components, in the one order that is accepted.
const COMPONENTS: [&str; 3] = ["@method", "@path", CONTENT_DIGEST];
/// Longest value of a signature header that is parsed, in bytes.
const HEADER_MAX: usize = 1024;

/// Why a request is not accepted as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A header is not there.
    #[error("the request has no {0} header")]
    Missing(&'static str),
    /// A header cannot be read, or says something that is not accepted.
    #[error("the {0} header is not what is expected: {1}")]
    Malformed(&'static str, &'static str),
    /// The body is not the one that was signed.
    #[error("the body does not have the digest that the content-digest header gives")]
    Digest,
    /// The signature is not the key's.
    #[error("the signature is not valid for this key, method, path and body")]
    Signature,
    /// The clocks differ too much, or the request is old.
    #[error("the request was made {seconds} s {direction} this clock, at most {max} are accepted", max = SKEW_MAX)]
    Skew {
        /// By how much, without sign.
        seconds: u64,
        /// `before` or `after`.
        direction: &'static str,
    },
}

/// What a request says about its signature; not to be trusted before [`Claim::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who says to have signed: a device id, or a public key at enrolment.
    pub key_id: String,
    /// When, in whole seconds.
    pub created: Timestamp,
    /// Made for this request alone.
    pub nonce: String,
    params: String,
    signature: Vec<u8>,
    content_digest: String,
}

/// The three headers that sign a request.
///
/// `nonce` must come from a random source, or two requests in one second look like a replay.
pub fn sign(
    key: &SigningKey,
    key_id: &str,
    method: &str,
    path: &str,
    body: &[u8],
    now: Timestamp,
    nonce: [u8; 16],
) -> Vec<(&'static str, String)> {
    let content_digest = content_digest(body);
    let params = format!(
        r#"("@method" "@path" "content-digest");created={};nonce="{}";keyid="{key_id}";alg="ed25519";tag="{TAG}""#,
        now.as_second(),
        STANDARD.encode(nonce),
    );
    let signature = key.sign(base(method, path, &content_digest, &params).as_bytes());
    vec![
        (CONTENT_DIGEST, content_digest),
        (SIGNATURE_INPUT, format!("{LABEL}={params}")),
        (SIGNATURE, format!("{LABEL}=:{}:", STANDARD.encode(signature))),
    ]
}

impl Claim {
    /// Reads the three headers of a request.
    ///
    /// # Errors
    /// [`RequestError::Missing`] and [`RequestError::Malformed`].
    pub fn read(headers: &HeaderMap) -> Result<Self, RequestError> {
        let input = text(headers, SIGNATURE_INPUT)?;
        let signature = text(headers, SIGNATURE)?;
        let content_digest = text(headers, CONTENT_DIGEST)?.to_owned();
        let bad = |why| RequestError::Malformed(SIGNATURE_INPUT, why);
        let input: Dictionary =
            Parser::new(input).parse().map_err(|_| bad("not a structured dictionary (RFC 8941)"))?;
        let Some(entry @ ListEntry::InnerList(list)) = input.get(LABEL) else {
            return Err(bad("expected the label sig1 with a list of components"));
        };
        if !covers_what_is_expected(list) {
            return Err(bad(r#"expected exactly ("@method" "@path" "content-digest")"#));
        }
        let parameter = |name: &str| list.params.iter().find(|(key, _)| key.as_str() == name).map(|(_, v)| v);
        let string = |name: &str| match parameter(name) {
            Some(BareItem::String(text)) => Some(text.as_str()),
            _ => None,
        };
        if string("alg") != Some("ed25519") {
            return Err(bad("expected alg=\"ed25519\""));
        }
        if string("tag") != Some(TAG) {
            return Err(bad("expected tag=\"offchannel-agent\""));
        }
        let created = match parameter("created") {
            Some(BareItem::Integer(seconds)) => Timestamp::from_second(i64::from(*seconds)).ok(),
            _ => None,
        };
        let created = created.ok_or(bad("expected created=<seconds>"))?;
        let nonce = string("nonce").ok_or(bad("expected a nonce"))?.to_owned();
        let key_id = string("keyid").ok_or(bad("expected a keyid"))?.to_owned();
        // RFC 9421, section 2.3: what is signed is a strict serialisation of what was sent.
        let mut serializer = sfv::ListSerializer::new();
        serializer.members([entry]);
        let params = serializer.finish().unwrap_or_default();
        let signature = read_signature(signature)?;
        Ok(Self { key_id, created, nonce, params, signature, content_digest })
    }

    /// Checks the signature, the body and the instant.
    ///
    /// That the nonce is new is for the caller to check, who remembers the old ones.
    ///
    /// # Errors
    /// [`RequestError::Digest`], [`RequestError::Signature`], [`RequestError::Skew`]. The skew is
    /// told last, so that only the holder of the key learns about clocks.
    pub fn verify(
        &self,
        key: &PublicKey,
        method: &str,
        path: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), RequestError> {
        if self.content_digest != content_digest(body) {
            return Err(RequestError::Digest);
        }
        let base = base(method, path, &self.content_digest, &self.params);
        if !key.verify(base.as_bytes(), &self.signature) {
            return Err(RequestError::Signature);
        }
        let difference = self.created.as_second().saturating_sub(now.as_second());
        let seconds = difference.unsigned_abs();
        if seconds > u64::from(SKEW_MAX.as_seconds()) {
            let direction = if difference < 0 { "before" } else { "after" };
            return Err(RequestError::Skew { seconds, direction });
        }
        Ok(())
    }
}

/// The value of the `content-digest` header for a body as it is sent, compressed or not.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, body)))
}

/// RFC 9421, section 2.5.
fn base(method: &str, path: &str, content_digest: &str, params: &str) -> String {
    format!(
        "\"@method\": {method}\n\"@path\": {path}\n\"content-digest\": {content_digest}\n\"@signature-params\": {params}"
    )
}

fn text<'h>(headers: &'h HeaderMap<HeaderValue>, name: &'static str) -> Result<&'h str, RequestError> {
    let mut all = headers.get_all(name).iter();
    let value = all.next().ok_or(RequestError::Missing(name))?;
    if all.next().is_some() {
        return Err(RequestError::Malformed(name, "it is there twice"));
    }
    if value.len() > HEADER_MAX {
        return Err(RequestError::Malformed(name, "it is too long"));
    }
    value.to_str().map_err(|_| RequestError::Malformed(name, "it has other characters than ASCII"))
}

fn covers_what_is_expected(list: &InnerList) -> bool {
    let expected = |(item, component): (&sfv::Item, &str)| {
        item.params.is_empty()
            && matches!(&item.bare_item, BareItem::String(text) if text.as_str() == component)
    };
    list.items.len() == COMPONENTS.len() && list.items.iter().zip(COMPONENTS).all(expected)
}

fn read_signature(header: &str) -> Result<Vec<u8>, RequestError> {
    let bad = RequestError::Malformed(SIGNATURE, "expected sig1=:<base64 of 64 bytes>:");
    let dictionary: Dictionary = Parser::new(header).parse().map_err(|_| bad.clone())?;
    match dictionary.get(LABEL) {
        Some(ListEntry::Item(item)) => match &item.bare_item {
            BareItem::ByteSequence(bytes) if bytes.len() == 64 => Ok(bytes.clone()),
            _ => Err(bad),
        },
        _ => Err(bad),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[9; 32]).unwrap()
    }

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn signed(body: &[u8], second: i64) -> Claim {
        let pairs = sign(&key(), "dev_x", "POST", "/agent/v1/report", body, at(second), [1; 16]);
        Claim::read(&headers(&pairs)).unwrap()
    }

    /// RFC 9421, appendix B.2.6: the key, signature base and signature of an Ed25519 example.
    #[test]
    fn the_signature_base_and_key_agree_with_the_rfc() {
        let public = STANDARD.decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap();
        let public = PublicKey::from_bytes(&public).unwrap();
        let base = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\
                    \"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\
                    \"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \
                    \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
        let signature =
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        assert!(public.verify(base.as_bytes(), &STANDARD.decode(signature).unwrap()));
    }

    #[test]
    fn a_signed_request_is_accepted_within_the_skew_only() {
        let claim = signed(b"{}", 1_000_000);
        let verify = |now| claim.verify(key().public(), "POST", "/agent/v1/report", b"{}", at(now));
        assert_eq!(verify(1_000_000), Ok(()));
        assert_eq!(verify(1_000_300), Ok(()));
        assert_eq!(verify(1_000_301), Err(RequestError::Skew { seconds: 301, direction: "before" }));
        assert_eq!(verify(996_400), Err(RequestError::Skew { seconds: 3600, direction: "after" }));
    }

    #[test]
    fn anything_else_signed_is_refused() {
        let claim = signed(b"{}", 1_000_000);
        let now = at(1_000_000);
        let other = SigningKey::from_seed(&[8; 32]).unwrap();
        let verify =
            |key: &SigningKey, method, path, body: &[u8]| claim.verify(key.public(), method, path, body, now);
        assert_eq!(verify(&key(), "POST", "/agent/v1/report", b"{ }"), Err(RequestError::Digest));
        assert_eq!(verify(&key(), "POST", "/agent/v1/check-in", b"{}"), Err(RequestError::Signature));
        assert_eq!(verify(&key(), "PUT", "/agent/v1/report", b"{}"), Err(RequestError::Signature));
        assert_eq!(verify(&other, "POST", "/agent/v1/report", b"{}"), Err(RequestError::Signature));
    }

    #[test]
    fn headers_that_sign_less_are_refused() {
        let pairs = sign(&key(), "dev_x", "POST", "/p", b"", at(1), [1; 16]);
        for (from, to) in [
            (r#""@path" "#, ""),
            ("ed25519", "hmac-sha256"),
            (r#";tag="offchannel-agent""#, ""),
            ("created=1", "created=\"1\""),
            ("sig1=(", "sig2=("),
            ("nonce", "once"),
        ] {
            let mut pairs = pairs.clone();
            pairs[1].1 = pairs[1].1.replace(from, to);
            let read = Claim::read(&headers(&pairs));
            assert!(matches!(read, Err(RequestError::Malformed(SIGNATURE_INPUT, _))), "{from}: {read:?}");
        }
        assert_eq!(Claim::read(&HeaderMap::new()), Err(RequestError::Missing(SIGNATURE_INPUT)));
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies(body: Vec<u8>, nonce: [u8; 16], second in 0..4_000_000_000i64) {
            let pairs = sign(&key(), "dev_x", "POST", "/p", &body, at(second), nonce);
            let claim = Claim::read(&headers(&pairs)).unwrap();
            prop_assert_eq!(claim.verify(key().public(), "POST", "/p", &body, at(second)), Ok(()));
        }

        #[test]
        fn any_headers_are_read_without_panic(input in "\\PC{0,200}", signature in "\\PC{0,80}") {
            let mut headers = HeaderMap::new();
            for (name, value) in [(SIGNATURE_INPUT, input), (SIGNATURE, signature), (CONTENT_DIGEST, String::new())] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            let _ = Claim::read(&headers);
        }
    }
}
