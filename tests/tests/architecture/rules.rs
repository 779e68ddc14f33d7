//! The rules: what must not be used, where, and an example that each rule must refuse.

use super::source::{Source, Use, uses};

/// What must not be used, where.
pub struct Rule {
    /// The rule in words, for the message.
    pub about: &'static str,
    /// Path prefixes of the files that it is about.
    pub within: &'static [&'static str],
    /// Path prefixes of files among these that may.
    pub except: &'static [&'static str],
    /// What is refused there.
    pub refuse: Refuse,
    /// A file and a text that the rule must refuse.
    pub bad: (&'static str, &'static str),
}

/// What a rule refuses.
pub enum Refuse {
    /// These paths and everything below them, unless the second list has them.
    Paths(&'static [&'static str], &'static [&'static str]),
    /// Every import from outside the package and from `crate` but these.
    AllBut(&'static [&'static str]),
    /// Paths that end like this, whatever they begin with.
    Endings(&'static [&'static str]),
    /// Texts that hold one of these.
    Texts(&'static [&'static str]),
}

use Refuse::{AllBut, Endings, Paths, Texts};

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        about: "`shared` does no I/O: bytes come from the caller",
        within: &["shared/src/"],
        except: &[],
        refuse: Paths(
            &[
                "getrandom",
                "hyper",
                "notify",
                "rusqlite",
                "rustix",
                "std::env",
                "std::fs",
                "std::net",
                "std::os",
                "std::process",
                "std::thread",
                "sysinfo",
                "tokio",
            ],
            &[],
        ),
        bad: ("shared/src/policy/mod.rs", "use std::{fmt, fs::{self, File}};"),
    },
    Rule {
        about: "`shared` knows no clock: `now` is an argument",
        within: &["shared/src/"],
        except: &[],
        refuse: Paths(&["std::time::Instant", "std::time::SystemTime"], &[]),
        bad: ("shared/src/span.rs", "use std::time::SystemTime;"),
    },
    Rule {
        about: "only clock.rs of each program reads the clock; everything else takes `now` as an argument",
        within: &["agent/src/", "server/src/", "shared/src/"],
        except: &["agent/src/clock.rs", "server/src/clock.rs"],
        refuse: Endings(&[
            "Instant::now",
            "OffsetDateTime::now_utc",
            "SystemTime::now",
            "Timestamp::now",
            "Zoned::now",
        ]),
        bad: ("server/src/service/mod.rs", "let at = jiff::Timestamp::now();"),
    },
    Rule {
        about: "only config/env.rs of each program reads the environment",
        within: &["agent/src/", "server/src/"],
        except: &["agent/src/config/env.rs", "server/src/config/env.rs"],
        refuse: Endings(&[
            "env::remove_var",
            "env::set_var",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
        ]),
        bad: ("agent/src/scan/host.rs", "use std::env; fn home() { env::var(\"HOME\"); }"),
    },
    Rule {
        about: "agent and collector meet in `shared` types and over HTTP only",
        within: &["server/", "shared/"],
        except: &[],
        refuse: Paths(&["offchannel_agent"], &[]),
        bad: ("server/src/quickstart/agent.rs", "use offchannel_agent::scan::Scanner;"),
    },
    Rule {
        about: "agent and collector meet in `shared` types and over HTTP only",
        within: &["agent/", "shared/"],
        except: &[],
        refuse: Paths(&["offchannel_server"], &[]),
        bad: ("agent/tests/run_enrol.rs", "use offchannel_server::domain::token;"),
    },
    Rule {
        about: "code that knows an operating system does not know the product",
        within: &["agent/src/platform/"],
        except: &[],
        refuse: Paths(&["crate", "offchannel_shared"], &["crate::lines", "crate::platform"]),
        bad: ("agent/src/platform/files.rs", "use super::super::scan::host::Host;"),
    },
    Rule {
        about: "the agent starts programs in one place, for an administrator's command; the daemon starts none",
        within: &["agent/src/"],
        except: &["agent/src/platform/service/command.rs"],
        refuse: Paths(&["std::process::Command", "tokio::process"], &[]),
        bad: ("agent/src/run/mod.rs", "use std::process::{Command, Stdio};"),
    },
    Rule {
        about: "only the watch module uses the `notify` crate",
        within: &["agent/src/"],
        except: &["agent/src/watch/"],
        refuse: Paths(&["notify"], &[]),
        bad: ("agent/src/run/mod.rs", "let watcher = notify::recommended_watcher(tell);"),
    },
    Rule {
        about: "scanning knows places and the catalogue, not the collector, the settings or the loop",
        within: &["agent/src/scan/"],
        except: &[],
        refuse: Paths(
            &[
                "crate::cli",
                "crate::client",
                "crate::config",
                "crate::identity",
                "crate::run",
                "crate::schedule",
                "crate::state",
                "crate::watch",
                "hyper",
                "tokio",
            ],
            &[],
        ),
        bad: ("agent/src/scan/scanner.rs", "use crate::{platform, state::Record};"),
    },
    Rule {
        about: "a source knows places and formats, never apps",
        within: &["agent/src/scan/sources/"],
        except: &[],
        refuse: Paths(&["offchannel_shared::catalogue", "offchannel_shared::policy"], &[]),
        bad: ("agent/src/scan/sources/dpkg.rs", "use offchannel_shared::catalogue::Catalogue;"),
    },
    Rule {
        about: "`server::domain` is pure: it imports shared, jiff, serde, thiserror, plain parts of std, and itself",
        within: &["server/src/domain/"],
        except: &["server/src/domain/api_token.rs", "server/src/domain/token.rs"],
        refuse: AllBut(PURE),
        bad: ("server/src/domain/alert.rs", "use crate::store::Store;"),
    },
    Rule {
        about: "`server::domain` is pure; tokens also need a digest and base64",
        within: &["server/src/domain/api_token.rs", "server/src/domain/token.rs"],
        except: &[],
        refuse: AllBut(&[
            "base64",
            "crate::domain",
            "jiff",
            "offchannel_shared",
            "ring::digest",
            "std::collections",
            "std::fmt",
            "std::str",
            "subtle",
            "thiserror",
        ]),
        bad: ("server/src/domain/token.rs", "use ring::rand::SystemRandom;"),
    },
    Rule {
        about: "routes, jobs and commands call the service, not the store; they may name its filters and errors",
        within: &["server/src/cli/", "server/src/http/", "server/src/jobs/"],
        except: &["server/src/jobs/deliver"],
        refuse: Paths(
            &["crate::store"],
            &[
                "crate::store::AlertFilter",
                "crate::store::DeliveryFilter",
                "crate::store::LedgerFilter",
                "crate::store::StoreError",
            ],
        ),
        bad: ("server/src/http/agent.rs", "use crate::store::{AlertFilter, Store};"),
    },
    Rule {
        about: "the service knows no route, job, command or channel, and no particular store",
        within: &["server/src/service/"],
        except: &[],
        refuse: Paths(
            &[
                "axum",
                "crate::app",
                "crate::channels",
                "crate::cli",
                "crate::config",
                "crate::http",
                "crate::jobs",
                "crate::store::sqlite",
                "hyper",
                "std::env",
                "std::fs",
                "std::net",
            ],
            &[],
        ),
        bad: ("server/src/service/alerts.rs", "use super::super::store::sqlite::SqliteStore;"),
    },
    Rule {
        about: "a store can be added without reading what calls it",
        within: &["server/src/store/"],
        except: &[],
        refuse: Paths(
            &[
                "crate::app",
                "crate::channels",
                "crate::cli",
                "crate::config",
                "crate::http",
                "crate::jobs",
                "crate::service",
            ],
            &[],
        ),
        bad: ("server/src/store/sqlite/mod.rs", "use crate::service::Service;"),
    },
    Rule {
        about: "channels only translate and send",
        within: &["server/src/channels/"],
        except: &[],
        refuse: Paths(
            &["crate::app", "crate::cli", "crate::http", "crate::jobs", "crate::service", "crate::store"],
            &[],
        ),
        bad: ("server/src/channels/webhook/mod.rs", "use crate::service::Service;"),
    },
    Rule {
        about: "SQL lives under store/ only",
        within: &["server/src/"],
        except: &["server/src/store/sqlite/"],
        refuse: Paths(&["rusqlite"], &[]),
        bad: ("server/src/store/mod.rs", "pub use rusqlite::Error;"),
    },
    Rule {
        about: "SQL lives under store/ only",
        within: &["agent/src/", "server/src/", "shared/src/"],
        except: &["server/src/store/"],
        refuse: Texts(&["CREATE TABLE ", "DELETE FROM ", "INSERT INTO ", "PRAGMA ", "SELECT "]),
        bad: ("server/src/service/alerts.rs", "let sql = r#\"SELECT id FROM alerts\"#;"),
    },
    Rule {
        about: "only http/ gives status codes; channels and the agent's client read them",
        within: &["agent/src/", "server/src/", "shared/src/"],
        except: &["agent/src/client/", "server/src/channels/", "server/src/http/"],
        refuse: Endings(&["StatusCode"]),
        bad: ("server/src/service/mod.rs", "use axum::http::{HeaderMap, StatusCode};"),
    },
];

