//! What is written in `packaging/` agrees with the code and with itself: paths, accounts, settings; and how hard the units are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use offchannel_tests::{Output, Unit, programs};

/// Files of the project that name paths of an installed system.
const CODE: [&str; 8] = [
    "agent/src/config/keys.rs",
    "agent/src/config/places.rs",
    "agent/src/service/linux.rs",
    "agent/src/service/macos.rs",
    "agent/src/service/texts.rs",
    "server/src/app.rs",
    "server/src/cli/mod.rs",
    "server/src/config/default.toml",
];

/// Files in the folders of others whose names are for packages alone.
const OF_PACKAGES: [&str; 12] = [
    "/usr/lib/sysusers.d/offchannel-agent.conf",
    "/usr/lib/sysusers.d/offchannel-server.conf",
    "/usr/lib/systemd/system-preset/80-offchannel-agent.preset",
    "/usr/lib/tmpfiles.d/offchannel-agent.conf",
    "/usr/lib/tmpfiles.d/offchannel-server.conf",
    "/usr/lib/systemd/user/offchannel-notice.path",
    "/usr/lib/systemd/user/offchannel-notice.service",
    "/usr/lib/systemd/user/graphical-session.target.wants/offchannel-notice.path",
    "/usr/lib/systemd/user/graphical-session.target.wants/offchannel-notice.service",
    "/usr/share/bash-completion/completions/offchannel-agent",
    "/usr/share/bash-completion/completions/offchannel-server",
    "/usr/share/doc/offchannel-server/default.toml",
];

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the project").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// The value of a constant of the code: its first that is a path of Unix.
fn constant(path: &str, name: &str) -> String {
    let text = text(path);
    let start = format!("const {name}: &str = \"/");
    let value = text.split_once(&start).and_then(|(_, rest)| rest.split_once('"'));
    format!("/{}", value.unwrap_or_else(|| panic!("{path} has no constant {name} that is a path")).0)
}

/// All absolute paths in a text that have to do with Offchannel.
fn paths(text: &str) -> BTreeSet<String> {
    let of_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    text.split(|c| !of_path(c))
        // Variables of a script, such as $tree/usr/bin, leave the rest of the path.
        .filter_map(|word| word.find('/').map(|at| &word[at..]))
        .filter(|path| ["/etc/", "/usr/", "/var/", "/Library/"].iter().any(|start| path.starts_with(start)))
        .filter(|path| path.contains("offchannel"))
        .map(|path| path.trim_end_matches(['.', '/']).to_owned())
        .collect()
}

/// All files below a folder of the project, with their text.
fn files(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(project(folder)).expect("a folder of the project") {
        let name = format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy());
        if project(&name).is_dir() {
            found.extend(files(&name));
        } else {
            let text = text(&name);
            found.insert(name, text);
        }
    }
    found
}

/// The value of a field of a line of sysusers.d or tmpfiles.d: the only line that is no comment.
fn fields(path: &str) -> Vec<String> {
    let text = text(path);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let [line] = lines.as_slice() else { panic!("{path} should have one line: {lines:?}") };
    let mut parts = line.split('"');
    let mut fields = Vec::new();
    while let Some(plain) = parts.next() {
        fields.extend(plain.split_whitespace().map(ToOwned::to_owned));
        fields.extend(parts.next().map(ToOwned::to_owned));
    }
    fields
}

#[test]
fn every_path_in_packaging_is_one_that_the_code_uses() {
    let state = constant("agent/src/config/keys.rs", "STATE_DIR");
    let agent = constant("agent/src/config/places.rs", "DEFAULT_PATH");
    let folder = agent.rsplit_once('/').expect("a folder").0.to_owned();
    let mut known: BTreeSet<String> = CODE.iter().flat_map(|path| paths(&text(path))).collect();
    // What the code joins of a folder and a name.
    known.extend(
        ["offchannel-agent", "offchannel-server"]
            .map(|name| format!("/usr/lib/systemd/system/{name}.service")),
    );
    known.extend(["offchannel-agent", "offchannel-server"].map(|name| format!("/usr/bin/{name}")));
    known.extend(["offchannel-agent", "offchannel-server"].map(|name| format!("/usr/share/doc/{name}")));
    known.extend(["offchannel-agent", "offchannel-server"].map(|name| format!("/usr/share/man/man8/{name}")));
    known.extend(OF_PACKAGES.map(ToOwned::to_owned));
    known.extend([folder.clone(), format!("{folder}/ca.crt"), format!("{state}/enrolment.token")]);
    for (constant, file) in [("STATE", "state.json"), ("POLICY", "policy.json")] {
        let named = format!("const {constant}: &str = \"{file}\"");
        assert!(text("agent/src/state/mod.rs").contains(&named), "{named}");
        known.insert(format!("{state}/{file}"));
    }
    let mut unknown = Vec::new();
    let mut found = BTreeSet::new();
    for (name, text) in files("packaging") {
        for path in paths(&text) {
            if !known.contains(&path) {
                unknown.push(format!("{name}: {path}"));
            }
            found.insert(path);
        }
    }
    assert!(unknown.is_empty(), "the code knows nothing of these: {unknown:#?}");
    let server = constant("server/src/app.rs", "DEFAULT_CONFIG");
    let server_state = text("server/src/config/default.toml")
        .lines()
        .find_map(|line| line.strip_prefix("data_dir = ").map(|value| value.trim_matches('"').to_owned()))
        .expect("a data_dir");
    for path in
        [agent, folder, state, server, server_state, constant("agent/src/service/texts.rs", "UNIT_PROGRAM")]
    {
        assert!(found.contains(&path), "packaging/ should name {path}: {found:#?}");
    }
    let managed = constant("agent/src/config/places.rs", "MANAGED_PATH");
    assert!(text("packaging/linux/agent.toml").contains(managed.rsplit_once('/').expect("a folder").1));
}

