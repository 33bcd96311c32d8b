//! The server as its clients, its operators and its providers see it: over sockets.

#![cfg(test)]

mod support;

mod auth;
mod bad_requests;
mod commands;
mod completions;
mod config;
mod demo;
mod disconnects;
mod encryption;
mod feed;
mod history;
mod hostile;
mod keepalive;
mod large_bodies;
mod models;
mod observability;
mod protocols;
mod rate_limits;
mod routes;
mod secrets;
mod shared_limits;
mod shutdown;
mod streams;
mod upstream_errors;
mod verbatim;
mod weights;
