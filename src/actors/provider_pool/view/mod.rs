//! Who may get how much, as a request sees it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::actors::provider_pool::permit::{InFlight, Permit, Running};
use crate::actors::provider_pool::{Admission, ShutReason};
use crate::config::{Candidate, Provider, ProviderId};

/// Provider → admission; a provider that is missing is healthy.
#[derive(Debug, Default)]
pub struct PoolView {
    gates: HashMap<ProviderId, Gate>,
}

#[derive(Debug)]
struct Gate {
    admission: Admission,
    /// While probing: the permits of this phase, shared by all views of it.
    probes: Option<(Instant, Arc<Semaphore>)>,
    /// The same in all views, as long as the provider's row is there.
    in_flight: InFlight,
}

/// A chosen candidate.
#[derive(Debug)]
pub struct Choice {
    /// Its place in the list that was chosen from.
    pub index: usize,
    /// Held as long as the attempt runs.
    pub permit: Permit,
}

/// Why there is no choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchosen {
    /// All candidates are drained, or there are none.
    Nobody,
    /// All others run as many attempts as they may.
    Saturated,
}

/// What a candidate may expect of [`PoolView::choose`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prospect {
    /// This share of the requests; the shares of all candidates sum up to 1.
    Share(f64),
    /// Nothing.
    Barred(Bar),
}

/// Why a candidate gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// Its effective weight is 0.
    Drained,
    /// Its circuit is open.
    Breaker,
    /// It is benched by a 429.
    Cooldown,
    /// As many attempts as may probe it are under way.
    Busy,
    /// It runs as many attempts as it may. It gets nothing even as the last candidate.
    Saturated,
}

/// The same admissions and counters; the semaphores follow from them.
impl PartialEq for PoolView {
    fn eq(&self, other: &Self) -> bool {
        self.gates.len() == other.gates.len()
            && self.gates.iter().all(|(id, gate)| other.gates.get(id).is_some_and(|other| other.is_same(gate)))
    }
}

impl Gate {
    fn is_same(&self, other: &Self) -> bool {
        self.admission == other.admission && self.in_flight.is_same(&other.in_flight)
    }
}

impl PoolView {
    pub(in crate::actors::provider_pool) fn new(
        before: &Self,
        members: impl Iterator<Item = (ProviderId, Admission, InFlight)>,
    ) -> Self {
        let gates = members
            .map(|(id, admission, in_flight)| {
                let probes = match admission {
                    Admission::Probing { since, permits, .. } => Some(before.probes(id, since, permits)),
                    Admission::Open { .. } | Admission::Shut { .. } => None,
                };
                (id, Gate { admission, probes, in_flight })
            })
            .collect();
        Self { gates }
    }

    /// The counters of all providers.
    pub(in crate::actors::provider_pool) fn counters(&self) -> impl Iterator<Item = (ProviderId, InFlight)> {
        self.gates.iter().map(|(id, gate)| (*id, gate.in_flight.clone()))
    }

    /// The permits of this probing phase: those already handed out count.
    fn probes(&self, id: ProviderId, since: Instant, permits: u32) -> (Instant, Arc<Semaphore>) {
        let running = self.gates.get(&id).and_then(|gate| gate.probes.as_ref());
        match running {
            Some((phase, semaphore)) if *phase == since => (since, Arc::clone(semaphore)),
            _ => {
                let permits = usize::try_from(permits).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
                (since, Arc::new(Semaphore::new(permits)))
            }
        }
    }

    /// Chooses among `candidates` at random by effective weight; `draw` is uniform in `0..1`.
    /// When nobody may get traffic the one with the best effective weight gets it all the same,
    /// unless it is saturated.
    ///
    /// # Errors
    /// When none is left that may run an attempt.
    pub fn choose(&self, candidates: &[&Candidate], draw: f64) -> Result<Choice, Unchosen> {
        let mut passed = Vec::new();
        while let Some((index, provider)) = self.draw(candidates, &passed, draw) {
            match self.permit(provider) {
                Some(permit) => return Ok(Choice { index, permit }),
                None => passed.push(index),
            }
        }
        let mut full = Vec::new();
        while let Some((index, provider)) = self.best(candidates, &full) {
            match self.begin(provider) {
                Some(running) => return Ok(Choice { index, permit: Permit::new(running, None) }),
                None => full.push(index),
            }
        }
        Err(if full.is_empty() { Unchosen::Nobody } else { Unchosen::Saturated })
    }

