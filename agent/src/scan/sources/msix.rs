//! Store packages (MSIX, AppX) of the machine and of every user.
//!
//! Which key means what, by what administrators and forensic examiners have published of it: under
//! `AppxAllUserStore` of the machine, `Applications` and `InboxApplications` have what every user gets
//! (`Get-AppxProvisionedPackage` lists the first), a key named after a user's identifier what was installed
//! for that user, `Staged` what was only unpacked (one folder deeper, under the package's family), and
//! `Deleted`, `Deprovisioned` and `EndOfLife` what is gone or goes: they are not read. A user's own list is
//! `AppModel\Repository\Packages` in that user's `UsrClass.dat`. The folders of the packages are closed to all
//! but the system, and say no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::drive::Drive;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::registry::{self, Key};
use crate::scan::source::Source;

/// Most packages of one list; a new Windows 11 has a hundred.
const PACKAGES_MAX: usize = 8192;

/// Most users with a list.
const USERS_MAX: usize = 4096;

/// The machine's lists.
const STORE: &str = r"Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore";

/// A user's list.
const PACKAGES: &str =
    r"Local Settings\Software\Microsoft\Windows\CurrentVersion\AppModel\Repository\Packages";

/// Store packages.
#[derive(Debug)]
pub struct Msix;

/// What a package's full name says: `Name_Version_Architecture_ResourceId_PublisherId` ("Package identity"
/// in Microsoft's documentation of MSIX).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    family: String,
    version: [u16; 4],
}

/// The newest package of each family, for every scope and grade.
type Packages = BTreeMap<(Scope, String, Grade), [u16; 4]>;

impl Source for Msix {
    fn id(&self) -> &'static str {
        "msix"
    }

    fn about(&self) -> &'static str {
        "Store packages of the machine and of all users"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Windows]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let own = users.iter().map(|user| user.folder("AppData/Local/Packages"));
        std::iter::once(host.path("/Program Files/WindowsApps")).chain(own).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut packages = Packages::new();
        registry::machine(look, "SOFTWARE", &mut |look, software| {
            software.with(STORE, &mut |store| read_store(look, store, &mut packages));
        });
        for user in look.users() {
            registry::user_classes(look, user, &mut |look, classes| {
                let drive = Drive::of_user(look.host(), user);
                classes.with(PACKAGES, &mut |list| {
                    list.each(PACKAGES_MAX, &mut |name, key| {
                        let there = drive.has_any(look, &[key.text("PackageRootFolder").as_deref()]);
                        let grade = if there { Grade::Installed } else { Grade::Residual };
                        keep(&mut packages, name, &user.scope, grade);
                    });
                });
            });
        }
        for ((scope, family, grade), [a, b, c, d]) in &packages {
            let version = format!("{a}.{b}.{c}.{d}");
            let artefact = Artefact::new(Namespace::Msix, family, scope, *grade);
            found(&Artefact { version: Some(&version), ..artefact });
        }
    }
}

fn read_store(look: &Look<'_>, store: &Key<'_>, packages: &mut Packages) {
    for list in ["Applications", "InboxApplications"] {
        store.with(list, &mut |list| {
            list.each(PACKAGES_MAX, &mut |name, _| keep(packages, name, &Scope::System, Grade::Installed));
        });
    }
    store.each(USERS_MAX, &mut |sid, list| {
        if sid.starts_with("S-1-") {
            let scope = look.scope_of_sid(sid);
            list.each(PACKAGES_MAX, &mut |name, _| keep(packages, name, &scope, Grade::Installed));
        }
    });
    let mut staged = Packages::new();
    store.with("Staged", &mut |families| {
        families.each(PACKAGES_MAX, &mut |_, family| {
            family
                .each(PACKAGES_MAX, &mut |name, _| keep(&mut staged, name, &Scope::System, Grade::Residual));
        });
    });
    add_staged(packages, staged);
}

fn keep(packages: &mut Packages, name: &str, scope: &Scope, grade: Grade) {
    if let Some(package) = Package::of(name) {
        let kept = packages.entry((scope.clone(), package.family, grade)).or_default();
        *kept = package.version.max(*kept);
    }
}

