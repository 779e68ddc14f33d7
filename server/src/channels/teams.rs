//! Microsoft Teams, by the webhook of a Workflow ("When a Teams webhook request is received").
//!
//! What is sent is a message with one adaptive card (<https://adaptivecards.io>, version 1.4), which every template of
//! these workflows takes. How an answer is understood:
//!
//! - 2xx: accepted, no more. The workflow runs after it has answered, and nobody is told if it fails.
//! - 404 and 410: the workflow is gone. 413: the message is too large for it. Both are given up at once.
//! - everything else is tried again: 429 is what more than four messages a second get, 400, 401 and 403 come from a
//!   workflow that is switched off or whose address was made anew, and somebody can put that right.

use std::num::NonZeroU32;

use http::StatusCode;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;
use serde_json::{Value, json};

use super::http::{Answer, Client, Format, HttpChannel, HttpConfig, Post};
use super::net::TlsSetupError;
use super::text::digest::Summary;
use super::text::{self, Message};
use crate::domain::delivery::{Attempt, Delivery, Notification};
use crate::domain::digest::Digest;

/// Most bytes of a message: 28 KB, of which Teams adds some itself.
pub const BODY_MAX: usize = 26_000;
/// Most alerts of a digest.
const LINES_MAX: usize = 50;
/// Messages a second.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(4).expect("four is not zero");

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send, and how. The address is a secret: whoever has it can write.
    pub http: HttpConfig,
}

/// A channel of Teams.
pub type Teams = HttpChannel<Cards>;

impl Teams {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        Ok(Self::with(name, Cards, Client::new(config.http, &[])?))
    }
}

/// Messages with an adaptive card.
#[derive(Debug)]
pub struct Cards;

impl Format for Cards {
    fn posts(&self, delivery: &Delivery, _: Timestamp) -> Result<Vec<Post>, serde_json::Error> {
        let notification = &delivery.notification;
        let write = |message: &Message| serde_json::to_vec(&card(notification, message));
        Ok(vec![Post::new(text::fitted(notification, BODY_MAX, write)?)])
    }

    fn digest(&self, digest: &Digest<'_>, _: Timestamp) -> Result<Option<Post>, serde_json::Error> {
        let write = |summary: &Summary| serde_json::to_vec(&digest_card(summary));
        Ok(Some(Post::new(Summary::of(digest).fitted(LINES_MAX, BODY_MAX, write)?)))
    }

    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt {
        match answer.status {
            status if status.is_success() => Attempt::Accepted,
            StatusCode::NOT_FOUND | StatusCode::GONE => answer.give_up("the workflow is gone"),
            StatusCode::PAYLOAD_TOO_LARGE => answer.give_up("the message is too large"),
            _ => answer.retry(now),
        }
    }

    fn per_second(&self) -> Option<NonZeroU32> {
        Some(PER_SECOND)
    }
}

fn block(text: &str) -> Value {
    json!({ "type": "TextBlock", "text": escaped(text), "wrap": true })
}

fn titled(title: &str, colour: &str) -> Value {
    let mut block = block(title);
    for (key, value) in [("weight", "Bolder"), ("size", "Medium"), ("color", colour)] {
        block[key] = value.into();
    }
    block
}

fn card(notification: &Notification, message: &Message) -> Value {
    let mut body = vec![titled(&message.title, text::grave(notification.alert.severity).card)];
    if notification.test {
        body.push(block(&message.what));
    }
    body.extend(message.why.as_deref().map(block));
    body.extend(message.instead.as_deref().map(|names| block(&format!("Use instead: {names}"))));
    body.extend(message.next.map(block));
    let facts: Vec<Value> = message
        .facts
        .iter()
        .map(|(label, value)| json!({ "title": label, "value": escaped(value) }))
        .collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    message_of(&message.title, body)
}

