//! From one artefact to a sighting, or to a messenger that no entry lists.

use super::{Catalogue, UNLISTED_PREFIX};
use crate::ids::{AppId, SLUG_MAX};
use crate::inventory::{Artefact, Sighting, Unlisted};
use crate::namespace::Namespace;

/// Categories by which a program calls itself a messenger.
///
/// The first five are freedesktop's additional categories (Desktop Menu Specification, appendix A),
/// the last is Apple's `LSApplicationCategoryType`.
const MESSENGER_CATEGORIES: [&str; 6] = [
    "Chat",
    "IRCClient",
    "InstantMessaging",
    "Telephony",
    "VideoConference",
    "public.app-category.social-networking",
];

/// Programs whose metadata claims one of these categories wrongly: never reported. Their menu entries and
/// flatpaks have these names.
const MISLABELLED: [&str; 4] = [
    // A tray icon for Thunderbird.
    "com.ulduzsoft.Birdtray",
    // A client for the Soulseek file sharing network.
    "org.nicotine_plus.Nicotine",
    // A client for the pump.io social network.
    "pumpa",
    // A client for the Mastodon social network.
    "org.kde.tokodon",
];

/// Longest text kept from an artefact, in bytes; file formats give no limits, reports need one.
const TEXT_MAX: usize = 256;

/// What an artefact turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognised {
    /// An app of the catalogue.
    Listed(Sighting),
    /// A messenger by its own account that no entry lists.
    Unlisted(Unlisted),
    /// Nothing that concerns us; most artefacts.
    Nothing,
}

impl Catalogue {
    /// Says what an artefact of this source is.
    pub fn recognise(&self, source: &str, artefact: &Artefact<'_>) -> Recognised {
        let find = |name| Some((self.find_row(artefact.namespace, name, artefact.publisher)?, name));
        let found = find(artefact.identifier).or_else(|| find(second_name(artefact)?));
        if let Some(((app, row), name)) = found {
            // What follows in an address is personal: a workspace, a channel, a contact's number. The
            // name in the catalogue is all the evidence that is needed.
            let identifier = match artefact.namespace == Namespace::WebApp {
                true => row.name,
                false => name,
            };
            // Ids in the tables are checked when they are built; another one means a broken table.
            let Ok(app) = AppId::new(app.id) else { return Recognised::Nothing };
            return Recognised::Listed(Sighting {
                app,
                source: source.to_owned(),
                namespace: artefact.namespace,
                identifier: clipped(identifier),
                scope: artefact.scope.clone(),
                grade: artefact.grade,
                version: artefact.version.map(clipped),
            });
        }
        // A package has none, and there are thousands.
        if artefact.categories.is_empty() {
            return Recognised::Nothing;
        }
        let mut categories: Vec<String> = artefact
            .categories
            .split(';')
            .filter(|category| MESSENGER_CATEGORIES.contains(category))
            .map(str::to_owned)
            .collect();
        if categories.is_empty() || MISLABELLED.contains(&bare(artefact.identifier)) {
            return Recognised::Nothing;
        }
        categories.sort();
        categories.dedup();
        let Some(app) = unlisted_app(artefact.identifier) else { return Recognised::Nothing };
        Recognised::Unlisted(Unlisted {
            app,
            source: source.to_owned(),
            namespace: artefact.namespace,
            identifier: clipped(artefact.identifier),
            scope: artefact.scope.clone(),
            grade: artefact.grade,
            name: artefact.name.map(clipped),
            version: artefact.version.map(clipped),
            categories,
        })
    }
}

/// The second name that may stand for an artefact.
fn second_name<'a>(artefact: &Artefact<'a>) -> Option<&'a str> {
    // What people make with Script Editor (`com.apple.ScriptEditor.id.*`) and Automator is named by them.
    let of_apple =
        artefact.namespace == Namespace::MacosBundle && artefact.identifier.starts_with("com.apple.");
    artefact.also.filter(|_| !of_apple)
}

