//! How each kind of thing is installed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use offchannel_shared::device::Platform;
use offchannel_shared::namespace::Namespace;

use super::list::Identity;

/// The start of a program of Linux, and of an AppImage.
const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
const APPIMAGE: &[u8] = b"\x7fELF\x02\x01\x01\0AI\x02\0\0\0\0\0";

/// Programs of others that make what we read.
#[derive(Debug, Clone, Copy)]
pub struct Tools {
    /// `rpm` and `rpmbuild`.
    pub rpm: bool,
    /// `hivexregedit`.
    pub hivex: bool,
}

impl Tools {
    /// Those that are here.
    pub fn find() -> Self {
        let has = |program: &str| {
            let run =
                Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
            run.is_ok()
        };
        Self { rpm: has("rpm") && has("rpmbuild"), hivex: has("hivexregedit") }
    }
}

/// Installs one thing in an empty tree, and says of which platform the tree is then; nothing if a tool is missing.
pub fn install(tree: &Path, what: &Identity, tools: &Tools) -> Option<Platform> {
    let id = what.identifier.as_str();
    let write = |path: &str, content: &[u8]| write(tree, path, content);
    match what.namespace {
        Namespace::Android => {
            let line =
                format!("{id} 10100 0 /data/user/0/{id} default:targetSdkVersion=34 3003 0 1 1 @null\n");
            write("home/alice/.local/share/waydroid/data/system/packages.list", line.as_bytes());
        }
        Namespace::Apk => {
            let text = format!(
                "C:Q1rKzKdC4Xj9YwL1YB2bC1Hq7vZnE=\nP:{id}\nV:1.0-r0\nA:x86_64\nS:1\nI:1\nT:a program\n\n"
            );
            write("lib/apk/db/installed", text.as_bytes());
        }
        Namespace::Appimage => program(tree, &format!("opt/{id}-1.2.3-x86_64.AppImage"), APPIMAGE),
        Namespace::ChromiumExtension => {
            let manifest =
                format!("home/alice/.config/google-chrome/Default/Extensions/{id}/1.0_0/manifest.json");
            write(&manifest, b"{\"manifest_version\":3}");
        }
        Namespace::DesktopEntry => {
            program(tree, "usr/bin/program", ELF);
            let entry = "[Desktop Entry]\nType=Application\nName=A program\nExec=program %U\n";
            write(&format!("usr/share/applications/{id}"), entry.as_bytes());
        }
        Namespace::Dpkg => {
            let text = format!(
                "Package: {id}\nStatus: install ok installed\nPriority: optional\nSection: net\nMaintainer: {}\n\
                 Architecture: amd64\nVersion: 1.0-1\nDescription: a program\n\n",
                what.publisher
            );
            write("var/lib/dpkg/status", text.as_bytes());
        }
        Namespace::Executable => return unpacked(tree, id),
        Namespace::FirefoxExtension => {
            let list = format!(
                r#"{{"schemaVersion":37,"addons":[{{"id":"{id}","version":"1.0","type":"extension","location":"app-profile","active":true}}]}}"#
            );
            write("home/alice/.mozilla/firefox/abc.default/extensions.json", list.as_bytes());
        }
        Namespace::Flatpak => {
            write(&format!("var/lib/flatpak/app/{id}/x86_64/stable/0c0ffee/metadata"), b"[Application]\n");
            link(tree, "0c0ffee", &format!("var/lib/flatpak/app/{id}/x86_64/stable/active"));
            link(tree, "x86_64/stable", &format!("var/lib/flatpak/app/{id}/current"));
        }
        Namespace::Homebrew => {
            let receipt = format!("home/linuxbrew/.linuxbrew/Cellar/{id}/1.0/INSTALL_RECEIPT.json");
            write(&receipt, b"{\"homebrew_version\":\"4.4.0\",\"installed_on_request\":true}");
        }
        Namespace::HomebrewCask => {
            let folder = format!("opt/homebrew/Caskroom/{id}");
            write(&format!("{folder}/1.0/X.app/Contents/Info.plist"), b"");
            write(&format!("{folder}/.metadata/1.0/20260101000000.000/Casks/{id}.json"), b"{}");
            return Some(Platform::Macos);
        }
        Namespace::Ios => {
            bundle(tree, "Applications/X.app/Wrapper/X.app", "X", id, false);
            link(tree, "Wrapper/X.app", "Applications/X.app/WrappedBundle");
            return Some(Platform::Macos);
        }
        Namespace::MacosBundle => {
            match id.strip_suffix(".app") {
                Some(name) => bundle(tree, &format!("Applications/{id}"), name, "org.example.unknown", true),
                None => bundle(tree, "Applications/A Program.app", "Program", id, true),
            }
            return Some(Platform::Macos);
        }
        Namespace::Nix => {
            let store = format!("nix/store/0123456789abcdfghijklmnpqrsvwxyz-{id}-1.0");
            program(tree, &format!("{store}/bin/program"), ELF);
            let manifest =
                format!(r#"{{"version":2,"elements":[{{"active":true,"storePaths":["/{store}"]}}]}}"#);
            let profile = "nix/store/1123456789abcdfghijklmnpqrsvwxyz-profile";
            write(&format!("{profile}/manifest.json"), manifest.as_bytes());
            link(tree, &format!("/{profile}"), "home/alice/.local/state/nix/profiles/profile-1-link");
            link(tree, "profile-1-link", "home/alice/.local/state/nix/profiles/profile");
        }
        Namespace::Pacman => {
            let desc = format!("%NAME%\n{id}\n\n%VERSION%\n1.0-1\n\n%DESC%\na program\n\n");
            write(&format!("var/lib/pacman/local/{id}-1.0-1/desc"), desc.as_bytes());
        }
        Namespace::Rpm => tools.rpm.then(|| rpm(tree, what))?,
        Namespace::Snap => {
            write(
                &format!("snap/{id}/12/meta/snap.yaml"),
                format!("name: {id}\nversion: '1.0'\n").as_bytes(),
            );
            link(tree, "12", &format!("snap/{id}/current"));
        }
        Namespace::WebApp => {
            program(tree, "opt/google/chrome/google-chrome", ELF);
            let entry = format!(
                "[Desktop Entry]\nType=Application\nName=A site\n\
                 Exec=/opt/google/chrome/google-chrome --profile-directory=Default \"--app=https://{id}\"\n"
            );
            write("home/alice/.local/share/applications/site.desktop", entry.as_bytes());
        }
        Namespace::Msix | Namespace::WindowsUninstall | Namespace::Winget => {
            return tools.hivex.then(|| registry(tree, what));
        }
    }
    Some(Platform::Linux)
}

/// A program in a folder of its own with what belongs to it, on Windows in a home.
fn unpacked(tree: &Path, name: &str) -> Option<Platform> {
    if name.to_ascii_lowercase().ends_with(".exe") {
        let folder = "Users/alice/AppData/Local/Programs/a-program";
        write(tree, &format!("{folder}/{name}"), b"MZ\x90\0");
        write(tree, &format!("{folder}/unins000.exe"), b"MZ\x90\0");
        write(tree, &format!("{folder}/unins000.dat"), b"");
        return Some(Platform::Windows);
    }
    program(tree, &format!("opt/a-program/{name}"), ELF);
    write(tree, "opt/a-program/chrome_100_percent.pak", b"");
    write(tree, "opt/a-program/resources.pak", b"");
    Some(Platform::Linux)
}

/// A bundle of macOS, or of iOS, which has no folder for its contents.
fn bundle(tree: &Path, path: &str, name: &str, id: &str, mac: bool) {
    let (contents, programs) = if mac {
        (format!("{path}/Contents"), format!("{path}/Contents/MacOS"))
    } else {
        (path.to_owned(), path.to_owned())
    };
    let plist = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\
         \t<key>CFBundleExecutable</key>\n\t<string>{name}</string>\n\
         \t<key>CFBundleIdentifier</key>\n\t<string>{id}</string>\n\
         \t<key>CFBundleName</key>\n\t<string>{name}</string>\n\
         \t<key>CFBundlePackageType</key>\n\t<string>APPL</string>\n\
         \t<key>CFBundleShortVersionString</key>\n\t<string>1.0</string>\n\
         </dict>\n</plist>\n"
    );
    write(tree, &format!("{contents}/Info.plist"), plist.as_bytes());
    program(tree, &format!("{programs}/{name}"), b"\xcf\xfa\xed\xfe");
}

