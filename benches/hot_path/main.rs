//! What the parts of a request cost: time, bytes per second, allocations.
//!
//! Each figure is for one event of a stream, or one request. They are held against
//! `benches/baseline.json`: allocations are the same on every machine, times are not.
//! `BENCH_BASELINE=write` writes that file anew.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what cannot be measured shall fail")]
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a command for people, with a switch of its own")]

mod baseline;
mod request;
mod routing;
mod stream;
#[path = "../../tests/golden/support.rs"]
#[expect(dead_code, reason = "shared with the golden cases, which use more of it")]
mod support;
mod translation;

use std::path::Path;

use baseline::Measured;
use criterion::{Criterion, Throughput};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// What is measured, and what has been.
struct Bench {
    criterion: Criterion,
    measured: Vec<Measured>,
}

/// The work of one measurement.
struct Work {
    /// How many events, or requests, it is.
    events: usize,
    /// Bytes that go in.
    bytes: usize,
}

impl Bench {
    /// Measures `run`, by a name such as `sse/parse`.
    fn measure<T>(&mut self, name: &str, work: &Work, mut run: impl FnMut() -> T) {
        // What is made once, such as the tables of a regex, belongs to no event.
        drop(run());
        let region = Region::new(ALLOCATOR);
        drop(run());
        let allocations = region.change().allocations;
        let (group, part) = name.split_once('/').unwrap();
        let mut benches = self.criterion.benchmark_group(group);
        benches.throughput(Throughput::Bytes(u64::try_from(work.bytes).unwrap()));
        benches.bench_function(part, |bencher| bencher.iter(&mut run));
        benches.finish();
        self.measured.push(Measured { name: name.to_owned(), events: work.events, bytes: work.bytes, allocations });
    }
}

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let criterion = Criterion::default()
        .output_directory(&folder)
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1))
        .configure_from_args();
    let mut bench = Bench { criterion, measured: Vec::new() };
    stream::measure(&mut bench);
    translation::measure(&mut bench);
    request::measure(&mut bench);
    routing::measure(&mut bench);
    baseline::compare(&bench.measured, &folder);
}
