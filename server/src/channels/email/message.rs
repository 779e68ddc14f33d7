//! The mail of a delivery, or of a digest.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, SinglePart};
use offchannel_shared::ids::DeliveryId;

use super::body;
use crate::channels::text;
use crate::channels::text::digest::Summary;
use crate::domain::delivery::Delivery;
use crate::domain::digest::Digest;

/// Most characters of each text in a mail.
const TEXT_MAX: usize = 400;
/// Most alerts of a digest: who gets more looks at the list.
const LINES_MAX: usize = 200;

/// Says to other programs that no human wrote it, so that none answers (RFC 3834; Exchange's own header).
const AUTOMATIC: [(HeaderName, &str); 2] = [
    (HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"),
    (HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "OOF, AutoReply"),
];

/// Writes the mail of a delivery; the same at every attempt.
///
/// # Errors
/// Whatever `lettre` refuses.
pub(super) fn write(
    delivery: &Delivery,
    from: &Mailbox,
    to: &[Address],
    sender: &str,
) -> Result<Vec<u8>, lettre::error::Error> {
    // No mail has this id: it is what all mails of an alert have in common, in whatever order they arrive.
    let thread = format!("<{}@{}>", delivery.alert, from.email.domain());
    let subject = text::subject(&delivery.notification);
    let mail = begun(&delivery.id, delivery.created_at, &subject, from, to);
    let message = text::message(&delivery.notification, TEXT_MAX);
    let footer = format!("Sent by the Offchannel collector {sender}, delivery {}.", delivery.id);
    let mail = mail.in_reply_to(thread.clone()).references(thread);
    ended(mail, &delivery.id, body::plain(&message, &footer), body::html(&message, &footer))
}

/// Writes the mail of a digest; the same at every attempt.
///
/// # Errors
/// Whatever `lettre` refuses.
pub(super) fn write_digest(
    digest: &Digest<'_>,
    from: &Mailbox,
    to: &[Address],
    sender: &str,
) -> Result<Vec<u8>, lettre::error::Error> {
    let mut summary = Summary::of(digest);
    summary.more = summary.lines.len().saturating_sub(LINES_MAX);
    summary.lines.truncate(LINES_MAX);
    let created_at = digest.parts.iter().map(|part| part.created_at).max().unwrap_or_default();
    let mail = begun(digest.id, created_at, &summary.title, from, to);
    let footer = format!("Sent by the Offchannel collector {sender}, delivery {}.", digest.id);
    ended(mail, digest.id, body::digest_plain(&summary, &footer), body::digest_html(&summary, &footer))
}

fn begun(
    id: &DeliveryId,
    created_at: Timestamp,
    subject: &str,
    from: &Mailbox,
    to: &[Address],
) -> MessageBuilder {
    let since_1970 = Duration::from_secs(u64::try_from(created_at.as_second()).unwrap_or(0));
    let mut mail = Message::builder()
        .date(SystemTime::UNIX_EPOCH + since_1970)
        .from(from.clone())
        .subject(format!("Offchannel: {}", body::defused(subject)))
        .message_id(Some(format!("<{id}@{}>", from.email.domain())));
    for address in to {
        mail = mail.to(Mailbox::new(None, address.clone()));
    }
    for (name, value) in AUTOMATIC {
        mail = mail.raw_header(HeaderValue::new(name, value.to_owned()));
    }
    mail
}

fn ended(
    mail: MessageBuilder,
    id: &DeliveryId,
    plain: String,
    html: String,
) -> Result<Vec<u8>, lettre::error::Error> {
    let parts = MultiPart::alternative()
        // Nobody who chooses a name knows the id beforehand.
        .boundary(format!("part-{id}"))
        .singlepart(SinglePart::plain(plain))
        .singlepart(SinglePart::html(html));
    Ok(mail.multipart(parts)?.formatted())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;
    use crate::domain::alert::{AlertAction, AlertState};
    use crate::domain::delivery::Notification;

    fn mail(notification: Notification) -> String {
        let from = "Offchannel <offchannel@example.org>".parse().unwrap();
        let to = ["soc@example.org".parse().unwrap(), "ada@example.org".parse().unwrap()];
        let mail = write(&samples::delivery(notification), &from, &to, "collector.example.org").unwrap();
        String::from_utf8(mail).unwrap()
    }

    /// The head of a mail without folds.
    fn head(mail: &str) -> Vec<String> {
        let head = mail.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    fn names(mail: &str) -> Vec<String> {
        head(mail).iter().map(|line| line.split_once(':').unwrap().0.to_owned()).collect()
    }

    #[test]
    fn the_head_is_as_people_and_programs_need_it() {
        let mail = mail(samples::prohibited("sam-laptop", "Telegram"));
        assert_eq!(
            head(&mail),
            [
                "Date: Wed, 04 Mar 2026 10:00:00 +0000",
                "From: Offchannel <offchannel@example.org>",
                "Subject: Offchannel: prohibited app Telegram on sam-laptop",
                &format!("Message-ID: <{}@example.org>", samples::delivery(samples::unit()).id),
                "To: soc@example.org, ada@example.org",
                "Auto-Submitted: auto-generated",
                "X-Auto-Response-Suppress: OOF, AutoReply",
                &format!("In-Reply-To: <{}@example.org>", samples::unit().alert.id),
                &format!("References: <{}@example.org>", samples::unit().alert.id),
                "MIME-Version: 1.0",
                &format!(
                    "Content-Type: multipart/alternative; boundary=\"part-{}\"",
                    samples::delivery(samples::unit()).id
                ),
            ]
        );
    }

    #[test]
    fn every_attempt_is_the_same_mail() {
        let once = || mail(samples::prohibited("sam-laptop", "Telegram"));
        assert_eq!(once(), once());
    }

    #[test]
    fn the_subject_stays_whatever_happens() {
        let opened = samples::prohibited("sam-laptop", "Telegram");
        let mut resolved = opened.clone();
        (resolved.action, resolved.alert.state) = (AlertAction::Resolved, AlertState::Resolved);
        assert_eq!(text::subject(&opened), text::subject(&resolved));
        assert_eq!(text::subject(&samples::unit()), "silent device in Finance");
    }

    proptest! {
        #[test]
        fn no_name_adds_a_header_or_a_part(name in samples::hostile()) {
            let usual = mail(samples::worst("name"));
            let hostile = mail(samples::worst(&name));
            prop_assert_eq!(names(&hostile), names(&usual));
            prop_assert_eq!(hostile.matches("--part-").count(), usual.matches("--part-").count());
            prop_assert!(hostile.is_ascii() && hostile.len() < 100_000, "{} bytes", hostile.len());
            prop_assert!(hostile.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));
        }
    }
}