#[test]
fn account_state_folder_and_unit_agree() {
    let state = |unit: &Unit| format!("/var/lib/{}", unit.value("StateDirectory"));
    let server_state = text("server/src/config/default.toml");
    for (program, folder) in [
        ("offchannel-agent", constant("agent/src/config/keys.rs", "STATE_DIR")),
        ("offchannel-server", "/var/lib/offchannel".to_owned()),
    ] {
        let unit = Unit::read(&project(&format!("packaging/linux/{program}.service")));
        let (user, mode) = (unit.value("User").to_owned(), unit.value("StateDirectoryMode").to_owned());
        assert_eq!((unit.value("Group"), state(&unit)), (user.as_str(), folder.clone()), "{program}");
        assert!(unit.value("ExecStart").starts_with(&format!("/usr/bin/{program} ")), "{program}");
        let account = fields(&format!("packaging/linux/{program}.sysusers"));
        assert_eq!([&account[0], &account[1], &account[4]], ["u", &user, &folder], "{program}");
        let directory = fields(&format!("packaging/linux/{program}.tmpfiles"));
        assert_eq!(directory, ["d", &folder, &mode, &user, &user, "-"], "{program}");
    }
    assert!(server_state.contains("data_dir = \"/var/lib/offchannel\""));
    assert_eq!(
        Unit::read(&project("packaging/linux/offchannel-server.service")).value("ExecStart"),
        format!(
            "/usr/bin/offchannel-server serve --config {}",
            constant("server/src/app.rs", "DEFAULT_CONFIG")
        )
    );
    // What `service install` writes is found by the same name as what a package brings.
    let account = constant("agent/src/service/linux.rs", "ACCOUNT");
    assert_eq!(account.replace("/etc/", "/usr/lib/"), OF_PACKAGES[0]);
}

#[test]
fn the_settings_that_packages_install_are_understood() {
    let config = project("packaging/linux/agent.toml");
    let mut agent = programs::agent();
    let checked = Output::of(agent.args(["check-config", "--format", "json", "--config"]).arg(&config));
    let answer: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    // Only what nobody but the organisation can know is missing.
    let problems = answer["problems"].as_array().expect("problems");
    assert!(problems.len() == 1 && problems[0]["key"] == "server.url", "{answer:#}");
    let message = problems[0]["message"].as_str().expect("a message");
    assert!(message.starts_with("not set: "), "the key stands before it: {answer:#}");
    let uncommented = fs::read_to_string(&config).expect("the settings").replace("# url = ", "url = ");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("agent.toml"), uncommented).expect("a file");
    let mut agent = programs::agent();
    let checked = Output::of(agent.arg("check-config").arg("--config").arg(folder.path().join("agent.toml")));
    assert_eq!(checked.code, 0, "{checked:#?}");
    // This is what the packages' scripts look for before they start the agent.
    assert!(checked.stdout.lines().any(|line| line.starts_with("server.url  ") && line.contains(" https:")));
    let mut server = programs::server();
    let checked =
        Output::of(server.arg("--config").arg(project("packaging/linux/server.toml")).arg("check-config"));
    assert_eq!(checked.code, 0, "{checked:#?}");
}

#[test]
fn the_property_list_names_its_own_file() {
    let file = constant("agent/src/service/macos.rs", "FILE");
    let name = file.rsplit_once('/').expect("a folder").1;
    let label = name.strip_suffix(".plist").expect("a property list");
    assert!(text(&format!("packaging/macos/{name}")).contains(&format!("<string>{label}</string>")));
}

/// The version of systemd-analyze, or nothing, said aloud.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn systemd_analyze() -> bool {
    let there =
        Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("SKIPPED: systemd-analyze is not on this machine; tests/run installs it where it can");
    }
    there
}

#[test]
fn the_units_are_hard() {
    if !systemd_analyze() {
        return;
    }
    for (program, most) in [("offchannel-agent", 2.0), ("offchannel-server", 1.5)] {
        let unit = project(&format!("packaging/linux/{program}.service"));
        let output = Output::of(
            Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(unit),
        );
        // → Overall exposure level for offchannel-agent.service: 2.0 OK
        let line = output.stdout.lines().find(|line| line.contains("Overall exposure level"));
        let exposure =
            line.and_then(|line| line.split(": ").nth(1)?.split_whitespace().next()?.parse::<f64>().ok());
        let exposure = exposure.unwrap_or_else(|| panic!("no exposure: {output:#?}"));
        assert!(exposure <= most, "the exposure of {program} is {exposure}:\n{}", output.stdout);
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !systemd_analyze() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    for program in ["offchannel-agent", "offchannel-server"] {
        // It wants the program to be where the unit says.
        let (installed, built) = (format!("ExecStart=/usr/bin/{program}"), programs::path(program));
        let text = text(&format!("packaging/linux/{program}.service"));
        let unit = folder.path().join(format!("{program}.service"));
        fs::write(&unit, text.replace(&installed, &format!("ExecStart={}", built.display())))
            .expect("a unit");
        verify.arg(unit);
    }
    let output = Output::of(&mut verify);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:#?}");
}
