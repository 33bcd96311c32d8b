//! Connections to providers.

use std::time::Duration;

use super::read::Reader;

/// How providers are connected to.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamSettings {
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// After how much silence TCP asks whether the other side is still there; `None`: never.
    pub tcp_keepalive: Option<Duration>,
    /// Whether certificates are verified.
    pub verify_ssl: bool,
    /// Whether link-local addresses and metadata services of clouds may be connected to.
    pub allow_link_local: bool,
}

/// Reads `UPSTREAM_*`, `VERIFY_SSL` and `ALLOW_LINK_LOCAL_PROVIDERS`.
pub(super) fn upstream(read: &mut Reader<'_>) -> UpstreamSettings {
    // The operating system counts in whole seconds, up to 32767.
    let keepalive: f64 = read.whole("UPSTREAM_TCP_KEEPALIVE_SECS", 60.0, 0.0..=32_767.0);
    UpstreamSettings {
        idle: read.seconds("UPSTREAM_IDLE_SECS", 90.0, 0.0).unwrap_or(Duration::ZERO),
        tcp_keepalive: (keepalive > 0.0).then(|| Duration::from_secs_f64(keepalive.ceil())),
        verify_ssl: read.flag("VERIFY_SSL", true),
        allow_link_local: read.flag("ALLOW_LINK_LOCAL_PROVIDERS", false),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<UpstreamSettings, String> {
        let env: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read = Reader::new(&env);
        let settings = upstream(&mut read);
        read.finish(settings).map_err(|wrong| format!("{wrong:?}"))
    }

    #[test]
    fn silent_connections_are_probed_after_a_minute_unless_that_is_off() {
        let default = read(&[]).unwrap();
        assert_eq!(default.tcp_keepalive, Some(Duration::from_secs(60)));
        assert_eq!(default.idle, Duration::from_secs(90));
        assert!(default.verify_ssl && !default.allow_link_local);
        assert_eq!(read(&[("UPSTREAM_TCP_KEEPALIVE_SECS", "0")]).unwrap().tcp_keepalive, None);
        let half = read(&[("UPSTREAM_TCP_KEEPALIVE_SECS", "0.5")]).unwrap();
        assert_eq!(half.tcp_keepalive, Some(Duration::from_secs(1)));
        assert!(read(&[("ALLOW_LINK_LOCAL_PROVIDERS", "true")]).unwrap().allow_link_local);
    }

    #[test]
    fn what_a_socket_cannot_take_is_refused_by_name() {
        for wrong in ["32768", "-1", "soon"] {
            let error = read(&[("UPSTREAM_TCP_KEEPALIVE_SECS", wrong)]).unwrap_err();
            assert!(error.contains("UPSTREAM_TCP_KEEPALIVE_SECS"), "{error}");
        }
        assert!(read(&[("ALLOW_LINK_LOCAL_PROVIDERS", "perhaps")]).unwrap_err().contains("ALLOW_LINK_LOCAL_PROVIDERS"));
    }
}
