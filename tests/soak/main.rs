//! Long runs of real processes: what clients that leave, providers that fail, restarts and time
//! itself leave behind. `SOAK_PERCENT=100` runs them at full size.

#![cfg(test)]

mod faults;
mod machine;
mod provider;
mod reading;
mod scale;
#[expect(dead_code, reason = "shared with the cluster tests, which use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod wire;

mod aborts;
mod chaos;
mod restart;
mod steady;
mod sums;
