//! Several servers that share one database and one Redis: what a change, an outage and a limit look
//! like to the clients and the operators of all of them. `CLUSTER_FULL=1` runs them at full size.

#![cfg(test)]

mod scale;
#[expect(dead_code, reason = "shared with the soak tests, which use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod changes;
mod crash;
mod database;
mod limits;
mod secrets;
mod start;
mod steady;
