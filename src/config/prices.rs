//! What the tokens of a model cost.

use rust_decimal::prelude::ToPrimitive as _;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

use crate::chat::Usage;

/// Prices of a model in dollars per 1000 tokens, as its mapping gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prices {
    input: Option<Decimal>,
    output: Option<Decimal>,
    cache_read: Option<Decimal>,
    cache_write: Option<Decimal>,
    reasoning: Option<Decimal>,
}

// === impl Prices ===

impl Prices {
    /// Reads the prices that a mapping's value carries; what is no price is none.
    pub(super) fn read(value: &Value) -> Self {
        let price = |name: &str| value.get(format!("{name}_cost_per_1k_tokens")).and_then(decimal);
        Self {
            input: price("input"),
            output: price("output"),
            cache_read: price("cache_read"),
            cache_write: price("cache_write"),
            reasoning: price("reasoning"),
        }
    }

    /// The cost of a request in micro-dollars, rounded half up. Tokens read from or written to a
    /// cache cost as input where they have no price of their own, reasoning as output. `None`
    /// where tokens have no price at all: a cost that nobody knows is not zero.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<i64> {
        // A part cannot be more than the whole, whatever a provider says.
        let read = usage.cache_read.min(usage.input);
        let uncached = usage.input.saturating_sub(read);
        let written = usage.cache_write.min(uncached);
        let reasoning = usage.reasoning.min(usage.output);
        let parts = [
            (uncached.saturating_sub(written), self.input),
            (read, self.cache_read.or(self.input)),
            (written, self.cache_write.or(self.input)),
            (usage.output.saturating_sub(reasoning), self.output),
            (reasoning, self.reasoning.or(self.output)),
        ];
        if parts.iter().all(|(_, price)| price.is_none()) {
            return None;
        }
        let mut dollars_per_1k = Decimal::ZERO;
        for (tokens, price) in parts.into_iter().filter(|(tokens, _)| *tokens > 0) {
            dollars_per_1k = dollars_per_1k.checked_add(Decimal::from(tokens).checked_mul(price?)?)?;
        }
        // A dollar for a thousand tokens is a thousand micro-dollars for one.
        let micro_dollars = dollars_per_1k.checked_mul(Decimal::ONE_THOUSAND)?;
        micro_dollars.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).to_i64()
    }
}

/// The highest price, in dollars per 1000 tokens: beyond it costs could not be added up.
const HIGHEST: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// What [`is_price`] asks for, in words.
pub(super) const PRICE: &str = "must be a number from 0 to 1000000 with at most 28 decimals";

/// Whether it can be told what tokens of this price cost.
pub(super) fn is_price(value: &Value) -> bool {
    decimal(value).is_some()
}

/// A JSON number as it is written, so that 0.15 is 0.15.
fn decimal(value: &Value) -> Option<Decimal> {
    let text = value.as_number()?.to_string();
    let price = text.parse().or_else(|_plain| Decimal::from_scientific(&text)).ok()?;
    (Decimal::ZERO..=HIGHEST).contains(&price).then_some(price)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn tokens_cost_what_their_kind_costs() {
        let prices = Prices::read(&json!({"input_cost_per_1k_tokens": 0.003, "output_cost_per_1k_tokens": 0.015,
            "cache_read_cost_per_1k_tokens": 0.0003, "cache_write_cost_per_1k_tokens": 0.00375,
            "reasoning_cost_per_1k_tokens": 0.02}));
        assert_eq!(prices.cost(&usage(1000, 0)), Some(3000));
        assert_eq!(prices.cost(&usage(0, 1000)), Some(15_000));
        let all = Usage { cache_read: 400, cache_write: 100, reasoning: 30, ..usage(1000, 100) };
        // 500 x 3 + 400 x 0.3 + 100 x 3.75 + 70 x 15 + 30 x 20
        assert_eq!(prices.cost(&all), Some(1500 + 120 + 375 + 1050 + 600));
    }

    #[test]
    fn a_kind_without_a_price_of_its_own_costs_as_the_whole_does() {
        let prices = Prices::read(&json!({"input_cost_per_1k_tokens": 1, "output_cost_per_1k_tokens": 2e0}));
        let all = Usage { cache_read: 4, cache_write: 2, reasoning: 3, ..usage(10, 5) };
        assert_eq!(prices.cost(&all), prices.cost(&usage(10, 5)));
        assert_eq!(prices.cost(&all), Some(20_000));
    }

    #[test]
    fn a_cost_that_nobody_knows_is_none() {
        assert_eq!(Prices::default().cost(&usage(1, 1)), None);
        assert_eq!(Prices::default().cost(&usage(0, 0)), None);
        let embedding = Prices::read(&json!({"input_cost_per_1k_tokens": 0.0001}));
        assert_eq!(embedding.cost(&usage(1000, 0)), Some(100));
        assert_eq!(embedding.cost(&usage(1000, 1)), None);
        let free = Prices::read(&json!({"input_cost_per_1k_tokens": 0, "output_cost_per_1k_tokens": 0.0}));
        assert_eq!(free.cost(&usage(5, 5)), Some(0));
    }

    #[test]
    fn a_part_costs_no_more_than_the_whole() {
        let prices = Prices::read(&json!({"input_cost_per_1k_tokens": 1, "output_cost_per_1k_tokens": 2}));
        let absurd = Usage { cache_read: 7, cache_write: 9, reasoning: 50, ..usage(10, 5) };
        assert_eq!(prices.cost(&absurd), prices.cost(&usage(10, 5)));
    }

    #[test]
    fn a_price_that_cannot_be_reckoned_with_is_none() {
        for price in [json!(0), json!(0.15), json!(1e-7), json!(1_000_000)] {
            assert!(is_price(&price), "{price}");
        }
        for wrong in [json!(1e300), json!(1_000_001), json!(-0.1), json!(1e-300), json!("1")] {
            assert!(!is_price(&wrong), "{wrong}");
        }
    }

    #[test]
    fn half_a_micro_dollar_is_rounded_up_and_nothing_overflows() {
        let prices = Prices::read(&json!({"input_cost_per_1k_tokens": 0.00015, "output_cost_per_1k_tokens": 1e-7}));
        assert_eq!(prices.cost(&usage(10, 0)), Some(2));
        assert_eq!(prices.cost(&usage(3, 0)), Some(0));
        assert_eq!(prices.cost(&usage(0, 5000)), Some(1));
        let dear = Prices::read(&json!({"input_cost_per_1k_tokens": 1e300, "output_cost_per_1k_tokens": 1e6}));
        assert_eq!(dear.cost(&usage(1, 0)), None);
        assert_eq!(dear.cost(&usage(0, 1)), Some(1_000_000_000));
        assert_eq!(dear.cost(&usage(0, u64::MAX)), None);
    }
}
