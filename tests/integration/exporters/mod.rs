//! What Langfuse and an OpenTelemetry collector are told of requests.

mod collector;
mod coverage;
mod faults;
mod langfuse;
mod mixed;
mod otel;
mod sampling;
mod settings;
mod shapes;
mod shutdown;