/// Adds what was unpacked and is installed for nobody.
fn add_staged(packages: &mut Packages, mut staged: Packages) {
    let installed: BTreeSet<String> = packages.keys().map(|(_, family, _)| family.clone()).collect();
    staged.retain(|(_, family, _), _| !installed.contains(family));
    packages.append(&mut staged);
}

impl Package {
    /// `None` for what is no full name, and for the parts of a package with its languages and scales.
    fn of(full_name: &str) -> Option<Self> {
        let mut parts = full_name.split('_');
        let (name, version) = (parts.next()?, parts.next()?);
        let (_, resource, publisher) = (parts.next()?, parts.next()?, parts.next()?);
        // The publisher's part is a hash in 13 characters.
        let is_hash = publisher.len() == 13 && publisher.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if parts.next().is_some() || name.is_empty() || !is_hash || resource.starts_with("split.") {
            return None;
        }
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        let mut number = || numbers.next().flatten();
        let version = [number()?, number()?, number()?, number()?];
        numbers.next().is_none().then(|| Self { family: format!("{name}_{publisher}"), version })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_name_has_five_parts() {
        let family = "5319275A.WhatsAppDesktop_cv1g1gvanyjgm";
        for (name, version) in [
            ("5319275A.WhatsAppDesktop_2.2450.6.0_x64__cv1g1gvanyjgm", Some([2, 2450, 6, 0])),
            ("5319275A.WhatsAppDesktop_2.2450.6.0_neutral_~_cv1g1gvanyjgm", Some([2, 2450, 6, 0])),
            ("5319275A.WhatsAppDesktop_2.2450.6.0_neutral_neutral_cv1g1gvanyjgm", Some([2, 2450, 6, 0])),
            ("5319275A.WhatsAppDesktop_2.2450.6.0_neutral_split.scale-100_cv1g1gvanyjgm", None),
            ("5319275A.WhatsAppDesktop_2.2450.6_x64__cv1g1gvanyjgm", None),
            ("5319275A.WhatsAppDesktop_2.2450.6.0.1_x64__cv1g1gvanyjgm", None),
            ("5319275A.WhatsAppDesktop_2.2450.6.0_x64__cv1g1gvanyjg", None),
            ("5319275A.WhatsAppDesktop_2.2450.6.0_x64__cv1g1gvanyjgm_x", None),
            ("5319275A.WhatsAppDesktop_cv1g1gvanyjgm", None),
            ("_1.0.0.0_x64__cv1g1gvanyjgm", None),
        ] {
            let expected = version.map(|version| Package { family: family.to_owned(), version });
            assert_eq!(Package::of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_family_counts_once_and_what_is_installed_is_no_leftover() {
        let mut packages = Packages::new();
        for name in
            ["A_1.10.0.0_x64__cv1g1gvanyjgm", "A_1.9.0.0_x64__cv1g1gvanyjgm", "A_1.10.0.0_x86__cv1g1gvanyjgm"]
        {
            keep(&mut packages, name, &Scope::System, Grade::Installed);
        }
        let mut staged = Packages::new();
        for name in ["A_1.8.0.0_x64__cv1g1gvanyjgm", "B_1.0.0.0_x64__cv1g1gvanyjgm"] {
            keep(&mut staged, name, &Scope::System, Grade::Residual);
        }
        add_staged(&mut packages, staged);
        let kept: Vec<_> = packages
            .iter()
            .map(|((_, family, grade), version)| (family.as_str(), *grade, version[1]))
            .collect();
        assert_eq!(
            kept,
            [("A_cv1g1gvanyjgm", Grade::Installed, 10), ("B_cv1g1gvanyjgm", Grade::Residual, 0)]
        );
    }

    proptest! {
        #[test]
        fn any_name_is_read_without_panic(name: String, parts in prop::collection::vec("[a-z0-9.~]{0,13}", 0..7)) {
            let _ = (Package::of(&name), Package::of(&parts.join("_")));
        }
    }
}