/// What the domain may import.
const PURE: &[&str] = &[
    "crate::domain",
    "jiff",
    "offchannel_shared",
    "serde",
    "std::cmp",
    "std::collections",
    "std::fmt",
    "std::iter",
    "std::mem",
    "std::str",
    "thiserror",
];

impl Rule {
    /// Every use in a file that the rule refuses, as a message.
    pub fn check(&self, path: &str, text: &str) -> Vec<String> {
        let starts = |list: &[&str]| list.iter().any(|prefix| path.starts_with(prefix));
        // What a folder of sources keeps under this name is compiled for tests only.
        let for_tests = path.contains("/src/") && (path.ends_with("/tests.rs") || path.contains("/tests/"));
        if !starts(self.within) || starts(self.except) || for_tests {
            return Vec::new();
        }
        let source = Source::read(text);
        let hit = |line: usize, what: &str| format!("{path}:{line}: {what} ({})", self.about);
        if let Texts(texts) = self.refuse {
            let bad = |text: &&(usize, String)| texts.iter().any(|bad| text.1.contains(bad));
            return source
                .texts
                .iter()
                .filter(bad)
                .map(|(line, text)| hit(*line, &format!("{text:?}")))
                .collect();
        }
        let refused = |used: &Use| {
            let path = used.resolve(path);
            let below = |list: &[&str]| list.iter().any(|start| is_below(&path, start));
            let bad = match self.refuse {
                Paths(refused, allowed) => below(refused) && !below(allowed),
                AllBut(allowed) => (used.imported || used.is_rooted()) && !below(allowed),
                Endings(endings) => {
                    endings.iter().any(|end| format!("::{path}::").contains(&format!("::{end}::")))
                }
                Texts(_) => false,
            };
            bad.then(|| hit(used.line, &path))
        };
        uses(&source.tokens).filter_map(|used| refused(&used)).collect()
    }
}

/// Whether a path is `start`, or something in it.
fn is_below(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
