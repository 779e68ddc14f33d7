//! `package.json` of a program made with Electron, and whether a program file is the one that it
//! describes.

use serde::Deserialize;
use serde_json::Value;

/// Fewest letters and digits that two names must share: with fewer, all names agree.
const COMMON_MIN: usize = 2;

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

    /// Whether a program file of this name, without `.exe`, is this product: one of its names and the file's
    /// begin alike to the end of the shorter one, case and punctuation aside (`element-desktop` and
    /// `Element`, `rocketchat-desktop` and `Rocket.Chat`).
    pub fn is_of(&self, program: &str) -> bool {
        let program = folded(program);
        let names = [self.product_name.as_deref(), self.name.as_deref(), self.desktop_name.as_deref()];
        names.into_iter().flatten().any(|name| {
            // `@tinyspeck/slack-desktop` is a name in a namespace.
            let name = name.rsplit('/').next().unwrap_or(name);
            let name = folded(name.strip_suffix(".desktop").unwrap_or(name));
            let common = program.chars().count().min(name.chars().count());
            common >= COMMON_MIN && (program.starts_with(&name) || name.starts_with(&program))
        })
    }
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
            prop_assert!(package.is_of(&unlike) == (name.chars().all(|c| c == 'x')), "{}", unlike);
        }
    }
}
