//! What is measured of each provider.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::DURATION;
use super::declare::Declare;

/// Every value of the label `reason`.
const REASONS: [&str; 4] = ["429", "5xx", "transport", "auth"];

/// The metric families of providers. A provider's samples go when it is no longer configured.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    /// From the start of an attempt to the head of its answer.
    pub latency: HistogramVec,
    health: IntGaugeVec,
    effective_weight: GaugeVec,
    in_flight: IntGaugeVec,
    max_concurrency: IntGaugeVec,
    circuit_state: IntGaugeVec,
    ejections: IntCounterVec,
    shown: Arc<Mutex<HashMap<Arc<str>, Shown>>>,
}

/// What a provider's gauges show.
#[derive(Debug, Clone)]
pub struct Shown {
    /// How it is routed to; `None`: not at all, since it is switched off or its row is broken.
    pub routing: Option<Routing>,
    /// Attempts under way. Read at each scrape, so that requests have nothing to do with it.
    pub in_flight: Arc<AtomicU32>,
}

/// How much a provider gets, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    /// The state of its circuit.
    pub circuit: CircuitState,
    /// The weight after breaker and slow start.
    pub effective_weight: f64,
    /// Most attempts that may be under way here; `None`: any number.
    pub max_concurrency: Option<u32>,
}

/// The label `state` of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// In use, or benched by a 429.
    Closed,
    /// Out of use.
    Open,
    /// Being probed.
    HalfOpen,
}

impl CircuitState {
    const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl ProviderMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Result<Self, prometheus::Error> {
        let provider = ["provider"];
        let weight = "The weight after breaker and slow start";
        let most = "Most attempts that may be under way, of providers that have such a limit";
        let health = "0 while the provider's circuit is open, else 1";
        Ok(Self {
            latency: declare.histogram(
                "provider_latency_seconds",
                "Time from the start of an attempt to the head of its answer",
                &DURATION,
                &provider,
            )?,
            health: declare.gauge("provider_health", health, &provider)?,
            effective_weight: declare.fraction("provider_effective_weight", weight, &provider)?,
            in_flight: declare.gauge("provider_in_flight", "Attempts under way, streams to their end", &provider)?,
            max_concurrency: declare.gauge("provider_max_concurrency", most, &provider)?,
            circuit_state: declare.gauge(
                "provider_circuit_state",
                "1 for the state of the provider's circuit: closed, open, half_open",
                &["provider", "state"],
            )?,
            ejections: declare.counter(
                "provider_ejections_total",
                "How often a provider's circuit opened, by why",
                &["provider", "reason"],
            )?,
            shown: Arc::default(),
        })
    }

    /// Shows these providers, and no others any more.
    pub fn show(&self, now: HashMap<Arc<str>, Shown>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for provider in shown.keys().filter(|provider| !now.contains_key(*provider)) {
            self.forget(provider);
        }
        for (provider, Shown { routing, .. }) in &now {
            let before = shown.get(provider).map(|shown| shown.routing);
            match routing {
                _ if before == Some(*routing) => {}
                Some(routing) => self.route(provider, *routing),
                None => self.forget_routing(provider),
            }
        }
        *shown = now;
    }

    /// Counts a circuit that opened.
    pub fn ejected(&self, provider: &str, reason: &'static str) {
        self.ejections.with_label_values(&[provider, reason]).inc();
    }

    /// Brings what changes all the time up to date, before a scrape.
    pub(super) fn refresh(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (provider, Shown { in_flight, .. }) in shown.iter() {
            let running = in_flight.load(Ordering::Relaxed);
            self.in_flight.with_label_values(&[&**provider]).set(i64::from(running));
        }
    }

    fn route(&self, provider: &str, Routing { circuit, effective_weight, max_concurrency }: Routing) {
        self.health.with_label_values(&[provider]).set(i64::from(circuit != CircuitState::Open));
        self.effective_weight.with_label_values(&[provider]).set(effective_weight);
        match max_concurrency {
            Some(most) => self.max_concurrency.with_label_values(&[provider]).set(i64::from(most)),
            None => self.forget_limit(provider),
        }
        for state in CircuitState::ALL {
            self.circuit_state.with_label_values(&[provider, state.label()]).set(i64::from(circuit == state));
        }
        for reason in REASONS {
            // Shown from the start, since a rate is only seen between two samples.
            self.ejections.with_label_values(&[provider, reason]).inc_by(0);
        }
    }

