//! Apps: packed ones of the built-in catalogue, and an organisation's own.

use super::built_in;
use super::entry::{AppKind, Entry};

/// An app of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App<'c> {
    /// The app id.
    pub id: &'c str,
    /// Name for people.
    pub name: &'c str,
    /// Who makes it.
    pub vendor: &'c str,
    /// What sort of product it is.
    pub kind: AppKind,
    /// Whether the vendor of one of its networks makes it; see [`Entry::official`].
    pub official: bool,
    /// Where people can read about it.
    pub homepage: &'c str,
    /// With a space between them, which none of them has.
    networks: &'c str,
}

impl<'c> App<'c> {
    /// What it talks to, sorted.
    pub fn networks(&self) -> impl Iterator<Item = &'c str> + use<'c> {
        self.networks.split(' ')
    }

    /// All built-in ones, sorted by id.
    pub(super) fn all_built_in() -> impl Iterator<Item = Self> {
        built_in::APPS.iter().map(PackedApp::unpack)
    }

    /// The built-in one at this place among them.
    pub(super) fn built_in(index: usize) -> Option<Self> {
        built_in::APPS.get(index).map(PackedApp::unpack)
    }

    /// The place of the built-in one with this id.
    pub(super) fn place_of_built_in(id: &str) -> Option<usize> {
        built_in::APPS.binary_search_by(|app| app.id().cmp(id)).ok()
    }
}

/// A built-in app, without pointers: the loader would have to write each of them, and every page that it writes is
/// memory of this process alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedApp {
    /// Where its texts begin in the text of all apps, in bytes.
    pub(super) start: u32,
    /// The lengths of its texts, which follow one another: id, name, vendor, homepage, networks.
    pub(super) lengths: [u8; 5],
    pub(super) kind: AppKind,
    pub(super) official: bool,
}

impl PackedApp {
    /// The first of its texts, for searching.
    fn id(&self) -> &'static str {
        let (start, [length, ..]) = (self.start as usize, self.lengths);
        built_in::APP_TEXTS.get(start..start + usize::from(length)).unwrap_or_default()
    }

    fn unpack<'c>(&self) -> App<'c> {
        let mut rest = built_in::APP_TEXTS.get(self.start as usize..).unwrap_or_default();
        let [id, name, vendor, homepage, networks] = self.lengths.map(|length| {
            let (text, others) = rest.split_at_checked(length.into()).unwrap_or_default();
            rest = others;
            text
        });
        App { id, name, vendor, kind: self.kind, official: self.official, homepage, networks }
    }
}

/// An app of an organisation's own.
#[derive(Debug, Clone)]
pub(super) struct OwnApp {
    pub(super) id: String,
    name: String,
    vendor: String,
    kind: AppKind,
    official: bool,
    homepage: String,
    networks: String,
}

impl OwnApp {
    pub(super) fn new(id: &str, entry: &Entry) -> Self {
        Self {
            id: id.to_owned(),
            name: entry.name.clone(),
            vendor: entry.vendor.clone(),
            kind: entry.kind,
            official: entry.official,
            homepage: entry.homepage.clone(),
            networks: entry.networks.join(" "),
        }
    }

    pub(super) fn view(&self) -> App<'_> {
        App {
            id: &self.id,
            name: &self.name,
            vendor: &self.vendor,
            kind: self.kind,
            official: self.official,
            homepage: &self.homepage,
            networks: &self.networks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_built_in_apps_follow_one_another_without_a_gap() {
        let mut end = 0;
        for packed in built_in::APPS {
            assert_eq!(packed.start as usize, end);
            end += packed.lengths.iter().copied().map(usize::from).sum::<usize>();
            let app = packed.unpack();
            let texts = [app.id, app.name, app.vendor, app.homepage, app.networks];
            assert!(texts.iter().all(|text| !text.is_empty()), "{app:?}");
            assert_eq!(App::place_of_built_in(app.id).and_then(App::built_in), Some(app));
        }
        assert_eq!(end, built_in::APP_TEXTS.len());
    }
}
