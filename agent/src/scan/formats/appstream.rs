//! AppStream metainfo of one program (freedesktop.org, AppStream 1.0, "Upstream Metadata").
//!
//! Not a full XML parser: it follows the elements and reads three kinds of them. Entities stay as they are,
//! and what is not well-formed gives what was found up to there.

/// What a program says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Component<'a> {
    /// The name in no particular language.
    pub name: Option<&'a str>,
    /// The version of the first release, which by the specification is the newest.
    pub version: Option<&'a str>,
    /// Its categories, each with `;` after it, as in desktop entries.
    pub categories: String,
}

/// Longest list of categories that is kept, in bytes.
const CATEGORIES_MAX: usize = 1024;

/// How deep elements are followed; those that matter lie in the third.
const DEPTH_MAX: usize = 16;

impl<'a> Component<'a> {
    /// Reads the beginning of a file, or all of it.
    pub fn parse(xml: &'a [u8]) -> Self {
        let mut component = Self::default();
        let mut path: Vec<&[u8]> = Vec::new();
        let mut rest = xml;
        while let Some(at) = memchr::memchr(b'<', rest) {
            rest = rest.get(at + 1..).unwrap_or_default();
            let end: &[u8] = match rest {
                [b'!', b'-', b'-', ..] => b"-->",
                [b'!', b'[', ..] => b"]]>",
                _ => b">",
            };
            let Some(length) = memchr::memmem::find(rest, end) else { break };
            let (tag, after) = rest.split_at_checked(length).unwrap_or_default();
            rest = after.get(end.len()..).unwrap_or_default();
            match tag.first() {
                Some(b'!' | b'?') | None => {}
                Some(b'/') => {
                    path.pop();
                }
                Some(_) => {
                    let name = tag.split(|byte| byte.is_ascii_whitespace() || *byte == b'/').next();
                    path.push(name.unwrap_or_default());
                    component.element(&path, tag, text(rest));
                    if tag.ends_with(b"/") {
                        path.pop();
                    }
                    if path.len() > DEPTH_MAX {
                        break;
                    }
                }
            }
        }
        component
    }

    fn element(&mut self, path: &[&[u8]], tag: &'a [u8], text: Option<&'a str>) {
        match path {
            [b"component" | b"application", b"name"] if self.name.is_none() => {
                self.name = text.filter(|_| attribute(tag, "xml:lang").is_none());
            }
            [_, b"categories", b"category"] => {
                let word =
                    text.filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
                if let Some(word) = word.filter(|word| self.categories.len() + word.len() < CATEGORIES_MAX) {
                    self.categories.push_str(word);
                    self.categories.push(';');
                }
            }
            [_, b"releases", b"release"] if self.version.is_none() => {
                self.version = attribute(tag, "version")
            }
            _ => {}
        }
    }
}

/// The text at the beginning of an element's content.
fn text(content: &[u8]) -> Option<&str> {
    let text = content.get(..memchr::memchr(b'<', content)?)?;
    std::str::from_utf8(text).ok().map(str::trim).filter(|text| !text.is_empty())
}

/// An attribute of a tag.
fn attribute<'a>(tag: &'a [u8], name: &str) -> Option<&'a str> {
    let tag = std::str::from_utf8(tag).ok()?;
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, next) = after.get(1..)?.split_once(quote)?;
        if before.rsplit(|c: char| c.is_whitespace()).find(|word| !word.is_empty()) == Some(name) {
            return Some(value).filter(|value| !value.is_empty());
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_component_is_read() {
        let xml = br#"<?xml version="1.0"?>
            <!-- <categories><category>Chat</category></categories> -->
            <component type="desktop-application">
              <id>org.acme.Chat</id>
              <developer id="acme"><name>Acme Ltd</name></developer>
              <name xml:lang="de">Acme-Plausch</name>
              <name>Acme Chat</name>
              <description><p>It has <em>a name</em>.</p><ul><li/></ul></description>
              <provides><binary>x</binary></provides>
              <categories><category>Network</category>
                <category> InstantMessaging </category><category>a;b</category></categories>
              <releases><release type="stable" date='2024-01-01' version = "5.1.0"><description/></release>
                <release version="5.0"/></releases>
            </component>"#;
        let expected = Component {
            name: Some("Acme Chat"),
            version: Some("5.1.0"),
            categories: "Network;InstantMessaging;".to_owned(),
        };
        assert_eq!(Component::parse(xml), expected);
    }

    #[test]
    fn what_is_not_there_or_broken_off_is_nothing() {
        for xml in [
            "",
            "<",
            "<component",
            "</component></x>",
            "<component><releases></releases>",
            "<component><releases><release ><release version=></releases>",
            "<component><releases><release version=\"\"/>",
            "<component><categories><category>Chat",
            "<component><x><name>Of another</name></x>",
        ] {
            assert_eq!(Component::parse(xml.as_bytes()), Component::default(), "{xml}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text: String, marks in "[<>/!\\[\\]='\" a-]{0,60}") {
            let _ = Component::parse(&bytes);
            let _ = Component::parse(format!("<component><releases><release {text}>{marks}").as_bytes());
            let _ = Component::parse(marks.as_bytes());
        }

        #[test]
        fn a_component_is_read_back(
            version in "[0-9][0-9a-z.~-]{0,20}",
            name in "[A-Z][a-z]{1,9}( [A-Z][a-z]{1,9})?",
            categories in prop::collection::vec("[A-Z][A-Za-z]{1,12}", 0..9),
        ) {
            let list: String = categories.iter().map(|word| format!("<category>{word}</category>")).collect();
            let xml = format!("<component><name>{name}</name><categories>{list}</categories>\
                <releases><release type=\"stable\" version=\"{version}\" date=\"x\"/></releases></component>");
            let component = Component::parse(xml.as_bytes());
            prop_assert_eq!((component.name, component.version), (Some(name.as_str()), Some(version.as_str())));
            let joined: String = categories.iter().map(|word| format!("{word};")).collect();
            prop_assert_eq!(component.categories, joined);
        }
    }
}
