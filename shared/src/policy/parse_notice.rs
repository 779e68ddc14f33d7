//! The part of a policy file that speaks to users: `[notice]` and the `notice` of a rule.

use toml::Spanned;
use toml::de::DeValue;

use super::notice::{LANGUAGES_MAX, NOTICE_MAX, Notice, Show, TITLE_MAX, Texts};
use super::read::{Keys, Report, describe};
use crate::language::Language;

pub(super) fn read_notice(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) -> Notice {
    let Some(mut table) = keys.table(report, "notice") else { return Notice::default() };
    let table = &mut table;
    let mut notice = Notice {
        desktop: table.boolean(report, "desktop").unwrap_or(Notice::default().desktop),
        show: table.word(report, "show", &Show::ALL, Show::as_str).unwrap_or_default(),
        languages: table.list(report, "languages").into_iter().map(Spanned::into_inner).collect(),
        ..Notice::default()
    };
    notice.title = read_texts(report, table, "title", TITLE_MAX, &notice.languages);
    notice.text = read_texts(report, table, "text", NOTICE_MAX, &notice.languages);
    notice.exceptions = read_texts(report, table, "exceptions", NOTICE_MAX, &notice.languages);
    table.finish(report);
    notice
}

/// A text in several languages: `key.cy = "..."`, `key.en = "..."`. Those of `expected` should be among them.
pub(super) fn read_texts(
    report: &mut Report<'_>,
    keys: &mut Keys<'_, '_>,
    key: &'static str,
    most: usize,
    expected: &[Language],
) -> Texts {
    let mut texts = Texts::default();
    let Some(value) = keys.take(key) else { return texts };
    let full = keys.name(key);
    let DeValue::Table(table) = value.get_ref() else {
        let found = describe(value.get_ref());
        report.error(
            value.span(),
            &full,
            format!("expected a text for each language, such as {key}.en = \"...\", found {found}"),
        );
        return texts;
    };
    if table.is_empty() {
        report.error(
            value.span(),
            &full,
            format!("there is no text in it: write one, such as {key}.en = \"...\", or leave it out"),
        );
    }
    for (name, value) in table.iter() {
        let full = format!("{full}.{}", name.get_ref());
        let language = match name.get_ref().parse::<Language>() {
            Ok(language) => language,
            Err(error) => {
                report.error(name.span(), full, error);
                continue;
            }
        };
        match value.get_ref() {
            DeValue::String(text) => match fault(text, most) {
                Some(fault) => report.error(value.span(), full, fault),
                None if texts.insert(language.clone(), text.trim().to_owned()) => {}
                None => report.error(name.span(), full, format!("there is a text in {language} already")),
            },
            other => report.error(value.span(), full, format!("expected a text, found {}", describe(other))),
        }
    }
    if texts.languages().count() > LANGUAGES_MAX {
        report.error(value.span(), &full, format!("has more than {LANGUAGES_MAX} languages"));
    }
    for language in expected.iter().filter(|language| !texts.languages().any(|there| there == *language)) {
        report.warning(
            value.span(),
            &full,
            format!("has no text in {language}, which notice.languages names"),
        );
    }
    texts
}

/// What is wrong with a text that users are to see.
fn fault(text: &str, most: usize) -> Option<String> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        Some("must not be empty".to_owned())
    } else if length > most {
        Some(format!("has {length} characters, at most {most} are shown"))
    } else {
        let control = text.chars().find(|c| c.is_control() && *c != '\n')?;
        Some(format!(
            "holds the control character U+{:04X}; only line breaks may be in it",
            u32::from(control)
        ))
    }
}
