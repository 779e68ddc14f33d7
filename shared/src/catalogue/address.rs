//! Addresses of web apps.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};

/// Hosts of a vendor's own below a domain that gives every customer a host: its website, not a workspace.
const NO_WORKSPACE: [&str; 55] = [
    "about",
    "academy",
    "account",
    "accounts",
    "api",
    "assets",
    "auth",
    "billing",
    "blog",
    "brand",
    "careers",
    "cdn",
    "community",
    "dev",
    "developer",
    "developers",
    "dl",
    "doc",
    "docs",
    "download",
    "downloads",
    "email",
    "events",
    "feedback",
    "forum",
    "forums",
    "help",
    "helpcenter",
    "info",
    "investor",
    "jobs",
    "kb",
    "learn",
    "legal",
    "mail",
    "marketplace",
    "media",
    "news",
    "partner",
    "partners",
    "press",
    "pricing",
    "privacy",
    "resources",
    "security",
    "shop",
    "sso",
    "static",
    "status",
    "store",
    "support",
    "training",
    "trust",
    "wiki",
    "www",
];

/// An address as the tables have it: without a scheme and its port, and the host in lower case.
pub(super) fn bare(address: &str) -> Cow<'_, str> {
    let web = |scheme: &str| ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let rest = match address.split_once("://") {
        Some((scheme, rest)) if web(scheme) => rest,
        _ => address,
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match host.strip_suffix(":443") {
        None if !host.bytes().any(|byte| byte.is_ascii_uppercase()) => Cow::Borrowed(rest),
        plain => Cow::Owned(plain.unwrap_or(host).to_ascii_lowercase() + path),
    }
}

/// The pattern of which an address may be an instance: `acme.example.com/x` is any host of `*.example.com/x`,
/// unless it is one of the vendor's own.
pub(super) fn any_host(address: &str) -> Option<String> {
    let (label, domain) = address.split_once('.')?;
    (!NO_WORKSPACE.contains(&label)).then(|| format!("*.{domain}"))
}

/// An address and its parents at segment boundaries, nearest first:
/// `discord.com/app/x`, `discord.com/app/`, `discord.com/app`, `discord.com/`, `discord.com`.
pub(super) fn parents(address: &str) -> impl Iterator<Item = &str> {
    let cut = address.split(['?', '#']).next().unwrap_or_default();
    let boundaries = cut.rmatch_indices('/').flat_map(|(at, _)| [at + 1, at]);
    std::iter::once(cut.len()).chain(boundaries).filter_map(move |end| cut.get(..end))
}

/// The id that Chromium gives to a web app whose manifest id is `https://` and this address,
/// as an identifier of the namespace `web-app`.
///
/// SHA-256 twice, the first 16 bytes in hexadecimal with `a` to `p` for the digits
/// (Chromium: `components/crx_file/id_util.cc` and `chrome/browser/web_applications`).
pub(super) fn chromium_app_id(address: &str) -> String {
    let slash = if address.contains('/') { "" } else { "/" };
    let once = digest(&SHA256, format!("https://{address}{slash}").as_bytes());
    let twice = digest(&SHA256, once.as_ref());
    let letter = |nibble: u8| char::from(b'a' + (nibble & 15));
    let letters = twice.as_ref().iter().take(16).flat_map(|byte| [letter(byte >> 4), letter(*byte)]);
    std::iter::once(Cow::Borrowed("app-id:")).map(Cow::into_owned).chain(letters.map(String::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_and_the_case_of_a_host_are_nothing() {
        for (address, expected) in [
            ("https://WEB.WhatsApp.com/", "web.whatsapp.com/"),
            ("HTTP://web.whatsapp.com", "web.whatsapp.com"),
            ("web.whatsapp.com:443/A?B", "web.whatsapp.com/A?B"),
            ("Discord.com/App", "discord.com/App"),
            ("app-id:hnpfjngllnobngcgfapefoaidbinmjnm", "app-id:hnpfjngllnobngcgfapefoaidbinmjnm"),
            ("ftp://web.whatsapp.com", "ftp://web.whatsapp.com"),
            ("", ""),
        ] {
            assert_eq!(bare(address), expected);
        }
    }

    #[test]
    fn a_vendor_s_own_hosts_are_no_workspaces() {
        assert_eq!(any_host("team.slack.com/x").as_deref(), Some("*.slack.com/x"));
        for label in NO_WORKSPACE {
            assert_eq!(any_host(&format!("{label}.slack.com/x")), None, "{label}");
        }
        assert_eq!(any_host("localhost"), None);
    }

    #[test]
    fn the_app_id_is_the_one_that_chromium_computes() {
        // Chromium's web_app_id_constants.h: kYoutubeAppId, for https://www.youtube.com/?feature=ytca.
        let id = chromium_app_id("www.youtube.com/?feature=ytca");
        assert_eq!(id, "app-id:agimnkijcaahngcdmfeangaknmldooml");
    }
}