    fn draw<'c>(&self, candidates: &[&'c Candidate], passed: &[usize], draw: f64) -> Option<(usize, &'c Provider)> {
        let weights = candidates.iter().enumerate().map(|(index, candidate)| {
            let weight = if passed.contains(&index) { 0.0 } else { self.effective_weight(&candidate.provider) };
            (index, &*candidate.provider, weight)
        });
        let total: f64 = weights.clone().map(|(_, _, weight)| weight).sum();
        let mut left = draw * total;
        let mut last = None;
        for (index, provider, weight) in weights.filter(|(_, _, weight)| *weight > 0.0) {
            // Rounding may leave a crumb after the last one.
            last = Some((index, provider));
            if left < weight {
                break;
            }
            left -= weight;
        }
        last
    }

    /// What each of `candidates` may expect as the first choice, in their order. Takes nothing.
    #[must_use]
    pub fn prospects(&self, candidates: &[&Candidate]) -> Vec<Prospect> {
        let bars: Vec<Option<Bar>> = candidates.iter().map(|candidate| self.bar(candidate)).collect();
        let open = candidates.iter().zip(&bars).filter(|(_, bar)| bar.is_none());
        let total: f64 = open.map(|(candidate, _)| self.effective_weight(&candidate.provider)).sum();
        let is_full = |(_, bar): &(usize, &Option<Bar>)| **bar == Some(Bar::Saturated);
        let full: Vec<usize> = bars.iter().enumerate().filter(is_full).map(|(index, _)| index).collect();
        let last = if total > 0.0 { None } else { self.best(candidates, &full).map(|(index, _)| index) };
        let prospect = |(index, (candidate, bar)): (usize, (&&Candidate, Option<Bar>))| match bar {
            _ if last == Some(index) => Prospect::Share(1.0),
            Some(bar) => Prospect::Barred(bar),
            None => Prospect::Share(self.effective_weight(&candidate.provider) / total),
        };
        candidates.iter().zip(bars).enumerate().map(prospect).collect()
    }

    fn bar(&self, candidate: &Candidate) -> Option<Bar> {
        let gate = self.gates.get(&candidate.provider.id);
        let is_busy = |(_, probes): &(Instant, Arc<Semaphore>)| probes.available_permits() == 0;
        match gate.map(|gate| gate.admission) {
            _ if candidate.provider.weight == 0 => Some(Bar::Drained),
            _ if gate.is_some_and(|gate| gate.in_flight.is_full(candidate.provider.params.max_concurrency)) => {
                Some(Bar::Saturated)
            }
            Some(Admission::Shut { reason: ShutReason::Breaker, .. }) => Some(Bar::Breaker),
            Some(Admission::Shut { reason: ShutReason::Cooldown, .. }) => Some(Bar::Cooldown),
            _ if gate.and_then(|gate| gate.probes.as_ref()).is_some_and(is_busy) => Some(Bar::Busy),
            // The settings allow health to leave nothing of a weight.
            _ => (self.effective_weight(&candidate.provider) <= 0.0).then_some(Bar::Drained),
        }
    }

    /// How much traffic a provider may get now; `None`: nothing bad is known of it.
    #[must_use]
    pub fn admission(&self, id: ProviderId) -> Option<Admission> {
        self.gates.get(&id).map(|gate| gate.admission)
    }

    /// The configured weight times what health leaves of it; 0 while the provider is shut.
    #[must_use]
    pub fn effective_weight(&self, provider: &Provider) -> f64 {
        let share = match self.admission(provider.id) {
            None => 1.0,
            Some(Admission::Open { factor } | Admission::Probing { factor, .. }) => factor,
            Some(Admission::Shut { .. }) => 0.0,
        };
        f64::from(provider.weight) * share
    }

    /// How many attempts a provider has in flight.
    #[must_use]
    pub fn in_flight(&self, id: ProviderId) -> u32 {
        self.gates.get(&id).map_or(0, |gate| gate.in_flight.count())
    }

    /// The one with the best effective weight that is not in `full`.
    fn best<'c>(&self, candidates: &[&'c Candidate], full: &[usize]) -> Option<(usize, &'c Provider)> {
        let rank = |provider: &Provider| {
            let factor = match self.admission(provider.id) {
                None => 1.0,
                Some(
                    Admission::Open { factor } | Admission::Probing { factor, .. } | Admission::Shut { factor, .. },
                ) => factor,
            };
            f64::from(provider.weight) * factor
        };
        let all = candidates.iter().enumerate().map(|(index, candidate)| (index, &*candidate.provider));
        let usable = all.filter(|(index, provider)| provider.weight > 0 && !full.contains(index));
        usable.max_by(|(_, a), (_, b)| rank(a).total_cmp(&rank(b)))
    }

    fn permit(&self, provider: &Provider) -> Option<Permit> {
        let probe = self.probe(provider.id)?;
        Some(Permit::new(self.begin(provider)?, probe))
    }

    /// A permit to probe, where one is needed; `None` when as many as may are under way.
    fn probe(&self, id: ProviderId) -> Option<Option<OwnedSemaphorePermit>> {
        match self.gates.get(&id).and_then(|gate| gate.probes.as_ref()) {
            Some((_, semaphore)) => Arc::clone(semaphore).try_acquire_owned().ok().map(Some),
            None => Some(None),
        }
    }

    /// Counts one more attempt, where the provider is still configured; `None` when it is saturated.
    fn begin(&self, provider: &Provider) -> Option<Option<Running>> {
        match self.gates.get(&provider.id) {
            Some(gate) => gate.in_flight.begin(provider.params.max_concurrency).map(Some),
            None => Some(None),
        }
    }
}

#[cfg(test)]
mod tests;
