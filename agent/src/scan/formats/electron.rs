//! `package.json` of a program made with Electron, and whether a program file is the one that it
//! describes.

use serde::Deserialize;
use serde_json::Value;

/// Fewest letters and digits that two names must share: with fewer, all names agree.
const COMMON_MIN: usize = 2;

/// What one name of a product has and another lacks: kinds of programs, and the channels that they are released in.
const WORDS: [&str; 22] = [
    "alpha",
    "app",
    "beta",
    "bin",
    "canary",
    "chat",
    "client",
    "desktop",
    "dev",
    "development",
    "electron",
    "for",
    "im",
    "insiders",
    "linux",
    "messenger",
    "nightly",
    "preview",
    "ptb",
    "snap",
    "stable",
    "windows",
];

/// What a program says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Package {
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    #[serde(deserialize_with = "text")]
    product_name: Option<String>,
    #[serde(deserialize_with = "text")]
    desktop_name: Option<String>,
    /// The version.
    #[serde(deserialize_with = "text")]
    pub version: Option<String>,
}

/// A text; anything else that stands there is nothing.
fn text<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(json)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    })
}

impl Package {
    /// `None` if this is no `package.json`.
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Whether a program file of this name, without `.exe`, is this product: one of its names is the file's, or
    /// one of both goes on with words that mean no other product, case and punctuation aside (`element-desktop`
    /// and `Element`, `rocketchat-desktop` and `Rocket.Chat`).
    pub fn is_of(&self, program: &str) -> bool {
        let program = folded(program);
        let names = [self.product_name.as_deref(), self.name.as_deref(), self.desktop_name.as_deref()];
        names.into_iter().flatten().any(|name| {
            // `@tinyspeck/slack-desktop` is a name in a namespace.
            let name = name.rsplit('/').next().unwrap_or(name);
            let name = folded(name.strip_suffix(".desktop").unwrap_or(name));
            let common = program.chars().count().min(name.chars().count());
            let more = program.strip_prefix(&*name).or_else(|| name.strip_prefix(&*program));
            common >= COMMON_MIN && more.is_some_and(is_of_words)
        })
    }
}

/// Whether a text is made of such words alone. None of them ends where a longer one goes on, but for `dev`.
fn is_of_words(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let longest = WORDS.iter().filter_map(|word| rest.strip_prefix(word)).min_by_key(|rest| rest.len());
        let Some(less) = longest else { return false };
        rest = less;
    }
    true
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_program_is_of_the_product_whose_name_it_carries() {
        for (program, json, expected) in [
            ("signal-desktop", r#"{"name":"signal-desktop","productName":"Signal"}"#, true),
            ("element-desktop", r#"{"name":"element-desktop","productName":"Element"}"#, true),
            ("Discord", r#"{"name":"discord","version":"0.0.71"}"#, true),
            ("DiscordCanary", r#"{"name":"discord"}"#, true),
            ("rocketchat-desktop", r#"{"name":"x","productName":"Rocket.Chat"}"#, true),
            ("slack", r#"{"name":"@tinyspeck/slack-desktop"}"#, true),
            ("qq", r#"{"name":"qq-chat","productName":"QQ"}"#, true),
            ("teams", r#"{"name":"editor","desktopName":"teams.desktop"}"#, true),
            ("signal-desktop-beta", r#"{"name":"signal-desktop","productName":"Signal Beta"}"#, true),
            ("teams-for-linux", r#"{"name":"teams"}"#, true),
            ("Discord", r#"{"name":"discord-development"}"#, true),
            ("discord", r#"{"name":"discord-bot-designer"}"#, false),
            ("DiscordBotDesigner", r#"{"name":"discord"}"#, false),
            ("signal", r#"{"name":"signalling-app"}"#, false),
            ("signal-desktop", r#"{"name":"code","productName":"Code - OSS"}"#, false),
            ("zoom", r#"{"name":"","productName":"..."}"#, false),
            ("zoom", r#"{"name":"z","productName":7}"#, false),
            ("zoom", "{}", false),
        ] {
            assert_eq!(
                Package::parse(json.as_bytes()).unwrap().is_of(program),
                expected,
                "{program}: {json}"
            );
        }
        assert_eq!(Package::parse(b"name: x"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, name: String, program: String) {
            let _ = Package::parse(&bytes);
            let package = Package { name: Some(name), ..Package::default() };
            let _ = package.is_of(&program);
        }

        #[test]
        fn case_and_punctuation_are_nothing(name in "[a-z]{2,9}( [a-z]{2,9})?") {
            let package = Package { product_name: Some(name.to_uppercase().replace(' ', ".")), ..Package::default() };
            prop_assert!(package.is_of(&name.replace(' ', "-")));
            let unlike = format!("x{}", name);
            prop_assert!(!package.is_of(&unlike), "{}", unlike);
        }
    }
}
