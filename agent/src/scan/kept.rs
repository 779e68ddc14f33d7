//! What is kept of what a source found: no more than a report holds, shared fairly.
//!
//! Users make as many entries as they like. None of them may crowd out what others have, nor hide an app of
//! their own behind a thousand names of another one.

use std::collections::{BTreeMap, BTreeSet};

use offchannel_shared::ids::AppId;
use offchannel_shared::inventory::{Scope, Sighting, Unlisted};
use offchannel_shared::wire::SIGHTINGS_MAX;

/// Most sightings of one app for one user that are kept of a source.
const OF_ONE_APP_MAX: usize = 16;

/// Something that was found: whose it is, and of which app.
pub(super) trait Found: Ord {
    fn whose(&self) -> (&Scope, &AppId);
}

impl Found for Sighting {
    fn whose(&self) -> (&Scope, &AppId) {
        (&self.scope, &self.app)
    }
}

impl Found for Unlisted {
    fn whose(&self) -> (&Scope, &AppId) {
        (&self.scope, &self.app)
    }
}

/// What is kept. Which of too many stay does not depend on the order in which they are found: of each app for
/// each user those that come first in the order of reports.
#[derive(Debug)]
pub(super) struct Kept<T> {
    groups: BTreeMap<(Scope, AppId), BTreeSet<T>>,
    count: usize,
    is_cut: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), count: 0, is_cut: false }
    }
}

impl<T: Found> Kept<T> {
    /// Keeps one more, and lets go of another one where that is too many.
    pub(super) fn keep(&mut self, one: T) {
        let (scope, app) = one.whose();
        let group = self.groups.entry((scope.clone(), app.clone())).or_default();
        if !group.insert(one) {
            return;
        }
        if group.len() > OF_ONE_APP_MAX {
            group.pop_last();
            self.is_cut = true;
            return;
        }
        self.count += 1;
        if self.count > SIGHTINGS_MAX {
            self.is_cut = true;
            self.count -= 1;
            self.let_one_go();
        }
    }

    /// Whether one had to go.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// All that was kept.
    pub(super) fn into_all(self) -> Vec<T> {
        self.groups.into_values().flatten().collect()
    }

    /// The last of whoever has most of one app; once nobody has two of one, the last app of whoever has most.
    fn let_one_go(&mut self) {
        let largest =
            self.groups.iter().filter(|(_, group)| group.len() > 1).max_by_key(|(_, group)| group.len());
        if let Some(key) = largest.map(|(key, _)| key.clone()) {
            self.groups.get_mut(&key).map(BTreeSet::pop_last);
            return;
        }
        let mut of_scope: BTreeMap<&Scope, usize> = BTreeMap::new();
        for (scope, _) in self.groups.keys() {
            *of_scope.entry(scope).or_default() += 1;
        }
        let most = of_scope.into_iter().max_by_key(|(_, count)| *count).map(|(scope, _)| scope.clone());
        let last = self.groups.keys().rev().find(|(scope, _)| Some(scope) == most.as_ref()).cloned();
        if let Some(key) = last {
            self.groups.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use offchannel_shared::inventory::Grade;
    use offchannel_shared::namespace::Namespace;

    use super::*;

    fn sighting(user: &str, app: &str, name: usize) -> Sighting {
        Sighting {
            app: AppId::new(app).unwrap(),
            source: "windows-uninstall".to_owned(),
            namespace: Namespace::WindowsUninstall,
            identifier: format!("{name:05}"),
            scope: Scope::User(user.to_owned()),
            grade: Grade::Installed,
            version: None,
        }
    }

    fn kept(all: impl Iterator<Item = Sighting>) -> (Vec<Sighting>, bool) {
        let mut kept = Kept::default();
        all.for_each(|one| kept.keep(one));
        let cut = kept.is_cut();
        (kept.into_all(), cut)
    }

    #[test]
    fn nobody_crowds_out_others_or_an_app_of_their_own() {
        let flood = (0..3000).map(|n| sighting("mallory", "a", n));
        let apps = (0..3000).map(|n| sighting("mallory", &format!("m{n:04}"), 0));
        let others = [sighting("bob", "whatsapp", 0), sighting("mallory", "l", 0)];
        let (found, cut) = kept(flood.chain(others).chain(apps));
        assert!(cut);
        assert_eq!(found.len(), SIGHTINGS_MAX);
        for (user, app) in [("bob", "whatsapp"), ("mallory", "a"), ("mallory", "l")] {
            assert!(found.contains(&sighting(user, app, 0)), "{app} of {user} is gone");
        }
    }

    #[test]
    fn what_stays_does_not_depend_on_the_order() {
        let all = || (0..40).flat_map(|n| ["a", "b"].map(|app| sighting("bob", app, n)));
        let (up, cut) = kept(all());
        let (down, _) = kept(all().collect::<Vec<_>>().into_iter().rev());
        assert!(cut);
        assert_eq!((up.len(), &up), (2 * OF_ONE_APP_MAX, &down));
        let (few, cut) = kept(std::iter::repeat_n(sighting("bob", "a", 0), 99));
        assert_eq!((few.len(), cut), (1, false), "a duplicate takes no room");
    }
}
