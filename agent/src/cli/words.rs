//! What `status` and notices say of themselves, in English and Welsh. What the organisation says is in the policy.

use offchannel_shared::inventory::Grade;
use offchannel_shared::language::Language;
use offchannel_shared::policy::Severity;

/// Makes the table of both languages from one list. `{}` stands for what is filled in, in the same order in both.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident: $english:literal, $welsh:literal;)*) => {
        /// Everything that is said, in one language.
        #[derive(Debug)]
        pub struct Words {
            /// The language.
            pub tag: &'static str,
            $($(#[$about])* pub $name: &'static str,)*
        }

        static ENGLISH: Words = Words { tag: "en", $($name: $english,)* };
        static WELSH: Words = Words { tag: "cy", $($name: $welsh,)* };

        #[cfg(test)]
        const BOTH: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $welsh),)*];
    };
}

words! {
    not_enrolled: "This device is not enrolled, and nothing is reported.",
        "Nid yw'r ddyfais hon wedi'i chofrestru, ac ni adroddir dim.";
    enrol_with: "Enrol it with: {}", "I'w chofrestru: {}";
    // Labels.
    device: "Device", "Dyfais";
    collector: "Collector", "Casglydd";
    policy: "Policy", "Polisi";
    last_contact: "Last contact", "Cyswllt diwethaf";
    reported: "Reported", "Adroddwyd";
    trouble: "Trouble", "Anhawster";
    source: "Source", "Ffynhonnell";
    found: "found", "canfuwyd";
    since: "since", "ers";
    why: "why", "pam";
    grace: "time left", "amser ar ôl";
    to_do: "what to do", "beth i'w wneud";
    accepted: "accepted", "derbyniwyd";
    code: "code", "cod";
    // The policy.
    policy_is: "{}, version {}, good until {}", "{}, fersiwn {}, dilys tan {}";
    policy_expired: "{}, version {}, expired at {} and still in force",
        "{}, fersiwn {}, wedi dod i ben {} ac yn dal mewn grym";
    policy_none: "none yet; nothing is reported before one comes", "dim eto; ni adroddir dim nes daw un";
    // Contact.
    contact_saved: "{} (as of the last change; a running agent keeps the newest in memory)",
        "{} (adeg y newid diwethaf; mae'r asiant yn cadw'r diweddaraf yn ei gof)";
    contact_none: "none that was saved", "dim un a gadwyd";
    reported_nothing: "nothing yet", "dim eto";
    reported_all: "everything that was found", "popeth a ganfuwyd";
    reported_part: "not the newest state; it follows as soon as the collector answers",
        "nid y cyflwr diweddaraf; caiff hwnnw ei anfon cyn gynted ag y bydd y casglydd yn ateb";
    trouble_since: "since {}: {}", "ers {}: {}";
    // Findings.
    nothing_judged: "Nothing has been judged yet.", "Nid oes dim wedi'i asesu eto.";
    all_in_order: "Nothing on this device is against the policy.",
        "Nid oes dim ar y ddyfais hon yn groes i'r polisi.";
    own_in_order: "Nothing of yours is against the policy.", "Nid oes gennych ddim sy'n groes i'r polisi.";
    not_in_order: "Not in order: {}", "Heb fod mewn trefn: {}";
    elsewhere: "More in the accounts of other users, which is not shown to you: {}",
        "Rhagor yng nghyfrifon defnyddwyr eraill, na chaiff ei ddangos i chi: {}";
    prohibited: "{} is prohibited", "Mae {} wedi'i wahardd";
    unreviewed: "{} has not been reviewed", "Nid yw {} wedi'i adolygu";
    missing: "{} is required and missing", "Mae {} yn ofynnol, ac nid yw yma";
    rule_is: "(rule {}, severity {})", "(rheol {}, difrifoldeb {})";
    for_everybody: "for everybody on this device", "i bawb ar y ddyfais hon";
    own_account: "in your account", "yn eich cyfrif chi";
    other_account: "in the account {}", "yn y cyfrif {}";
    grace_until: "until {}; from then on it counts as a breach",
        "tan {}; o hynny ymlaen bydd yn cyfrif fel toriad";
    rest_in_order: "Nothing that is yours counts against the policy now.",
        "Nid oes gennych ddim sy'n cyfrif yn erbyn y polisi ar hyn o bryd.";
    // What to do.
    do_nothing: "Nothing until then.", "Dim tan hynny.";
    do_install: "Install {}.", "Gosodwch {}.";
    do_ask: "Nobody has decided about {} yet. Ask those who look after this device whether you may use it.",
        "Nid oes neb wedi penderfynu ynghylch {} eto. Gofynnwch i'r rhai sy'n gofalu am y ddyfais hon a gewch ei ddefnyddio.";
    do_records: "First copy business records out of it into the records system.",
        "Yn gyntaf, copïwch gofnodion busnes ohono i'r system gofnodion.";
    do_remove: "Remove {}.", "Dilëwch {}.";
    do_instead: "Use {} instead.", "Defnyddiwch {} yn ei le.";
    or: " or ", " neu ";
    // Exceptions.
    ask: "To ask for an exception", "I ofyn am eithriad";
    ask_keepers: "Ask those who look after this device.", "Gofynnwch i'r rhai sy'n gofalu am y ddyfais hon.";
    exceptions_follow: "Give the code that stands with it. An exception that is granted shows here with the next contact.",
        "Rhowch y cod a ddangosir gydag ef. Bydd eithriad a ganiateir i'w weld yma ar ôl y cyswllt nesaf.";
    accepted_until: "by your organisation, until {} ({})", "gan eich sefydliad, tan {} ({})";
    explain: "What was sent from this device: {}", "Yr hyn a anfonwyd o'r ddyfais hon: {}";
    // What was sent.
    agent_does: "This agent looks for installed messaging apps, and reports those that the policy asks about.",
        "Mae'r asiant hwn yn chwilio am apiau negeseua sydd wedi'u gosod, ac yn adrodd am y rhai y mae'r polisi'n gofyn amdanynt.";
    references: "Users are told apart by references (u-...) that mean nothing off this device.",
        "Gwahaniaethir rhwng defnyddwyr drwy gyfeirnodau (u-...) nad ydynt yn golygu dim oddi ar y ddyfais hon.";
    sent: "Last sent, at {} to {}, exactly this:", "Anfonwyd ddiwethaf, {} i {}, yn union hyn:";
    sent_without: "Last sent, at {} to {}, exactly this but for {} entries of other users, which are not shown to you:",
        "Anfonwyd ddiwethaf, {} i {}, yn union hyn heblaw am {} o gofnodion defnyddwyr eraill, na chânt eu dangos i chi:";
    sent_nothing: "Nothing has been sent from this device yet.", "Nid oes dim wedi'i anfon o'r ddyfais hon eto.";
    the_collector: "the collector", "y casglydd";
    would_carry: "A report made now, by what this account can see, would carry:",
        "Byddai adroddiad a wneid nawr, yn ôl yr hyn y gall y cyfrif hwn ei weld, yn cynnwys:";
    would_carry_nothing: "Nothing would be sent now: there is no policy that asks for anything.",
        "Ni fyddai dim yn cael ei anfon nawr: nid oes polisi sy'n gofyn am ddim.";
    owed: "Changes that the collector has not confirmed yet, and that go with it: {}",
        "Newidiadau nad yw'r casglydd wedi'u cadarnhau eto, ac sy'n mynd gydag ef: {}";
    appeared: "appeared", "wedi ymddangos";
    disappeared: "disappeared", "wedi diflannu";
    lost: "Older changes that did not fit, of which only the number goes: {}",
        "Newidiadau hŷn nad oedd lle iddynt, na chaiff ond eu nifer ei anfon: {}";
    never: "Never read, whatever the policy says:", "Ni ddarllenir byth, beth bynnag a ddywed y polisi:";
    never_messages: "messages, calls, voice or video", "negeseuon, galwadau, llais na fideo";
    never_contacts: "contacts, accounts, phone numbers or nicknames of any app",
        "cysylltiadau, cyfrifon, rhifau ffôn na llysenwau unrhyw ap";
    never_files: "files that were sent, received or saved", "ffeiliau a anfonwyd, a dderbyniwyd neu a gadwyd";
    never_screen: "what is typed or shown on the screen", "yr hyn a deipir neu a ddangosir ar y sgrin";
    never_browsing: "browsing history, bookmarks, cookies or passwords",
        "hanes pori, nodau tudalen, cwcis na chyfrineiriau";
    never_traffic: "network traffic or addresses that are visited",
        "traffig rhwydwaith na chyfeiriadau yr ymwelir â nhw";
    never_place: "where the device is", "lleoliad y ddyfais";
    never_use: "how long or how often an app is used", "am ba hyd na pha mor aml y defnyddir ap";
    // Grades.
    running: "running", "yn rhedeg";
    installed: "installed", "wedi'i osod";
    web_app: "web app", "ap gwe";
    extension: "browser extension", "estyniad porwr";
    residual: "leftovers", "gweddillion";
    // Severities.
    info: "info", "gwybodaeth";
    low: "low", "isel";
    medium: "medium", "canolig";
    high: "high", "uchel";
    critical: "critical", "critigol";
}

