//! Declaring a metric family and entering it into a registry, in one go.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{commit, crate_version};

/// Declares families of one registry. All names get the prefix `llm_proxy_`.
pub(super) struct Declare<'r>(pub &'r Registry);

type Declared<T> = Result<T, prometheus::Error>;

// === impl Declare ===

impl Declare<'_> {
    /// A counter with labels.
    pub(super) fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Declared<IntCounterVec> {
        self.enter(IntCounterVec::new(opts(name, help), labels)?)
    }

    /// A counter with one label, all of whose values show from the start: a rise is only seen
    /// between two samples, and some of these never rise twice.
    pub(super) fn counter_from_zero(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> Declared<IntCounterVec> {
        let counter = self.counter(name, help, &[label])?;
        for value in values {
            counter.with_label_values(&[value]).inc_by(0);
        }
        Ok(counter)
    }

    /// A counter without labels.
    pub(super) fn count(&self, name: &str, help: &str) -> Declared<IntCounter> {
        self.enter(IntCounter::with_opts(opts(name, help))?)
    }

    /// A gauge with labels.
    pub(super) fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Declared<IntGaugeVec> {
        self.enter(IntGaugeVec::new(opts(name, help), labels)?)
    }

    /// A gauge without labels.
    pub(super) fn level(&self, name: &str, help: &str) -> Declared<IntGauge> {
        self.enter(IntGauge::with_opts(opts(name, help))?)
    }

    /// A gauge of fractions, with labels.
    pub(super) fn fraction(&self, name: &str, help: &str, labels: &[&str]) -> Declared<GaugeVec> {
        self.enter(GaugeVec::new(opts(name, help), labels)?)
    }

    /// A histogram with labels.
    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Declared<HistogramVec> {
        let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.enter(HistogramVec::new(opts, labels)?)
    }

    /// What tells the build.
    pub(super) fn build(&self) -> Declared<()> {
        let help = "Always 1; the labels tell the build";
        let build = self.gauge("build_info", help, &["version", "commit"])?;
        build.with_label_values(&[crate_version(), commit()]).set(1);
        Ok(())
    }

    fn enter<C: Collector + Clone + 'static>(&self, family: C) -> Declared<C> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("llm_proxy_{name}"), help)
}
