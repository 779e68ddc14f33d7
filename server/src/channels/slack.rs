//! Slack, by an incoming webhook.
//!
//! How an answer is understood:
//!
//! - 200: delivered.
//! - 400, 403, 404, 410, 413: given up at once. The message is refused, or the webhook, its channel or its workspace
//!   is gone (`no_service`, `channel_is_archived`): that does not change by asking again.
//! - everything else is tried again: 429 with its `Retry-After`, 5xx, time-outs.

use std::num::NonZeroU32;

use http::StatusCode;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;
use serde_json::{Value, json};

use super::http::{Answer, Client, Format, HttpChannel, HttpConfig, Post};
use super::net::TlsSetupError;
use super::text::digest::{Line, Summary};
use super::text::{self, Message};
use crate::domain::delivery::{Attempt, Delivery, Notification};
use crate::domain::digest::Digest;

/// Most bytes of a message. Slack takes about 13,200 characters, without saying so.
pub const BODY_MAX: usize = 12_000;
/// Most characters of a header.
const HEADER_MAX: usize = 150;
/// Most characters of a section's text.
const SECTION_MAX: usize = 3_000;
/// Most characters of one text before it is escaped: even if each of them has to be, it has room in a section.
const TEXT_MAX: usize = 500;
/// Most alerts of a digest: in the worst case a block each, of 50.
const LINES_MAX: usize = 40;
/// Messages a second.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(1).expect("one is not zero");

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send, and how. The address is a secret: whoever has it can write.
    pub http: HttpConfig,
}

/// A channel of Slack.
pub type Slack = HttpChannel<Blocks>;

impl Slack {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        Ok(Self::with(name, Blocks, Client::new(config.http, &[])?))
    }
}

/// Messages of blocks.
#[derive(Debug)]
pub struct Blocks;

impl Format for Blocks {
    fn posts(&self, delivery: &Delivery, _: Timestamp) -> Result<Vec<Post>, serde_json::Error> {
        let notification = &delivery.notification;
        let write = |message: &Message| serde_json::to_vec(&blocks(notification, message));
        Ok(vec![Post::new(text::fitted(notification, BODY_MAX, write)?)])
    }

    fn digest(&self, digest: &Digest<'_>, _: Timestamp) -> Result<Option<Post>, serde_json::Error> {
        let write = |summary: &Summary| serde_json::to_vec(&digest_blocks(summary));
        Ok(Some(Post::new(Summary::of(digest).fitted(LINES_MAX, BODY_MAX, write)?)))
    }

    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt {
        match answer.status {
            status if status.is_success() => Attempt::Delivered,
            StatusCode::NOT_FOUND | StatusCode::GONE => answer.give_up("the webhook or its channel is gone"),
            StatusCode::FORBIDDEN => answer.give_up("the webhook may not write there"),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
                answer.give_up("the message is refused")
            }
            _ => answer.retry(now),
        }
    }

    fn per_second(&self) -> Option<NonZeroU32> {
        Some(PER_SECOND)
    }
}

fn blocks(notification: &Notification, message: &Message) -> Value {
    let mut lines = Vec::new();
    if notification.test {
        lines.push(escaped(&message.what));
    }
    lines.extend(message.why.as_deref().map(escaped));
    lines.extend(message.instead.as_deref().map(|names| format!("*Use instead:* {}", escaped(names))));
    lines.extend(message.next.map(escaped));
    let facts = message.facts.iter().map(|(label, value)| format!("*{label}:* {}", escaped(value)));
    message_of(&message.title, [lines, facts.collect()])
}

fn digest_blocks(summary: &Summary) -> Value {
    let line = |line: &Line| format!("*{}* {}: {}", line.severity, escaped(&line.about), escaped(&line.what));
    let lines: Vec<String> = summary.lines.iter().map(line).collect();
    message_of(&summary.title, [vec![escaped(&summary.when)], lines, summary.rest().into_iter().collect()])
}

/// A message with a title, and with groups of lines that are text already.
fn message_of(title: &str, groups: impl IntoIterator<Item = Vec<String>>) -> Value {
    let header = json!({ "type": "plain_text", "text": text::clean(title, HEADER_MAX), "emoji": false });
    let mut blocks = vec![json!({ "type": "header", "text": header })];
    for lines in groups {
        blocks.extend(sections(&lines).into_iter().map(|text| {
            // Verbatim: no address and no name in it becomes a link.
            json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
        }));
    }
    json!({ "text": escaped(title), "blocks": blocks })
}