fn digest_card(summary: &Summary) -> Value {
    let mut body = vec![titled(&summary.title, "Default"), block(&summary.when)];
    let facts: Vec<Value> = summary
        .lines
        .iter()
        .map(|line| json!({ "title": line.severity, "value": escaped(&format!("{}: {}", line.about, line.what)) }))
        .collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    body.extend(summary.rest().as_deref().map(block));
    message_of(&summary.title, body)
}

fn message_of(title: &str, body: Vec<Value>) -> Value {
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        // What is read where a card cannot be shown, in a notification for example.
        "fallbackText": title,
        "body": body,
    });
    json!({
        "type": "message",
        "summary": title,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

/// A text in which nothing is Markdown: what could be gets a backslash.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // A number with a point or bracket begins a list, too.
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let begins_list = if number.len() < text.len() && number.starts_with(['.', ')']) {
        Some(text.len() - number.len())
    } else {
        None
    };
    for (position, c) in text.char_indices() {
        let anywhere = matches!(
            c,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '<' | '>' | '~' | '|' | '&'
        );
        let first = position == 0 && matches!(c, '#' | '+' | '-' | '=');
        if anywhere || first || (begins_list == Some(position) && c == '.') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;

    fn body(notification: Notification) -> Vec<u8> {
        let post = Cards.posts(&samples::delivery(notification), samples::at()).unwrap().remove(0);
        post.body().to_vec()
    }

    #[test]
    fn a_card_is_one_message_with_everything_in_it() {
        let message: Value =
            serde_json::from_slice(&body(samples::prohibited("sam-laptop", "Telegram"))).unwrap();
        assert_eq!(message["type"], "message");
        let card = &message["attachments"][0]["content"];
        assert_eq!((&card["type"], &card["version"]), (&"AdaptiveCard".into(), &"1.4".into()));
        assert_eq!(card["body"][0]["text"], "New alert: prohibited app: Telegram on sam-laptop in Finance");
        assert_eq!(card["body"][0]["color"], "Attention");
        assert_eq!(card["body"][2]["text"], "Use instead: Microsoft Teams");
        assert_eq!(card["body"][4]["facts"][1]["value"], "sam-laptop \\(linux\\)");
    }

    #[test]
    fn markdown_in_a_name_is_shown_and_not_obeyed() {
        for (text, expected) in [
            ("[x](https://e) **b**", "\\[x\\]\\(https://e\\) \\*\\*b\\*\\*"),
            ("- item", "\\- item"),
            ("a-b", "a-b"),
            ("12. item", "12\\. item"),
            ("1.2.3", "1\\.2.3"),
            ("{{DATE(x)}}", "\\{\\{DATE\\(x\\)\\}\\}"),
            ("a|b\\c", "a\\|b\\\\c"),
        ] {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_name_makes_a_digest_too_large_or_another(name in samples::hostile()) {
            let parts = samples::worst_digest(&name);
            let post = Cards.digest(&samples::digest(&parts), samples::at()).unwrap().unwrap();
            prop_assert!(post.body().len() <= BODY_MAX, "{} bytes", post.body().len());
            let message: Value = serde_json::from_slice(post.body()).unwrap();
            let body = &message["attachments"][0]["content"]["body"];
            prop_assert_eq!(&body[0]["text"], "251 alerts: 251 open, 0 resolved");
            prop_assert!(!body[2]["facts"].as_array().unwrap().is_empty());
            prop_assert!(body[3]["text"].as_str().unwrap().contains("alert list"), "{}", body[3]);
        }

        #[test]
        fn no_name_makes_a_message_too_large_or_another(name in samples::hostile()) {
            let body = body(samples::worst(&name));
            prop_assert!(body.len() <= BODY_MAX, "{} bytes", body.len());
            let message: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(message["attachments"].as_array().unwrap().len(), 1);
            prop_assert_eq!(&message["attachments"][0]["content"]["type"], "AdaptiveCard");
        }
    }
}