    fn forget_routing(&self, provider: &str) {
        // An error says that there was nothing to remove.
        let _ = self.health.remove_label_values(&[provider]);
        let _ = self.effective_weight.remove_label_values(&[provider]);
        self.forget_limit(provider);
        for state in CircuitState::ALL {
            let _ = self.circuit_state.remove_label_values(&[provider, state.label()]);
        }
    }

    fn forget_limit(&self, provider: &str) {
        let _ = self.max_concurrency.remove_label_values(&[provider]);
    }

    fn forget(&self, provider: &str) {
        self.forget_routing(provider);
        let _ = self.in_flight.remove_label_values(&[provider]);
        let _ = self.latency.remove_label_values(&[provider]);
        for reason in REASONS {
            let _ = self.ejections.remove_label_values(&[provider, reason]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    fn lines(telemetry: &Telemetry) -> Vec<String> {
        let text = String::from_utf8(telemetry.render().unwrap()).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("llm_proxy_provider_"));
        let mut lines: Vec<String> = lines.filter(|line| line.contains('{')).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn shown(circuit: CircuitState, effective_weight: f64) -> Shown {
        let max_concurrency = (circuit == CircuitState::Open).then_some(9);
        Shown { routing: Some(Routing { circuit, effective_weight, max_concurrency }), in_flight: Arc::default() }
    }

    #[test]
    fn a_provider_is_shown_as_long_as_it_is_configured() {
        let telemetry = Telemetry::new().unwrap();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let both =
            [(Arc::clone(&a), shown(CircuitState::Closed, 2.5)), (Arc::clone(&b), shown(CircuitState::Open, 0.0))];
        let running = Arc::clone(&both[0].1.in_flight);
        telemetry.providers.show(both.clone().into());
        telemetry.providers.ejected("b", "5xx");
        telemetry.providers.latency.with_label_values(&["b"]).observe(0.5);
        running.store(7, Ordering::Relaxed);
        let told = lines(&telemetry);
        for line in [
            "health{provider=\"a\"} 1",
            "health{provider=\"b\"} 0",
            "effective_weight{provider=\"a\"} 2.5",
            "in_flight{provider=\"a\"} 7",
            "max_concurrency{provider=\"b\"} 9",
            "circuit_state{provider=\"b\",state=\"open\"} 1",
            "circuit_state{provider=\"b\",state=\"closed\"} 0",
            "ejections_total{provider=\"b\",reason=\"5xx\"} 1",
            "ejections_total{provider=\"a\",reason=\"429\"} 0",
            "latency_seconds_count{provider=\"b\"} 1",
        ] {
            assert!(told.iter().any(|told| told == line), "no {line} in {told:#?}");
        }
        let half = Shown { in_flight: running, ..shown(CircuitState::HalfOpen, 0.5) };
        telemetry.providers.show([(Arc::clone(&a), half.clone())].into());
        let told = lines(&telemetry);
        assert!(told.iter().all(|line| !line.contains("provider=\"b\"")), "{told:#?}");
        assert!(told.iter().all(|line| !line.starts_with("max_concurrency")), "{told:#?}");
        assert!(told.contains(&"circuit_state{provider=\"a\",state=\"half_open\"} 1".to_owned()), "{told:#?}");
        telemetry.providers.show([(a, Shown { routing: None, ..half })].into());
        let told = lines(&telemetry);
        let gauges = told.iter().filter(|line| !line.starts_with("ejections"));
        assert_eq!(gauges.collect::<Vec<_>>(), ["in_flight{provider=\"a\"} 7"]);
        telemetry.providers.show(HashMap::new());
        assert!(lines(&telemetry).is_empty(), "{:#?}", lines(&telemetry));
    }
}
