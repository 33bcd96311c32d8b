//! llm-proxy: one address for every LLM provider.
//!
//! Modules in rank order; each may import only modules of strictly lower rank
//! (`tests/architecture.rs` keeps it so):
//!
//! | rank | modules |
//! |---|---|
//! | 0 | [`chat`], [`sse`], [`settings`], [`telemetry`], [`tls`], [`mock`] |
//! | 1 | [`codec`], [`config`] |
//! | 2 | [`store`], [`upstream`] |
//! | 3 | [`actors`] |
//! | 4 | [`proxy`] |
//! | 5 | [`api`] |
//! | 6 | [`server`] |
//! | 7 | [`cli`] |

pub mod actors;
pub mod api;
pub mod chat;
pub mod cli;
pub mod codec;
pub mod config;
pub mod mock;
pub mod proxy;
pub mod server;
pub mod settings;
pub mod sse;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod upstream;

#[cfg(test)]
#[path = "../tests/support/servers.rs"]
#[expect(missing_docs, reason = "a helper of tests; public since each kind of test uses a part of it")]
pub mod servers;