impl Words {
    /// In the first of these languages that there are words in; in English if there are none in any.
    pub fn for_languages(wanted: &[Language]) -> &'static Self {
        wanted.iter().find_map(Self::in_language).unwrap_or(&ENGLISH)
    }

    /// In this language, if there are words in it.
    pub fn in_language(language: &Language) -> Option<&'static Self> {
        [&WELSH, &ENGLISH].into_iter().find(|words| words.tag == language.primary())
    }

    /// What the agent never reads, whatever a policy says: there is no code for it.
    pub fn never_read(&self) -> [&'static str; 8] {
        [
            self.never_messages,
            self.never_contacts,
            self.never_files,
            self.never_screen,
            self.never_browsing,
            self.never_traffic,
            self.never_place,
            self.never_use,
        ]
    }

    /// The word for a grade.
    pub fn grade(&self, grade: Grade) -> &'static str {
        match grade {
            Grade::Running => self.running,
            Grade::Installed => self.installed,
            Grade::WebApp => self.web_app,
            Grade::Extension => self.extension,
            Grade::Residual => self.residual,
        }
    }

    /// The word for a severity.
    pub fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Info => self.info,
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }
}

/// Puts values in the places that are marked `{}`.
pub fn fill(template: &str, values: &[&str]) -> String {
    let mut text =
        String::with_capacity(template.len() + values.iter().map(|value| value.len()).sum::<usize>());
    let mut values = values.iter();
    for (index, part) in template.split("{}").enumerate() {
        if index > 0 {
            text.push_str(values.next().unwrap_or(&""));
        }
        text.push_str(part);
    }
    text
}

/// A text that others wrote, on one line and without what a terminal would take for orders.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_everything_with_the_same_places_to_fill() {
        for (name, english, welsh) in BOTH {
            assert!(!english.is_empty() && !welsh.is_empty(), "{name}");
            assert_eq!(english.matches("{}").count(), welsh.matches("{}").count(), "{name}");
        }
    }

    #[test]
    fn the_first_language_that_there_are_words_in_is_taken() {
        let tag = |wanted: &[&str]| {
            let wanted: Vec<Language> = wanted.iter().map(|tag| tag.parse().unwrap()).collect();
            Words::for_languages(&wanted).tag
        };
        assert_eq!(tag(&["cy-GB"]), "cy");
        assert_eq!(tag(&["fr", "cy", "en"]), "cy");
        assert_eq!(tag(&["fr"]), "en");
        assert_eq!(tag(&[]), "en");
    }

    #[test]
    fn values_are_put_in_order_and_are_no_templates() {
        assert_eq!(fill("{}, version {}", &["{}", "2"]), "{}, version 2");
        assert_eq!(one_line("a\x1b[2Jb\nc"), "a [2Jb c");
    }
}
