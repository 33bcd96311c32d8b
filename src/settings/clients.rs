//! How much the server takes from its clients, and how long it waits for them.

use std::time::Duration;

use super::read::Reader;

/// Bounds on what clients cost; `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSettings {
    /// Generation requests that may run at once.
    pub most_requests: Option<usize>,
    /// For the whole head of a request.
    pub header_timeout: Option<Duration>,
    /// For the body of a request, beside what its size adds.
    pub body_timeout: Option<Duration>,
    /// For a client that takes nothing of its answer.
    pub stall_timeout: Option<Duration>,
}

/// Reads the settings; 0 switches a bound off.
pub(super) fn clients(read: &mut Reader<'_>) -> ClientSettings {
    // What a semaphore of tokio can count to, and far more than any machine can serve.
    const MOST: usize = 1_000_000_000;
    let most_requests: usize = read.whole("MAX_CONCURRENT_REQUESTS", 10_000, 0..=MOST);
    ClientSettings {
        most_requests: Some(most_requests).filter(|most| *most > 0),
        header_timeout: read.seconds("HEADER_TIMEOUT_SECS", 10.0, 0.0),
        body_timeout: read.seconds("BODY_TIMEOUT_SECS", 30.0, 0.0),
        stall_timeout: read.seconds("CLIENT_STALL_SECS", 120.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<ClientSettings, String> {
        let env: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read = Reader::new(&env);
        let settings = clients(&mut read);
        read.finish(settings).map_err(|wrong| format!("{wrong:?}"))
    }

    #[test]
    fn every_bound_has_its_default_and_zero_switches_it_off() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let documented = ClientSettings {
            most_requests: Some(10_000),
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            stall_timeout: seconds(120),
        };
        assert_eq!(read(&[]).unwrap(), documented);
        let names = ["MAX_CONCURRENT_REQUESTS", "HEADER_TIMEOUT_SECS", "BODY_TIMEOUT_SECS", "CLIENT_STALL_SECS"];
        let off = ClientSettings { most_requests: None, header_timeout: None, body_timeout: None, stall_timeout: None };
        assert_eq!(read(&names.map(|name| (name, "0"))).unwrap(), off);
        for name in names {
            let error = read(&[(name, "-1")]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }
}