/// A stable app id for what no entry lists: its identifier in the alphabet of slugs.
///
/// `None` if the identifier has no letter or digit of that alphabet at all.
fn unlisted_app(identifier: &str) -> Option<AppId> {
    let mut text = UNLISTED_PREFIX.to_owned();
    for c in bare(identifier).chars().map(|c| c.to_ascii_lowercase()) {
        if text.len() >= SLUG_MAX {
            break;
        }
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            text.push(c);
        } else if !text.ends_with('-') {
            text.push('-');
        }
    }
    AppId::new(text.trim_end_matches('-')).ok()
}

/// The name that a menu entry shares with the program's other packages.
fn bare(identifier: &str) -> &str {
    identifier.strip_suffix(".desktop").unwrap_or(identifier)
}

/// At most [`TEXT_MAX`] bytes, cut between characters, without control and invisible characters.
fn clipped(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect()
}

/// Zero-width characters and those that turn the direction of writing: with them one name can be shown as
/// another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inventory::{Grade, Scope};

    fn artefact<'a>(identifier: &'a str, categories: &'a str) -> Artefact<'a> {
        Artefact {
            categories,
            ..Artefact::new(Namespace::DesktopEntry, identifier, &Scope::System, Grade::Installed)
        }
    }

    #[test]
    fn a_messenger_by_its_own_account_is_unlisted() {
        let catalogue = Catalogue::built_in();
        let found = catalogue.recognise("desktop-entry", &artefact("org.acme.Chat.desktop", "Network;Chat;"));
        let Recognised::Unlisted(unlisted) = found else { panic!("{found:?}") };
        assert_eq!(unlisted.app.as_str(), "unlisted-org-acme-chat");
        assert_eq!(unlisted.categories, ["Chat"]);
    }

    #[test]
    fn other_programs_and_mislabelled_ones_are_nothing() {
        let catalogue = Catalogue::built_in();
        for (identifier, categories) in [
            ("wireshark.desktop", "Network;Monitor;"),
            ("pumpa.desktop", "Network;InstantMessaging;"),
            ("org.kde.tokodon", "Network;InstantMessaging;"),
        ] {
            let found = catalogue.recognise("desktop-entry", &artefact(identifier, categories));
            assert_eq!(found, Recognised::Nothing, "{identifier}");
        }
    }

    #[test]
    fn nothing_of_an_address_but_the_catalogue_s_own_name_is_kept() {
        let catalogue = Catalogue::built_in();
        for (address, expected) in [
            ("www.messenger.com/t/100012345678", "www.messenger.com"),
            ("app.slack.com/client/T0SECRET", "app.slack.com/client"),
            ("discord.com/app/1234", "discord.com/app"),
            ("app-id:hnpfjngllnobngcgfapefoaidbinmjnm", "app-id:hnpfjngllnobngcgfapefoaidbinmjnm"),
        ] {
            let web_app = Artefact { namespace: Namespace::WebApp, ..artefact(address, "") };
            let found = catalogue.recognise("web-app", &web_app);
            let Recognised::Listed(sighting) = found else { panic!("{address}: {found:?}") };
            assert_eq!(sighting.identifier, expected);
        }
    }

    #[test]
    fn an_applet_is_not_the_app_that_its_user_named_it_after() {
        let named = |identifier, also| {
            let bundle =
                Artefact { namespace: Namespace::MacosBundle, also: Some(also), ..artefact(identifier, "") };
            Catalogue::built_in().recognise("macos-app", &bundle)
        };
        assert!(matches!(named("org.example.unknown", "WhatsApp.app"), Recognised::Listed(_)));
        for identifier in ["com.apple.ScriptEditor.id.WhatsApp", "com.apple.automator.WhatsApp"] {
            assert_eq!(named(identifier, "WhatsApp.app"), Recognised::Nothing, "{identifier}");
        }
    }

    #[test]
    fn a_name_cannot_be_shown_as_another() {
        assert_eq!(clipped("gnp.\u{202E}txt\u{200B} \u{2066}a\u{FEFF}\nb"), "gnp.txt ab");
    }

    proptest! {
        #[test]
        fn any_artefact_is_judged_without_panic(identifier: String, categories: String) {
            let _ = Catalogue::built_in().recognise("x", &artefact(&identifier, &categories));
            let _ = unlisted_app(&identifier);
        }
    }
}
