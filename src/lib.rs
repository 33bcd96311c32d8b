//! llm-proxy: one address for every LLM provider.
//!
//! Modules in rank order; each may import only modules of strictly lower rank

pub mod chat;
pub mod codec;
pub mod config;
pub mod mock;
pub mod settings;
pub mod sse;
pub mod store;
pub mod telemetry;
pub mod upstream;
