//! What stands in a mail, as plain text and as HTML without anything that is fetched from elsewhere.

use std::fmt::Write as _;

use crate::channels::text::Message;
use crate::channels::text::digest::Summary;

/// Longest line of the plain text, in characters; a longer word stays whole.
const WIDTH: usize = 72;
/// Space before the values in the list of facts.
const LABELS: usize = 16;

/// Headings, for both forms.
const WHY: &str = "Why it matters";
const INSTEAD: &str = "What to use instead";
const NEXT: &str = "What to do now";

/// What is said in the sections, each with its heading.
fn sections(message: &Message) -> impl Iterator<Item = (&'static str, &str)> {
    let all = [(WHY, message.why.as_deref()), (INSTEAD, message.instead.as_deref()), (NEXT, message.next)];
    all.into_iter().filter_map(|(heading, text)| Some((heading, text?)))
}

/// A text of devices, in which mail programs are to find no link to click on.
pub(super) fn defused(text: &str) -> String {
    text.replace("://", "[:]//")
}

/// The plain text.
pub(super) fn plain(message: &Message, footer: &str) -> String {
    let mut out = String::new();
    wrapped(&mut out, "", "", &defused(&message.what));
    for (heading, text) in sections(message) {
        let _ = writeln!(out, "\n{heading}:");
        wrapped(&mut out, "  ", "  ", text);
    }
    out.push('\n');
    for (label, value) in &message.facts {
        let label = format!("{:LABELS$}", format!("{label}:"));
        wrapped(&mut out, &label, &" ".repeat(LABELS), &defused(value));
    }
    // The mark that mail programs know a signature by.
    let _ = writeln!(out, "\n-- ");
    wrapped(&mut out, "", "", footer);
    out
}

/// The plain text of a digest.
pub(super) fn digest_plain(summary: &Summary, footer: &str) -> String {
    let mut out = String::new();
    wrapped(&mut out, "", "", &format!("{}.", summary.title));
    wrapped(&mut out, "", "", &summary.when);
    for line in &summary.lines {
        out.push('\n');
        wrapped(&mut out, &format!("{:10}", line.severity), &" ".repeat(10), &defused(&line.about));
        wrapped(&mut out, &" ".repeat(10), &" ".repeat(10), &defused(&line.what));
        wrapped(&mut out, &" ".repeat(10), &" ".repeat(10), &line.alert);
    }
    if let Some(rest) = summary.rest() {
        out.push('\n');
        wrapped(&mut out, "", "", &rest);
    }
    let _ = writeln!(out, "\n-- ");
    wrapped(&mut out, "", "", footer);
    out
}

/// The HTML of a digest.
pub(super) fn digest_html(summary: &Summary, footer: &str) -> String {
    const CELL: &str = "text-align:left;vertical-align:top;padding:2px 12px 2px 0";
    let mut out = head(&summary.title);
    let _ = writeln!(
        out,
        "<p><strong>{}</strong><br>\n{}</p>\n<table style=\"border-collapse:collapse\">\n\
         <tr><th style=\"{CELL}\">Severity</th><th style=\"{CELL}\">About</th><th style=\"{CELL}\">What happened</th>\
         <th style=\"{CELL}\">Alert</th></tr>",
        escaped(&summary.title),
        escaped(&summary.when)
    );
    for line in &summary.lines {
        let _ = writeln!(
            out,
            "<tr><td style=\"{CELL}\">{}</td><td style=\"{CELL}\" dir=\"auto\">{}</td>\
             <td style=\"{CELL}\">{}</td><td style=\"{CELL}\">{}</td></tr>",
            line.severity,
            escaped(&defused(&line.about)),
            escaped(&line.what),
            escaped(&line.alert)
        );
    }
    out += "</table>\n";
    if let Some(rest) = summary.rest() {
        let _ = writeln!(out, "<p>{}</p>", escaped(&rest));
    }
    let _ = writeln!(out, "<p style=\"color:#666\">{}</p>\n</body>\n</html>", escaped(footer));
    out
}

fn head(title: &str) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>");
    out += &escaped(&defused(title));
    out += "</title></head>\n<body style=\"font-family:sans-serif;max-width:40em\">\n";
    out
}