/// Lines in as few texts as have room for them. No line is longer than a section.
fn sections(lines: &[String]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    let mut length = 0;
    for line in lines {
        let more = line.chars().count();
        match sections.last_mut() {
            Some(last) if length + 1 + more <= SECTION_MAX => {
                last.push('\n');
                last.push_str(line);
                length += 1 + more;
            }
            _ => {
                sections.push(line.clone());
                length = more;
            }
        }
    }
    sections
}

/// A text, not too long, that mentions nobody and links to nothing. Slack knows no escape for `*`, `_`, `~` and the backtick; they
/// can make a name bold and no more, as each name is alone in its line.
fn escaped(text: &str) -> String {
    text::clean(text, TEXT_MAX).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;

    fn body(notification: Notification) -> Vec<u8> {
        let post = Blocks.posts(&samples::delivery(notification), samples::at()).unwrap().remove(0);
        post.body().to_vec()
    }

    #[test]
    fn a_message_has_a_fallback_a_header_and_sections() {
        let message: Value =
            serde_json::from_slice(&body(samples::prohibited("sam-laptop", "Telegram"))).unwrap();
        assert_eq!(message["text"], "New alert: prohibited app: Telegram on sam-laptop in Finance");
        assert_eq!(message["blocks"][0]["type"], "header");
        let why = message["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(why.starts_with("We cannot keep records of it.\n*Use instead:* Microsoft Teams\n"), "{why}");
        let facts = message["blocks"][2]["text"]["text"].as_str().unwrap();
        assert!(facts.contains("\n*Device:* sam-laptop (linux)\n"), "{facts}");
    }

    #[test]
    fn nobody_is_mentioned_by_a_name() {
        let message: Value =
            serde_json::from_slice(&body(samples::worst("<!channel> & <https://e|x>"))).unwrap();
        let sections = message["blocks"].as_array().unwrap().iter().map(|block| &block["text"]);
        let marked_up = sections.filter(|text| text["type"] == "mrkdwn").map(|text| &text["text"]);
        for text in marked_up.chain([&message["text"]]) {
            let text = text.as_str().unwrap();
            assert!(!text.contains(['<', '>']), "{text}");
            assert!(text.contains("&lt;!channel&gt; &amp; &lt;"), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_name_makes_a_digest_too_large(name in samples::hostile()) {
            let parts = samples::worst_digest(&name);
            let post = Blocks.digest(&samples::digest(&parts), samples::at()).unwrap().unwrap();
            prop_assert!(post.body().len() <= BODY_MAX, "{} bytes", post.body().len());
            let message: Value = serde_json::from_slice(post.body()).unwrap();
            let blocks = message["blocks"].as_array().unwrap();
            prop_assert!((4..=50).contains(&blocks.len()));
            for block in blocks {
                let text = block["text"]["text"].as_str().unwrap();
                let most = if block["type"] == "header" { HEADER_MAX } else { SECTION_MAX };
                prop_assert!((1..=most).contains(&text.chars().count()), "{:?}", text);
                prop_assert!(!text.contains("<!") && !text.contains("<@") && !text.contains("<http"), "{}", text);
            }
            prop_assert!(blocks.last().unwrap()["text"]["text"].as_str().unwrap().contains("alert list"));
        }

        #[test]
        fn no_name_makes_a_message_too_large(name in samples::hostile()) {
            let body = body(samples::worst(&name));
            prop_assert!(body.len() <= BODY_MAX, "{} bytes", body.len());
            let message: Value = serde_json::from_slice(&body).unwrap();
            let blocks = message["blocks"].as_array().unwrap();
            prop_assert!((3..=50).contains(&blocks.len()));
            for block in blocks {
                let text = block["text"]["text"].as_str().unwrap();
                let most = if block["type"] == "header" { HEADER_MAX } else { SECTION_MAX };
                prop_assert!((1..=most).contains(&text.chars().count()), "{:?}", text);
            }
        }
    }
}
