//! Servers whose every metric moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::servers::{Postgres, Redis};
use crate::support::websocket::WebSocket;
use crate::support::{Act, Connection, Headers, TestProxy, Upstream, eventually, hello, hello_stream, mock};

/// Requests that may run at once.
const PLACES: usize = 4;
const CONTENT: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// A server with everything around it, and a second one.
pub struct Site {
    proxy: TestProxy,
    /// It serves a configuration of its own.
    other: TestProxy,
    /// Key of a credential that may ask nothing.
    blocked: String,
    /// A request that runs all the time.
    running: Connection,
    postgres: Postgres,
    redis: Redis,
    is_out: bool,
    rounds: u32,
    _follower: WebSocket,
    _providers: [Upstream; 2],
    _refusing: Upstream,
}

impl Site {
    /// Everything is well at first.
    pub fn start() -> Self {
        let (postgres, redis, refusing) = (Postgres::start(), Redis::start(), Upstream::status(400, "", "{}"));
        let database = postgres.url(&postgres.create_database());
        let sink = format!("http://{}", refusing.address());
        let mut proxy = TestProxy::with(&[
            ("DB_URL", &database),
            ("DB_POOL_MAX", "3"),
            ("CONFIG_POLL_SECS", "0.2"),
            ("REDIS_URL", &redis.url()),
            ("MAX_CONCURRENT_REQUESTS", &PLACES.to_string()),
            ("REQUEST_LOG_QUEUE", "1"),
            ("ADAPTIVE_5XX_THRESHOLD", "2"),
            ("ADAPTIVE_BASE_OPEN_DURATION_SECS", "0.5"),
            ("ADAPTIVE_MAX_OPEN_DURATION_SECS", "0.5"),
            ("LANGFUSE_ENABLED", "true"),
            ("LANGFUSE_HOST", &sink),
            ("LANGFUSE_PUBLIC_KEY", "pk"),
            ("LANGFUSE_SECRET_KEY", "sk"),
            ("LANGFUSE_FLUSH_INTERVAL", "0.1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]);
        let providers = [Upstream::status(500, "", "{}"), Upstream::new(|_| hang_after_content())];
        configure(&proxy, &providers);
        proxy.credential(json!({"name": "blocked", "rate_limit": 0}));
        let blocked = proxy.key().to_owned();
        proxy.credential(json!({"name": "tester", "rate_limit": 1_000_000}));
        let running = stream(&proxy, "narrow");
        let follower = WebSocket::feed(proxy.address(), "");
        Self {
            blocked,
            running,
            postgres,
            redis,
            proxy,
            other: TestProxy::empty(),
            is_out: false,
            rounds: 0,
            _follower: follower,
            _providers: providers,
            _refusing: refusing,
        }
    }

    /// Addresses to scrape; nobody listens at the last one.
    pub fn targets(&self) -> Vec<String> {
        vec![self.proxy.address().to_string(), self.other.address().to_string(), "127.0.0.1:1".to_owned()]
    }

    /// Makes requests until `done`, which is asked after each round of them.
    pub fn keep_busy_until(&mut self, what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        loop {
            self.round();
            if done() {
                return;
            }
            assert!(start.elapsed() < patience, "did not happen: {what}");
        }
    }

    /// From now on there is neither database nor Redis.
    pub fn begin_outage(&mut self) {
        self.is_out = true;
        self.redis.kill();
        self.postgres.kill();
    }

    /// The families that the server exposes, with their kinds.
    pub fn families(&self) -> BTreeMap<String, String> {
        let answer = self.proxy.ask("GET", "/metrics", &[], b"");
        let lines = answer.text().lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        lines.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    }

    fn round(&mut self) {
        self.rounds += 1;
        let chat = |body: &Value| self.proxy.chat(body).status;
        assert_eq!((chat(&hello("mock")), chat(&hello_stream("mock"))), (200, 200));
        assert_eq!((chat(&hello("safe")), chat(&hello_stream("safe"))), (200, 200));
        // Their circuits open now and then, too.
        assert!(chat(&hello("dead")) >= 500);
        chat(&hello_stream("cut"));
        assert_eq!(chat(&hello("narrow")), 503, "its only place is taken");
        self.ask_across();
        let bearer = format!("Bearer {}", self.blocked);
        assert_eq!(self.proxy.chat_with(&[("authorization", &bearer)], &hello("mock")).status, 429);
        self.overload();
        if !self.is_out {
            let weight = json!({"weight": 5 + self.rounds % 2});
            self.proxy.configure("PUT", "/providers/1", &weight);
        }
    }

    /// Clients of Messages, before a provider of Chat and before one of their own.
    fn ask_across(&self) {
        let bearer = self.proxy.bearer();
        let headers: Headers<'_> = &[("authorization", &bearer), ("user-agent", "curl/8.0")];
        for model in ["mock", "own"] {
            for is_streamed in [false, true] {
                let body = json!({"model": model, "max_tokens": 50, "stream": is_streamed, "top_k": 5,
                    "messages": [{"role": "user", "content": "Hello"}]});
                let answer = self.proxy.ask("POST", "/v1/messages", headers, body.to_string().as_bytes());
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
    }

    /// Takes every place, is refused, and leaves.
    fn overload(&self) {
        let taken: Vec<Connection> = (1..PLACES).map(|_| stream(&self.proxy, "hanging")).collect();
        assert_eq!(self.proxy.chat(&hello("mock")).status, 503);
        drop(taken);
        eventually("the places are free again", || self.proxy.metric("llm_proxy_active_requests", &[]) < 1.5);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It would end by itself when the server does; this is where it is needed no more.
        let _ = self.running.socket().shutdown(std::net::Shutdown::Both);
    }
}

fn hang_after_content() -> Vec<Act> {
    vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang]
}

/// A stream whose first content has come.
fn stream(proxy: &TestProxy, model: &str) -> Connection {
    let mut stream = proxy.begin_chat(&hello_stream(model));
    assert_eq!(stream.head().status, 200, "{model}");
    stream.chunks_until(|text| text.contains("\"a\""));
    stream
}

fn configure(proxy: &TestProxy, [failing, hanging]: &[Upstream; 2]) {
    let dear = |model: &str| json!({"mapped_model": model, "input_cost_per_1k_tokens": 5000, "output_cost_per_1k_tokens": 5000});
    let mock = mock();
    let provider = |key: &str, kind: &str, base: &str, mapping: Value, more: Value| {
        let mut provider = json!({"provider_key": key, "provider_type": kind, "api_base": base, "api_key": "k",
            "model_mapping": mapping});
        provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        proxy.provider_of(provider);
    };
    provider("mock", "openai", &mock, json!({"mock": dear("mock"), "safe": "mock"}), json!({}));
    provider("claude", "anthropic", &mock, json!({"own": "mock"}), json!({}));
    provider("failing", "openai", &failing.base(), json!({"safe": "real", "dead": "real"}), json!({"weight": 100}));
    provider("cutting", "openai", &mock, json!({"cut": "mock-cut"}), json!({}));
    provider("hanging", "openai", &hanging.base(), json!({"hanging": "real"}), json!({}));
    let one = json!({"provider_params": {"max_concurrency": 1}});
    provider("narrow", "openai", &hanging.base(), json!({"narrow": "real"}), one);
}
