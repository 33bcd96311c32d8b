//! Where traces of requests go: an OpenTelemetry collector. The variables are those of the
//! OpenTelemetry specification ("Environment Variable Specification", "OTLP Exporter").

use std::time::Duration;

use super::SecretText;
use super::langfuse::check_address;
use super::read::Reader;

/// A collector that gets the spans of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelSettings {
    /// The address of its traces.
    pub endpoint: String,
    /// Headers that it wants, such as keys, by lower-case name.
    pub headers: Vec<(String, SecretText)>,
    /// What this process is called.
    pub service_name: String,
    /// What else is known of this process.
    pub resource: Vec<(String, String)>,
    /// Which requests are traced.
    pub sampler: Sampler,
    /// How long a span waits for others at most.
    pub schedule_delay: Duration,
    /// Spans that may wait; more are dropped.
    pub max_queue: usize,
    /// Spans of one batch.
    pub max_batch: usize,
    /// How long the collector may take to answer.
    pub timeout: Duration,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a caller that traces, or does not, decides.
    pub is_parent_based: bool,
    /// Which part of the others is traced, from 0 to 1.
    pub ratio: f64,
}

/// Reads `OTEL_*`; `None` while no endpoint is set. What is wrong is told in either case.
pub(super) fn otel(read: &mut Reader<'_>) -> Option<OtelSettings> {
    let is_off = read.flag("OTEL_SDK_DISABLED", false);
    let is_off = read.one_of("OTEL_TRACES_EXPORTER", "otlp", &["otlp", "none"]) == "none" || is_off;
    let endpoint = endpoint(read);
    let (name, resource) = resource(read);
    let max_queue = read.whole("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1..=1_000_000);
    let settings = OtelSettings {
        endpoint: endpoint.clone().unwrap_or_default(),
        headers: headers(read),
        service_name: name,
        resource,
        sampler: sampler(read),
        schedule_delay: milliseconds(read, "OTEL_BSP_SCHEDULE_DELAY", 5000),
        max_queue,
        max_batch: read.whole("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1..=1_000_000).min(max_queue),
        timeout: milliseconds(read, "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
    };
    if endpoint.is_some() && !is_off {
        check_protocol(read);
        return Some(settings);
    }
    None
}

fn milliseconds(read: &mut Reader<'_>, variable: &'static str, default: u64) -> Duration {
    Duration::from_millis(read.whole(variable, default, 1..=86_400_000))
}

/// The address of the traces: as it is, or below that of all signals.
fn endpoint(read: &mut Reader<'_>) -> Option<String> {
    let (variable, address) = match read.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(own) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own),
        None => {
            let base = read.text("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/v1/traces", base.trim_end_matches('/')))
        }
    };
    if let Err(reason) = check_address(&address) {
        read.wrong(variable, reason);
    }
    Some(address)
}

/// Collectors that take OTLP over HTTP take both encodings, at the same address.
fn check_protocol(read: &mut Reader<'_>) {
    let own = read.text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL");
    let variable = match own {
        Some(_) => "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        None => "OTEL_EXPORTER_OTLP_PROTOCOL",
    };
    let protocol = own.or_else(|| read.text("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if protocol.is_some_and(|protocol| !matches!(protocol.as_str(), "http/json" | "http/protobuf")) {
        read.wrong(variable, "must be http/json or http/protobuf (JSON is sent): name the collector's port for HTTP");
    }
}

fn headers(read: &mut Reader<'_>) -> Vec<(String, SecretText)> {
    let variable = match read.text("OTEL_EXPORTER_OTLP_TRACES_HEADERS") {
        Some(_) => "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        None => "OTEL_EXPORTER_OTLP_HEADERS",
    };
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let headers = pairs(read, variable);
    if headers.iter().any(|(name, value)| !is_name(name) || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte))) {
        // Not repeated: values are keys.
        read.wrong(variable, "must be name=value pairs with commas, each fit for an HTTP header");
    }
    headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), SecretText::new(value))).collect()
}

/// The service's name, and all other attributes of the resource.
fn resource(read: &mut Reader<'_>) -> (String, Vec<(String, String)>) {
    let mut attributes = pairs(read, "OTEL_RESOURCE_ATTRIBUTES");
    let named = attributes.iter().position(|(name, _)| name == "service.name").map(|at| attributes.remove(at).1);
    let name = read.text("OTEL_SERVICE_NAME").or(named).unwrap_or_else(|| "llm-proxy".to_owned());
    (name, attributes)
}

