//! Who may get how much, as a request sees it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Admission, ShutReason};
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
}

/// A chosen candidate.
#[derive(Debug)]
pub struct Choice {
    /// Its place in the list that was chosen from.
    pub index: usize,
    /// Held as long as the attempt runs when the provider is being probed.
    pub probe: Option<OwnedSemaphorePermit>,
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
}

/// The same admissions; the semaphores follow from them.
impl PartialEq for PoolView {
    fn eq(&self, other: &Self) -> bool {
        self.gates.len() == other.gates.len()
            && self
                .gates
                .iter()
                .all(|(id, gate)| other.gates.get(id).is_some_and(|other| other.admission == gate.admission))
    }
}

impl PoolView {
    pub(super) fn new(before: &Self, admissions: impl Iterator<Item = (ProviderId, Admission)>) -> Self {
        let gates = admissions
            .map(|(id, admission)| {
                let probes = match admission {
                    Admission::Probing { since, permits, .. } => Some(before.probes(id, since, permits)),
                    Admission::Open { .. } | Admission::Shut { .. } => None,
                };
                (id, Gate { admission, probes })
            })
            .collect();
        Self { gates }
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
    /// When nobody may get traffic the one with the best effective weight gets it all the same.
    /// `None`: all are drained, or there are none.
    #[must_use]
    pub fn choose(&self, candidates: &[&Candidate], draw: f64) -> Option<Choice> {
        let mut busy = Vec::new();
        loop {
            let index = self.draw(candidates, &busy, draw);
            let Some(index) = index else {
                return self.best(candidates).map(|index| Choice { index, probe: None });
            };
            match self.probe(candidates.get(index)?.provider.id) {
                Some(Err(_)) => busy.push(index),
                Some(Ok(permit)) => {
                    return Some(Choice { index, probe: Some(permit) });
                }
                None => return Some(Choice { index, probe: None }),
            }
        }
    }

    fn draw(&self, candidates: &[&Candidate], busy: &[usize], draw: f64) -> Option<usize> {
        let weights = candidates.iter().enumerate().map(|(index, candidate)| {
            let weight = if busy.contains(&index) { 0.0 } else { self.effective_weight(&candidate.provider) };
            (index, weight)
        });
        let total: f64 = weights.clone().map(|(_, weight)| weight).sum();
        let mut left = draw * total;
        let mut last = None;
        for (index, weight) in weights.filter(|(_, weight)| *weight > 0.0) {
            if left < weight {
                return Some(index);
            }
            left -= weight;
            // Rounding may leave a crumb after the last one.
            last = Some(index);
        }
        last
    }

    /// What each of `candidates` may expect as the first choice, in their order. Takes nothing.
    #[must_use]
    pub fn prospects(&self, candidates: &[&Candidate]) -> Vec<Prospect> {
        let bars: Vec<Option<Bar>> = candidates.iter().map(|candidate| self.bar(candidate)).collect();
        let open = candidates.iter().zip(&bars).filter(|(_, bar)| bar.is_none());
        let total: f64 = open.map(|(candidate, _)| self.effective_weight(&candidate.provider)).sum();
        let last = if total > 0.0 { None } else { self.best(candidates) };
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

    fn best(&self, candidates: &[&Candidate]) -> Option<usize> {
        let rank = |candidate: &Candidate| {
            let factor = match self.admission(candidate.provider.id) {
                None => 1.0,
                Some(
                    Admission::Open { factor } | Admission::Probing { factor, .. } | Admission::Shut { factor, .. },
                ) => factor,
            };
            f64::from(candidate.provider.weight) * factor
        };
        let usable = candidates.iter().enumerate().filter(|(_, candidate)| candidate.provider.weight > 0);
        usable.max_by(|(_, a), (_, b)| rank(a).total_cmp(&rank(b))).map(|(index, _)| index)
    }

    fn probe(&self, id: ProviderId) -> Option<Result<OwnedSemaphorePermit, tokio::sync::TryAcquireError>> {
        let (_, semaphore) = self.gates.get(&id)?.probes.as_ref()?;
        Some(Arc::clone(semaphore).try_acquire_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::actors::provider_pool::health::ShutReason;
    use crate::config::{Loaded, ProviderRecord, Secret, Snapshot};

    fn candidates(weights: &[i32]) -> Arc<[Candidate]> {
        let now = chrono::Utc::now();
        let record = |(id, weight): (i32, &i32)| ProviderRecord {
            id,
            provider_key: format!("p{id}"),
            provider_type: "openai".to_owned(),
            api_base: "http://127.0.0.1:1".to_owned(),
            api_key: Secret::new("k".to_owned()),
            model_mapping: json!({"m": "m"}),
            weight: *weight,
            provider_params: json!({}),
            is_enabled: true,
            created_at: now,
            updated_at: now,
        };
        let providers = (0..).zip(weights).map(record).collect();
        let loaded = Loaded { version: 1, changed_at: now, providers, credentials: vec![], errors: vec![] };
        Snapshot::new(loaded, crate::config::Source::Database, &crate::config::Sealer::default()).candidates("m")
    }

    fn view(admissions: &[(i32, Admission)]) -> PoolView {
        PoolView::new(&PoolView::default(), admissions.iter().map(|(id, admission)| (ProviderId(*id), *admission)))
    }

    fn shut(factor: f64) -> Admission {
        Admission::Shut { until: Instant::now() + Duration::from_secs(9), reason: ShutReason::Breaker, factor }
    }

    fn chosen(view: &PoolView, list: &[&Candidate], draw: f64) -> Option<usize> {
        view.choose(list, draw).map(|choice| choice.index)
    }

    #[test]
    fn the_draw_falls_by_weight_and_drained_providers_get_nothing() {
        let all = candidates(&[3, 0, 1]);
        let list: Vec<&Candidate> = all.iter().collect();
        let view = PoolView::default();
        assert_eq!(chosen(&view, &list, 0.0), Some(0));
        assert_eq!(chosen(&view, &list, 0.749), Some(0));
        assert_eq!(chosen(&view, &list, 0.751), Some(2));
        assert_eq!(chosen(&view, &list, 0.999_999_999), Some(2));
        let drained = candidates(&[0, 0]);
        assert_eq!(chosen(&view, &drained.iter().collect::<Vec<_>>(), 0.5), None);
        assert_eq!(chosen(&view, &[], 0.5), None);
    }

    #[test]
    fn a_shut_provider_gets_nothing_unless_all_are_shut() {
        let all = candidates(&[1, 5]);
        let list: Vec<&Candidate> = all.iter().collect();
        let one = view(&[(0, shut(1.0))]);
        assert_eq!(chosen(&one, &list, 0.0), Some(1));
        let both = view(&[(0, shut(1.0)), (1, shut(0.1))]);
        assert_eq!(chosen(&both, &list, 0.9), Some(0));
    }

    #[test]
    fn prospects_are_what_the_draw_does() {
        let all = candidates(&[3, 0, 1, 4, 2]);
        let list: Vec<&Candidate> = all.iter().collect();
        let cooling = Admission::Shut {
            until: Instant::now() + Duration::from_secs(9),
            reason: ShutReason::Cooldown,
            factor: 1.0,
        };
        let busy = Admission::Probing { since: Instant::now(), permits: 1, factor: 0.5 };
        let view = view(&[(2, Admission::Open { factor: 0.5 }), (3, cooling), (4, busy)]);
        let probe = view.choose(&list[4..], 0.5).unwrap();
        let (first, third) = (3.0 / 3.5, 0.5 / 3.5);
        let prospects = view.prospects(&list);
        let expected = [
            Prospect::Share(first),
            Prospect::Barred(Bar::Drained),
            Prospect::Share(third),
            Prospect::Barred(Bar::Cooldown),
            Prospect::Barred(Bar::Busy),
        ];
        assert_eq!(prospects, expected);
        for (draw, index) in [(0.0, 0), (first - 0.001, 0), (first + 0.001, 2), (0.999, 2)] {
            assert_eq!(chosen(&view, &list, draw), Some(index));
        }
        drop(probe);
        assert_eq!(view.prospects(&list[4..]), [Prospect::Share(1.0)]);
    }

    #[test]
    fn the_last_candidate_may_expect_everything() {
        let all = candidates(&[1, 5, 0]);
        let list: Vec<&Candidate> = all.iter().collect();
        let both = view(&[(0, shut(1.0)), (1, shut(0.1))]);
        let barred = [Prospect::Share(1.0), Prospect::Barred(Bar::Breaker), Prospect::Barred(Bar::Drained)];
        assert_eq!(both.prospects(&list), barred);
        assert_eq!(both.prospects(&list[2..]), [Prospect::Barred(Bar::Drained)]);
        assert_eq!(both.prospects(&[]), []);
    }

    #[test]
    fn a_probed_provider_gets_one_attempt_at_a_time_over_every_view_of_the_phase() {
        let all = candidates(&[1]);
        let list: Vec<&Candidate> = all.iter().collect();
        let probing = Admission::Probing { since: Instant::now(), permits: 1, factor: 0.2 };
        let first = view(&[(0, probing)]);
        let held = first.choose(&list, 0.5).unwrap();
        assert!(held.probe.is_some());
        let next = PoolView::new(&first, std::iter::once((ProviderId(0), probing)));
        // The only candidate, so it is used although the permit is out.
        assert!(next.choose(&list, 0.5).unwrap().probe.is_none());
        drop(held);
        assert!(next.choose(&list, 0.5).unwrap().probe.is_some());
    }
}
