//! How quickly a failing provider loses traffic, and how it earns it back.

use std::time::Duration;

/// The `ADAPTIVE_*` settings.
///
/// Every combination of values is usable: weights are read as shares between 0 and 1 (anything outside is pulled to the
/// nearer end, NaN is 0), times beyond a year count as a year.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerPolicy {
    /// Whether outcomes change anything. When false every provider keeps its configured weight.
    pub enabled: bool,
    /// Lowest multiplier failures can push a weight to, and where slow start begins. At 0 a provider can starve.
    pub min_multiplier: f64,
    /// Share of its weight a provider keeps while it is probed. At 0 it is probed only as the last candidate.
    pub half_open_weight_factor: f64,
    /// What one success adds to the multiplier, up to 1.
    pub success_recovery_step: f64,
    /// How long the weight ramps up after a circuit closes; zero gives the full weight at once.
    pub slow_start_window: Duration,
    /// Consecutive 429 answers that open a circuit; 0 never opens it for this reason.
    pub threshold_429: u32,
    /// Consecutive 5xx answers or rejections of the provider secret that open a circuit; 0 never opens it for these.
    pub threshold_5xx: u32,
    /// Consecutive transport failures that open a circuit; 0 never opens it for this reason.
    pub threshold_transport: u32,
    /// Successful probes that close a circuit; 0 is read as 1.
    pub half_open_success_threshold: u32,
    /// Probes that may run at once; 0 is read as 1, as no probe would mean no way back.
    pub half_open_max_probes: u32,
    /// Cooldown after the first 429 without `Retry-After`; doubles with each further one in a row.
    pub base_429_cooldown: Duration,
    /// Longest cooldown, also for what `Retry-After` asks.
    pub max_429_cooldown: Duration,
    /// How long the first ejection lasts; doubles with each further one before a full recovery.
    pub base_open: Duration,
    /// Longest time a circuit stays open before it is probed.
    pub max_open: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            min_multiplier: 0.05,
            half_open_weight_factor: 0.2,
            success_recovery_step: 0.1,
            slow_start_window: Duration::from_secs(60),
            threshold_429: 3,
            threshold_5xx: 5,
            threshold_transport: 4,
            half_open_success_threshold: 2,
            half_open_max_probes: 1,
            base_429_cooldown: Duration::from_secs(15),
            max_429_cooldown: Duration::from_secs(300),
            base_open: Duration::from_secs(30),
            max_open: Duration::from_secs(300),
        }
    }
}
