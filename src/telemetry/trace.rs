//! Where a request stands in a distributed trace (W3C Trace Context, Level 2).

use std::fmt;
use std::sync::Arc;

/// Most bytes of `tracestate` that are passed on (W3C Trace Context, 3.3.1.5: at least 512).
const LONGEST_STATE: usize = 512;
/// What longer entries go first (3.3.1.5).
const LONG_MEMBER: usize = 128;
/// Most entries of `tracestate` (3.3.1.2).
const MOST_MEMBERS: usize = 32;
/// The length of `traceparent` in version 00.
const LENGTH: usize = 55;

const SAMPLED: u8 = 1;
/// The trace id was drawn by chance (Level 2, 3.2.2.5).
const RANDOM: u8 = 2;

/// The id of a trace; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of a span within a trace; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// A span and the trace that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The span that it is a part of; `None` at the root of a trace.
    pub parent: Option<SpanId>,
    flags: u8,
    /// What other tracing systems say of it.
    state: Option<Arc<str>>,
}

// === impl TraceContext ===

impl TraceContext {
    /// The first span of a new trace.
    #[must_use]
    pub fn root(is_sampled: impl FnOnce(TraceId) -> bool) -> Self {
        let trace_id = TraceId(rand::random::<u128>().max(1));
        let sampled = if is_sampled(trace_id) { SAMPLED } else { 0 };
        Self { trace_id, span_id: SpanId::random(), parent: None, flags: sampled | RANDOM, state: None }
    }

    /// The caller's span, from its headers: the one `traceparent`, and all `tracestate`s joined
    /// with commas. `None` when `traceparent` is not what the standard says, and nobody's then.
    #[must_use]
    pub fn from_headers(traceparent: &str, tracestate: &str) -> Option<Self> {
        let text = traceparent.trim();
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = head.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = TraceId(hex(parts.next()?, 32).filter(|id| *id > 0)?);
        let span_id = hex(parts.next()?, 16).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0)?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            // Later versions may go on behind another dash.
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let flags = flags & (SAMPLED | RANDOM);
        let context = Self { trace_id, span_id: SpanId(span_id), parent: None, flags, state: state(tracestate) };
        fits.then_some(context)
    }

    /// A new span that is a part of this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: SpanId::random(), parent: Some(self.span_id), ..self.clone() }
    }

    /// The same, with this decision on whether it is exported.
    #[must_use]
    pub fn sampled(mut self, is_sampled: bool) -> Self {
        self.flags = (self.flags & !SAMPLED) | if is_sampled { SAMPLED } else { 0 };
        self
    }

    /// Whether it is exported.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Its flags, as in `traceparent`.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The header `traceparent` for whom it calls.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }

    /// The header `tracestate` for whom it calls.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// So many digits as a number; only lower-case digits count.
fn hex(digits: &str, length: usize) -> Option<u128> {
    let fits = digits.len() == length && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(digits, 16).ok().filter(|_| fits)
}

/// What of `tracestate` is passed on: all of it or, where that is too much, the first entries. A
/// wrong one is not passed on at all (3.3.1).
fn state(text: &str) -> Option<Arc<str>> {
    let mut members: Vec<&str> = text.split(',').map(str::trim).filter(|member| !member.is_empty()).collect();
    let is_member = |member: &&str| {
        let is_visible = member.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        is_visible && member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
    };
    if members.is_empty() || members.len() > MOST_MEMBERS || !members.iter().all(is_member) {
        return None;
    }
    let is_too_long = |members: &[&str]| members.join(",").len() > LONGEST_STATE;
    if is_too_long(&members) {
        members.retain(|member| member.len() <= LONG_MEMBER);
    }
    while is_too_long(&members) {
        members.pop();
    }
    (!members.is_empty()).then(|| members.join(",").into())
}

fn is_key(key: &str) -> bool {
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    let first = key.bytes().next();
    key.len() <= 256
        && first.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && key.bytes().all(is_allowed)
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && value.len() <= 256 && !value.contains('=')
}

// === ids ===

impl TraceId {
    /// A number from 0 to 1, the same for every span of the trace: those below a ratio are
    /// sampled, by the random bits at the end of the id (3.2.2.5).
    #[must_use]
    pub fn fraction(self) -> f64 {
        const SCALE: f64 = 4_294_967_296.0;
        let low = u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or_default();
        // The 56 random bits; 32 of them decide, which is exact to a fourth of a billionth.
        let bits = u32::try_from((low >> 24) & u64::from(u32::MAX)).unwrap_or_default();
        f64::from(bits) / SCALE
    }
}

