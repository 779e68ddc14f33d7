//! How much of everything a peer may use.

use std::time::Duration;

use offchannel_shared::span::Span;

use super::layers::Section;
use super::problem::Problem;

/// Bounds on connections, times and bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections at a time.
    pub connections: usize,
    /// Longest time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Longest time for the head of a request, and longest idle time between two requests.
    pub header_timeout: Duration,
    /// Longest time for the rest of a request.
    pub request_timeout: Duration,
    /// Largest body as sent, in bytes.
    pub body_max: usize,
    /// Largest body after decompression, in bytes.
    pub body_decompressed_max: usize,
}

/// A body limit is at least what a small report needs, at most what is decoded in memory without thought.
const BODY_BOUNDS: (u32, u32) = (16 * 1024, 64 * 1024 * 1024);

pub(super) fn limits(main: &mut Section, problems: &mut Vec<Problem>) -> Option<Limits> {
    let (least, most) = (Span::seconds(1), Span::minutes(10));
    let connections = main.whole(problems, "limits.connections", 1, 1_000_000);
    let handshake_timeout = main.span(problems, "limits.handshake_timeout", least, most);
    let header_timeout = main.span(problems, "limits.header_timeout", least, most);
    let request_timeout = main.span(problems, "limits.request_timeout", least, most);
    let (least, most) = BODY_BOUNDS;
    let body_max = main.whole(problems, "limits.body_max", least, most);
    let body_decompressed_max = main.whole(problems, "limits.body_decompressed_max", least, most);
    Some(Limits {
        connections: size(connections?),
        handshake_timeout: handshake_timeout?,
        header_timeout: header_timeout?,
        request_timeout: request_timeout?,
        body_max: size(body_max?),
        body_decompressed_max: size(body_decompressed_max?),
    })
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use offchannel_shared::wire;

    use crate::config::{Config, Overrides};

    #[test]
    fn the_default_limits_of_bodies_are_those_that_agents_keep() {
        let config = Config::load_from(None, Default::default(), &Overrides::default()).unwrap().config;
        assert_eq!(config.limits.body_max, wire::BODY_MAX);
        assert_eq!(config.limits.body_decompressed_max, wire::BODY_DECOMPRESSED_MAX);
    }
}