/// `name=value` pairs with commas, percent-encoded (W3C Baggage).
fn pairs(read: &mut Reader<'_>, variable: &'static str) -> Vec<(String, String)> {
    let text = read.text(variable).unwrap_or_default();
    let mut pairs = Vec::new();
    for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let pair = member.split_once('=').and_then(|(name, value)| Some((decoded(name)?, decoded(value)?)));
        match pair.filter(|(name, _)| !name.is_empty()) {
            Some(pair) => pairs.push(pair),
            None => {
                read.wrong(variable, "must be name=value pairs with commas, values percent-encoded");
                return Vec::new();
            }
        }
    }
    pairs
}

/// A trimmed text without its percent-encoding (RFC 3986, 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.trim().bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(&digits).ok().filter(|_| is_hex)?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn sampler(read: &mut Reader<'_>) -> Sampler {
    const SAMPLERS: [&str; 6] = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ];
    let name = read.one_of("OTEL_TRACES_SAMPLER", "parentbased_always_on", &SAMPLERS);
    let ratio = read.whole("OTEL_TRACES_SAMPLER_ARG", 1.0, 0.0..=1.0);
    let ratio = match name.trim_start_matches("parentbased_") {
        "always_off" => 0.0,
        "traceidratio" => ratio,
        _ => 1.0,
    };
    Sampler { is_parent_based: name.starts_with("parentbased_"), ratio }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    fn read(pairs: &[(&str, &str)]) -> Result<Option<OtelSettings>, String> {
        let env: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read = Reader::new(&env);
        let settings = otel(&mut read);
        read.finish(settings).map_err(|wrong| format!("{wrong:?}"))
    }

    fn with(pairs: &[(&str, &str)]) -> OtelSettings {
        read(&[&[ENDPOINT], pairs].concat()).unwrap().unwrap()
    }

    #[test]
    fn it_is_off_without_an_endpoint_and_has_the_specifications_defaults() {
        assert_eq!(read(&[]).unwrap(), None);
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(read(&[ENDPOINT, off]).unwrap(), None);
        }
        let settings = with(&[]);
        assert_eq!(settings.endpoint, "http://collector:4318/v1/traces");
        assert_eq!((settings.service_name.as_str(), settings.resource.len()), ("llm-proxy", 0));
        assert_eq!(settings.sampler, Sampler { is_parent_based: true, ratio: 1.0 });
        assert_eq!((settings.max_queue, settings.max_batch), (2048, 512));
        assert_eq!((settings.schedule_delay, settings.timeout), (Duration::from_secs(5), Duration::from_secs(10)));
    }

    #[test]
    fn what_is_said_of_traces_wins_over_what_is_said_of_all_signals() {
        let settings = with(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/any"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Basic%20aHVudGVyMg==, x-b = 2"),
        ]);
        assert_eq!(settings.endpoint, "http://other/any");
        let headers: Vec<(&str, &str)> =
            settings.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(headers, [("authorization", "Basic aHVudGVyMg=="), ("x-b", "2")]);
        assert!(!format!("{settings:?}").contains("aHVudGVyMg"));
    }

    #[test]
    fn the_service_is_named_by_its_own_variable_or_by_the_resource() {
        let named = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=gate,deployment.environment.name=a%2Cb");
        let settings = with(&[named]);
        assert_eq!(settings.service_name, "gate");
        assert_eq!(settings.resource, [("deployment.environment.name".to_owned(), "a,b".to_owned())]);
        assert_eq!(with(&[named, ("OTEL_SERVICE_NAME", "mine")]).service_name, "mine");
    }

    #[test]
    fn every_sampler_is_a_ratio_that_a_parent_may_overrule() {
        for (name, arg, is_parent_based, ratio) in [
            ("always_on", "0.5", false, 1.0),
            ("always_off", "0.5", false, 0.0),
            ("traceidratio", "0.25", false, 0.25),
            ("parentbased_always_on", "", true, 1.0),
            ("parentbased_always_off", "", true, 0.0),
            ("parentbased_traceidratio", "0.1", true, 0.1),
        ] {
            let settings = with(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)]);
            assert_eq!(settings.sampler, Sampler { is_parent_based, ratio }, "{name}");
        }
    }

    #[test]
    fn wrong_values_are_told_by_name_and_no_header_is_shown() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://h"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0A"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%+1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=hunter2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ] {
            let wrong = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"), (name, value)]).unwrap_err();
            assert!(wrong.contains(name) && !wrong.contains("hunter2"), "{name}={value}: {wrong}");
        }
    }
}