/// Builds a package and enters it into the tree's database, both with rpm itself.
fn rpm(tree: &Path, what: &Identity) {
    let work = tempfile::tempdir().expect("a temporary folder");
    let vendor = if what.publisher.is_empty() { "Nobody" } else { &what.publisher };
    let spec = format!(
        "Name: {}\nVersion: 1.0\nRelease: 1\nSummary: A program\nLicense: MIT\nVendor: {vendor}\nBuildArch: noarch\n\
         %description\nA program.\n%files\n",
        what.identifier
    );
    let file = work.path().join("x.spec");
    fs::write(&file, spec).expect("a spec file");
    let top = format!("_topdir {}", work.path().display());
    run(Command::new("rpmbuild").args(["-bb", "--quiet", "--define", &top]).arg(&file));
    let package = work.path().join(format!("RPMS/noarch/{}-1.0-1.noarch.rpm", what.identifier));
    let flags = ["--install", "--justdb", "--nodeps", "--dbpath", "/var/lib/rpm", "--root"];
    run(Command::new("rpm").args(flags).arg(tree).arg(package));
}

/// Enters something into the registry of the tree's Windows, with hivexregedit.
fn registry(tree: &Path, what: &Identity) -> Platform {
    let id = what.identifier.as_str();
    let software = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion";
    let text = match what.namespace {
        Namespace::Msix => {
            let (name, hash) = id.rsplit_once('_').expect("a family name");
            format!(r"[{software}\Appx\AppxAllUserStore\Applications\{name}_1.0.0.0_x64__{hash}]")
        }
        Namespace::Winget => format!(
            "[{software}\\Uninstall\\{id}_Microsoft.Winget.Source_8wekyb3d8bbwe]\n\
             \"DisplayName\"=\"A program\"\n\"WinGetPackageIdentifier\"=\"{id}\""
        ),
        _ if id.starts_with('{') => format!("[{software}\\Uninstall\\{id}]\n\"DisplayName\"=\"A program\""),
        _ => format!(
            "[{software}\\Uninstall\\a-program]\n\"DisplayName\"={}\n\"Publisher\"={}\n\"DisplayVersion\"=\"1.0\"",
            sz(id),
            sz(&what.publisher)
        ),
    };
    let work = tempfile::tempdir().expect("a temporary folder");
    let file = work.path().join("x.reg");
    // hivexregedit wants each key's parent to be there.
    let key = text.trim_start_matches('[').split(']').next().expect("a key");
    let ends = key.match_indices('\\').map(|(at, _)| at).skip(2);
    let parents: String = ends.map(|end| format!("[{}]\n\n", &key[..end])).collect();
    let all = format!("Windows Registry Editor Version 5.00\n\n{parents}{text}\n\n");
    fs::write(&file, all).expect("a registry text");
    let hive = tree.join("Windows/System32/config/SOFTWARE");
    fs::create_dir_all(hive.parent().expect("a folder")).expect("the folder of the hives");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hives/empty"), &hive).expect("an empty hive");
    let prefix = r"HKEY_LOCAL_MACHINE\SOFTWARE";
    run(Command::new("hivexregedit").args(["--merge", "--prefix", prefix]).arg(&hive).arg(&file));
    Platform::Windows
}

/// A text as the bytes of a `REG_SZ`: hivexregedit takes texts in quotes for Latin-1.
fn sz(text: &str) -> String {
    let bytes = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
    format!("hex(1):{}", bytes.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(","))
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program that was here before");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn write(tree: &Path, path: &str, content: &[u8]) {
    let path = tree.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the tree");
    fs::write(path, content).expect("a file of the tree");
}

fn program(tree: &Path, path: &str, content: &[u8]) {
    write(tree, path, content);
    fs::set_permissions(tree.join(path), fs::Permissions::from_mode(0o755)).expect("an executable file");
}

fn link(tree: &Path, target: &str, path: &str) {
    let path = tree.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the tree");
    symlink(target, path).expect("a link of the tree");
}
