//! The server as its clients, its operators and its providers see it: over sockets.

#![cfg(test)]

mod support;

mod addresses;
mod auth;
mod bad_requests;
mod checks;
mod commands;
mod completions;
mod concurrency;
mod config;
mod cors;
mod dashboards;
mod demo;
mod disconnects;
mod early_answers;
mod encryption;
mod exporters;
mod faults;
mod feed;
mod header_policy;
mod history;
mod hostile;
mod keepalive;
mod large_bodies;
mod models;
mod observability;
mod overload;
mod partial_usage;
mod pipelining;
mod protocols;
mod rate_limits;
mod routes;
mod secrets;
mod shared_limits;
mod shutdown;
mod slow_clients;
mod streams;
mod tls;
mod told;
mod upstream_errors;
mod verbatim;
mod weights;
