//! Bodies: bounded before and after decompression, and read only from a peer that may send one.

use std::io::Read as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use offchannel_shared::wire::SCHEMA;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::config::Limits;
use crate::service::ServiceError;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// What the headers say about the body, refused before a byte of it is read.
pub(super) fn announced(headers: &HeaderMap, limits: &Limits) -> Result<Encoding, Refusal> {
    // Whoever says nothing sends JSON: there is nothing else to send.
    if let Some(value) = headers.get(CONTENT_TYPE) {
        let essence = value.to_str().ok().and_then(|text| text.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
            return Err(Refusal::type_unknown("application/json"));
        }
    }
    encoding(headers, limits)
}

/// What the headers say about a body that is a text, a policy for example.
pub(super) fn announced_text(headers: &HeaderMap, limits: &Limits) -> Result<Encoding, Refusal> {
    // What a program sends that was not told the type.
    const TYPES: [&str; 5] = [
        "application/toml",
        "text/plain",
        "text/toml",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ];
    if let Some(value) = headers.get(CONTENT_TYPE) {
        let essence = value.to_str().ok().and_then(|text| text.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))) {
            return Err(Refusal::type_unknown("application/toml"));
        }
    }
    encoding(headers, limits)
}

fn encoding(headers: &HeaderMap, limits: &Limits) -> Result<Encoding, Refusal> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let encoding = match (encodings.next().map(|value| value.as_bytes()), encodings.next()) {
        (None, None) => Encoding::Identity,
        (Some(value), None) if value.eq_ignore_ascii_case(b"identity") => Encoding::Identity,
        (Some(value), None) if value.eq_ignore_ascii_case(b"gzip") => Encoding::Gzip,
        _ => return Err(Refusal::encoding_unknown()),
    };
    // A wrong or doubled length does not come this far: hyper refuses it.
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limits.body_max)) {
        return Err(too_large_as_sent(limits));
    }
    Ok(encoding)
}

/// The body as it was sent, in bounded size and time.
pub(super) async fn receive(body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    let collected = Limited::new(body, limits.body_max).collect();
    match tokio::time::timeout(limits.request_timeout, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large_as_sent(limits)),
        Ok(Err(_)) => Err(Refusal::malformed("the body broke off")),
        Err(_) => Err(Refusal::body_timeout()),
    }
}

fn too_large_as_sent(limits: &Limits) -> Refusal {
    Refusal::too_large(format!("the body has more than {} bytes", limits.body_max))
}

/// What a body says.
pub(super) fn decode<T: DeserializeOwned>(
    sent: Bytes,
    encoding: Encoding,
    limits: &Limits,
) -> Result<T, Refusal> {
    let plain = unpacked(sent, encoding, limits)?;
    // A body of another schema may be anything else beside: its schema is looked at alone.
    let malformed =
        |error: serde_json::Error| Refusal::malformed(format!("the body is not what is expected: {error}"));
    let Schema { schema } = serde_json::from_slice(&plain).map_err(malformed)?;
    if schema != SCHEMA {
        return Err(Refusal::schema_unknown(&ServiceError::Schema(schema)));
    }
    serde_json::from_slice(&plain).map_err(malformed)
}

/// The text that a body is.
pub(super) fn text(sent: Bytes, encoding: Encoding, limits: &Limits) -> Result<String, Refusal> {
    String::from_utf8(unpacked(sent, encoding, limits)?.into())
        .map_err(|_| Refusal::malformed("the body is not text in UTF-8"))
}

fn unpacked(sent: Bytes, encoding: Encoding, limits: &Limits) -> Result<Bytes, Refusal> {
    match encoding {
        Encoding::Identity if sent.len() > limits.body_decompressed_max => Err(too_large_inside(limits)),
        Encoding::Identity => Ok(sent),
        Encoding::Gzip => Ok(unpack(&sent, limits)?.into()),
    }
}

/// Unpacks no further than the limit, whatever the body would grow to.
fn unpack(sent: &[u8], limits: &Limits) -> Result<Vec<u8>, Refusal> {
    let most = limits.body_decompressed_max;
    let mut plain = Vec::with_capacity(sent.len().saturating_mul(4).min(most));
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(sent)
        .take(one_more)
        .read_to_end(&mut plain)
        .map_err(|error| Refusal::malformed(format!("the body is not gzip: {error}")))?;
    if plain.len() > most { Err(too_large_inside(limits)) } else { Ok(plain) }
}

fn too_large_inside(limits: &Limits) -> Refusal {
    let most = limits.body_decompressed_max;
    Refusal::too_large(format!("the body has more than {most} bytes after decompression"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const LIMITS: Limits = Limits {
        connections: 1,
        handshake_timeout: Duration::from_secs(1),
        header_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        body_max: 64 * 1024,
        body_decompressed_max: 64 * 1024,
    };

    proptest! {
        #[test]
        fn any_body_is_decoded_or_refused_without_panic(body: Vec<u8>, packed: bool) {
            let encoding = if packed { Encoding::Gzip } else { Encoding::Identity };
            let _ = decode::<Value>(body.into(), encoding, &LIMITS);
        }

        #[test]
        fn a_broken_gzip_body_is_refused(cut in 0usize..40, flip in 0usize..40) {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut packer, br#"{"schema":1,"filler":"abcabcabc"}"#).unwrap();
            let mut body = packer.finish().unwrap();
            body.truncate(body.len() - cut.min(body.len()));
            if let Some(byte) = body.get_mut(flip) {
                *byte ^= 0x55;
            }
            let _ = decode::<Value>(body.into(), Encoding::Gzip, &LIMITS);
        }
    }
}
