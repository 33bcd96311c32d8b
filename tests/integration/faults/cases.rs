//! Every fault, for every pair of protocols.

use serde_json::{Value, json};

use super::kinds::{Fault, Mode};
use super::scripts;
use super::seen::Who;
use super::wire::Protocol;
use crate::support::{Act, Received};

/// Nobody listens on this port of the loopback interface.
const NOBODY: &str = "127.0.0.1:1";

/// With such weights the faulty provider is asked first, practically always.
pub const WEIGHT: i32 = 2_000_000_000;

/// A request that meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Its place among all.
    pub number: usize,
    pub fault: Fault,
    pub mode: Mode,
    pub client: Protocol,
    pub provider: Protocol,
    /// Whether a healthy provider stands behind the faulty one.
    pub is_backed: bool,
}

impl Case {
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for fault in Fault::ALL {
            for mode in fault.modes() {
                cases.extend(Self::of(fault, *mode));
            }
        }
        cases.iter_mut().enumerate().for_each(|(number, case)| case.number = number);
        cases
    }

    fn of(fault: Fault, mode: Mode) -> Vec<Self> {
        let pairs = Protocol::ALL.into_iter().flat_map(|client| Protocol::ALL.map(|provider| (client, provider)));
        let case = |(client, provider): (Protocol, Protocol)| {
            [false, true].map(|is_backed| Self { number: 0, fault, mode, client, provider, is_backed })
        };
        pairs.flat_map(case).collect()
    }

    pub fn model(&self) -> String {
        format!("m{}", self.number)
    }

    pub fn request_id(&self) -> String {
        format!("case-{}", self.number)
    }

    /// The key of one of its providers.
    pub fn key(&self, who: Who) -> String {
        match who {
            Who::Faulty => format!("f{}", self.number),
            Who::Spare => format!("s{}", self.number),
        }
    }

    /// Which of its providers has this key.
    pub fn who(&self, key: &str) -> Option<Who> {
        [Who::Faulty, Who::Spare].into_iter().find(|who| self.key(*who) == key)
    }

    /// Its providers as rows: columns and values. The spare one speaks another protocol.
    pub fn providers(&self, address: &str) -> Vec<Value> {
        let record = |who: Who, kind: Protocol, weight: i32, params: Value| {
            let is_nobody = who == Who::Faulty && self.fault == Fault::Refused;
            let at = if is_nobody { NOBODY } else { address };
            json!({
                "provider_key": self.key(who), "provider_type": kind.provider_type(), "api_key": "sk-secret-of-the-table",
                "api_base": format!("http://{at}/{}/v1", self.key(who)), "weight": weight, "provider_params": params,
                "model_mapping": {self.model(): "real"},
            })
        };
        let timeouts = json!({"timeouts": self.fault.timeouts()});
        let faulty = record(Who::Faulty, self.provider, WEIGHT, timeouts);
        let spare = self.is_backed.then(|| record(Who::Spare, self.provider.next(), 1, json!({})));
        std::iter::once(faulty).chain(spare).collect()
    }

    /// What its provider does that was asked.
    fn acts(&self, who: Who) -> Vec<Act> {
        match who {
            Who::Faulty => scripts::faulty(self.fault, self.provider, self.mode),
            Who::Spare => scripts::healthy(self.provider.next(), self.mode),
        }
    }
}

/// The case of a request at the scripted provider, and which of its providers was asked.
pub fn asked<'c>(cases: &'c [Case], request: &Received) -> (&'c Case, Who) {
    let key = request.target().split('/').nth(1).unwrap();
    let case = &cases[key[1..].parse::<usize>().unwrap()];
    (case, case.who(key).unwrap())
}

/// All providers of all cases in one.
pub fn script(cases: Vec<Case>) -> impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static {
    move |request| {
        let (case, who) = asked(&cases, request);
        case.acts(who)
    }
}