/// Writes words in lines, the first after `first`, the others after `next`.
fn wrapped(out: &mut String, first: &str, next: &str, text: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            next.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// The HTML.
pub(super) fn html(message: &Message, footer: &str) -> String {
    let mut out = head(&message.title);
    out += "<p dir=\"auto\"><strong>";
    out += &escaped(&defused(&message.what));
    out += "</strong></p>\n";
    for (heading, text) in sections(message) {
        let _ = writeln!(
            out,
            "<p><strong>{heading}</strong><br>\n<span dir=\"auto\">{}</span></p>",
            escaped(text)
        );
    }
    out += "<table style=\"border-collapse:collapse\">\n";
    for (label, value) in &message.facts {
        let _ = writeln!(
            out,
            "<tr><th style=\"text-align:left;vertical-align:top;padding:2px 12px 2px 0\">{label}</th>\
             <td dir=\"auto\">{}</td></tr>",
            escaped(&defused(value))
        );
    }
    let _ = writeln!(out, "</table>\n<p style=\"color:#666\">{}</p>\n</body>\n</html>", escaped(footer));
    out
}

/// A text that is nothing but text in HTML, also within an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::{samples, text};
    use crate::domain::alert::{AlertAction, AlertState, Cause};

    const FOOTER: &str = "Sent by the Offchannel collector collector.example.org.";

    #[test]
    fn a_new_alert_reads_like_this() {
        let message = text::message(&samples::prohibited("sam-laptop", "Telegram"), 400);
        assert_eq!(plain(&message, FOOTER), include_str!("snapshots/opened.txt"));
        assert_eq!(html(&message, FOOTER), include_str!("snapshots/opened.html"));
    }

    #[test]
    fn a_resolved_alert_reads_like_this() {
        let mut notification = samples::prohibited("sam-laptop", "Telegram");
        notification.action = AlertAction::Resolved;
        notification.alert.state = AlertState::Resolved;
        notification.alert.cause = Some(Cause::Removed);
        notification.evidence.clear();
        assert_eq!(plain(&text::message(&notification, 400), FOOTER), include_str!("snapshots/resolved.txt"));
    }

    #[test]
    fn an_alert_with_the_worst_names_reads_like_this() {
        let name = "<img src=\"http://evil.example/x\">\r\nBcc: x@evil.example\r\n\r\n=cmd|'/c calc'!A1 \u{202e}gpj.exe";
        let mut notification = samples::worst(name);
        notification.evidence.truncate(1);
        notification.troubles.clear();
        let message = text::message(&notification, 160);
        assert_eq!(plain(&message, FOOTER), include_str!("snapshots/worst.txt"));
        let html = html(&message, FOOTER);
        assert!(
            html.contains("&lt;img src=&quot;http[:]//evil.example/x&quot;&gt;") && !html.contains("<img"),
            "{html}"
        );
    }

    #[test]
    fn a_digest_reads_like_this() {
        let parts = samples::digested();
        let summary = Summary::of(&samples::digest(&parts));
        assert_eq!(digest_plain(&summary, FOOTER), include_str!("snapshots/digest.txt"));
        assert_eq!(digest_html(&summary, FOOTER), include_str!("snapshots/digest.html"));
    }

    #[test]
    fn lines_break_between_words() {
        let mut out = String::new();
        wrapped(&mut out, "Found:  ", "        ", &["word"; 30].join(" "));
        assert!(out.lines().count() == 3 && out.lines().all(|line| line.chars().count() <= WIDTH), "{out}");
        let mut out = String::new();
        wrapped(&mut out, "", "", &"w".repeat(100));
        assert_eq!(out, format!("{}\n", "w".repeat(100)));
    }

    proptest! {
        #[test]
        fn no_name_adds_markup_or_a_link(name in samples::hostile()) {
            let tags = |html: &str| html.matches('<').count();
            let harmless = text::message(&samples::worst("name"), 160);
            let hostile = text::message(&samples::worst(&name), 160);
            // A name of nothing leaves facts out; every other has as many tags as a good one.
            if !text::clean(&name, 160).is_empty() {
                prop_assert_eq!(tags(&html(&hostile, FOOTER)), tags(&html(&harmless, FOOTER)));
            }
            let parts = |name| samples::worst_digest(name);
            let (good, bad) = (parts("name"), parts(&name));
            let digest = |parts: &[_]| digest_html(&Summary::of(&samples::digest(parts)), FOOTER);
            prop_assert_eq!(tags(&digest(&bad)), tags(&digest(&good)));
            prop_assert!(!digest(&bad).contains("://"));
            let facts: String = hostile.facts.iter().map(|(_, value)| defused(value)).collect();
            prop_assert!(!facts.contains("://"), "{facts}");
        }
    }
}