impl SpanId {
    fn random() -> Self {
        Self(rand::random::<u64>().max(1))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parse(traceparent: &str) -> Option<TraceContext> {
        TraceContext::from_headers(traceparent, "")
    }

    #[test]
    fn a_callers_span_is_the_parent_of_ours() {
        let caller = parse(PARENT).unwrap();
        let ours = caller.child();
        assert_eq!(ours.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(ours.parent.unwrap().to_string(), "b7ad6b7169203331");
        assert_ne!(ours.span_id, caller.span_id);
        assert!(ours.is_sampled());
        assert_eq!(ours.traceparent(), format!("00-{}-{}-01", ours.trace_id, ours.span_id));
        assert_eq!(parse(&ours.traceparent()).unwrap().span_id, ours.span_id);
        assert!(!ours.sampled(false).is_sampled());
    }

    #[test]
    fn a_traceparent_that_is_none_is_ignored() {
        let [version, trace, span, _] = [&PARENT[..2], &PARENT[3..35], &PARENT[36..52], &PARENT[53..]];
        for wrong in [
            String::new(),
            "00".to_owned(),
            PARENT.to_uppercase(),
            PARENT.replace('-', "_"),
            format!("{PARENT}-00"),
            format!("{PARENT}0"),
            format!("ff-{trace}-{span}-01"),
            format!("0g-{trace}-{span}-01"),
            format!("{version}-{}-{span}-01", "0".repeat(32)),
            format!("{version}-{trace}-{}-01", "0".repeat(16)),
            format!("{version}-{trace}-{span}-0"),
            format!("{version}-{trace}-{span}-0x"),
            format!("{version}-+{}-{span}-01", &trace[1..]),
            format!("{version}-{trace}{span}--01"),
            "é".repeat(28),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
        assert!(!parse(&format!("{version}-{trace}-{span}-00")).unwrap().is_sampled());
        // A later version may say more, of which we know nothing.
        let later = parse(&format!("01-{trace}-{span}-ff-what-ever")).unwrap();
        assert_eq!((later.is_sampled(), later.flags()), (true, 3));
        assert_eq!(parse(&format!("01-{trace}-{span}-01what")), None);
    }

    #[test]
    fn what_other_systems_say_is_passed_on_within_bounds() {
        let kept = |state: &str| {
            let context = TraceContext::from_headers(PARENT, state).unwrap().child();
            context.tracestate().map(str::to_owned)
        };
        assert_eq!(
            kept("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE,").unwrap(),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
        );
        for wrong in ["", " , ", "noequals", "UPPER=1", "a=1=2", "a=", "=1", "a=\u{e9}", &vec!["a=1"; 33].join(",")] {
            assert_eq!(kept(wrong), None, "{wrong}");
        }
        let long = format!("big={}", "x".repeat(200));
        let small: Vec<String> = (0..31).map(|number| format!("k{number}={}", "v".repeat(12))).collect();
        let state = kept(&format!("{long},{}", small.join(","))).unwrap();
        assert!(state.len() <= LONGEST_STATE && state.starts_with("k0=") && !state.contains("big="), "{state}");
        let fits = format!("a={}", "x".repeat(250));
        assert_eq!(kept(&fits).unwrap(), fits);
        let exact = format!("a={},b={},c=abcde", "x".repeat(253), "x".repeat(246));
        assert_eq!((exact.len(), kept(&exact).unwrap()), (LONGEST_STATE, exact));
    }

    #[test]
    fn roots_are_drawn_and_their_fractions_spread() {
        let roots: Vec<TraceContext> = (0..1000).map(|_| TraceContext::root(|id| id.fraction() < 0.5)).collect();
        let sampled = roots.iter().filter(|root| root.is_sampled()).count();
        assert!((400..600).contains(&sampled), "{sampled}");
        assert!(roots.iter().all(|root| root.parent.is_none() && root.tracestate().is_none()));
        let ids: std::collections::HashSet<TraceId> = roots.iter().map(|root| root.trace_id).collect();
        assert_eq!(ids.len(), 1000);
    }
}
