"""What the chart renders is run as it is, against the built binary."""

import http.client
import json
import subprocess
import time

import pytest

from chart import at_path, dig, find, render
from sandbox import Container, Pod, PostgreSQL, eventually, get, image


@pytest.fixture(scope="module")
def postgresql(module_path):
    server = PostgreSQL(module_path / "postgres")
    yield server
    server.end()


@pytest.fixture(scope="module")
def redis(module_path):
    log = open(module_path / "redis.log", "wb")
    server = subprocess.Popen(["redis-server", "--port", "16379", "--save", "", "--bind", "127.0.0.1"], stdout=log)
    yield "redis://127.0.0.1:16379/0"
    server.terminate()
    server.wait()


@pytest.fixture
def run(tmp_path):
    pods = []

    def start(values, kind="Deployment", end="", ready=True, folder="pod", manifests=None):
        (tmp_path / folder).mkdir(exist_ok=True)
        manifests = manifests or render(values)
        pods.append(Pod(find(manifests, kind, end), manifests, tmp_path / folder, ready))
        return pods[-1]

    yield start
    for pod in pods:
        for container in [pod.container, *pod.sidecars]:
            container.process.kill()
            container.process.wait()


@pytest.fixture
def mock(tmp_path):
    container = Container(tmp_path, "mock", [image()["entry"][0], "mock", "--port", "18009", "--pace-ms", "100"], {}, 65532)
    eventually(lambda: get("/v1/models", 18009)[0] or container.process.poll() is not None, "the mock")
    assert container.process.poll() is None, container.text()
    yield "http://127.0.0.1:18009/v1"
    container.process.kill()
    container.process.wait()


def admin_key(pod):
    return pod.environment(pod.spec["containers"][0])["ADMIN_KEY"]


def configure(pod, mock):
    """A provider and a credential; gives the client's headers."""
    headers = {"Authorization": f"Bearer {admin_key(pod)}"}
    provider = {"provider_key": "mock", "provider_type": "openai", "api_base": mock, "api_key": "sk-m", "model_mapping": {"mock*": "mock*"}}
    status, body = get("/admin/v1/providers", headers=headers, body=json.dumps(provider))
    assert status in (200, 201), body
    status, body = get("/admin/v1/credentials", headers=headers, body=json.dumps({"name": "app"}))
    assert status in (200, 201), body
    return {"Authorization": f"Bearer {json.loads(body)['key']}"}


def ask(headers, **more):
    body = {"model": "mock", "messages": [{"role": "user", "content": "Hello"}], **more}
    return get("/v1/chat/completions", headers=headers, body=json.dumps(body))


def test_the_default_release_starts_answers_and_keeps_its_data(run, mock):
    manifests = render()
    pod = run({}, manifests=manifests)
    assert [pod.probe(name) for name in ("startup", "liveness", "readiness")] == [200, 200, 200]
    headers = configure(pod, mock)
    assert ask(headers)[0] == 200
    assert "ENCRYPTION_KEY is not set" not in pod.container.text()
    status = open(f"/proc/{pod.container.pid}/status").read()
    assert "\nNoNewPrivs:\t1" in status and "\nCapEff:\t0000000000000000" in status
    uid = dict(line.split(":\t", 1) for line in status.splitlines())["Uid"].split()
    assert set(uid) & {"65532"} and "0" not in uid
    code, took = pod.delete()
    assert code == 0 and took < pod.spec["terminationGracePeriodSeconds"] - 20
    # The next pod has the same volume and the same keys.
    again = run({}, manifests=manifests)
    assert ask(headers)[0] == 200
    assert again.delete()[0] == 0


def test_nothing_but_its_volumes_is_writable(run, tmp_path):
    pod = run({})
    root = f"/proc/{pod.container.pid}/root"
    mounts = [line.split() for line in open(f"/proc/{pod.container.pid}/mounts")]
    kernel = {"proc", "devpts", "mqueue"}
    writable = {place for _, place, kind, options, *_ in mounts if options.startswith("rw") and kind not in kernel and not place.startswith("/dev")}
    assert writable == {mount["mountPath"] for mount in pod.spec["containers"][0]["volumeMounts"]}, root


def test_a_stream_under_way_ends_whole_when_the_pod_is_deleted(run, mock):
    pod = run(at_path("shutdown.delaySeconds", 1))
    headers = configure(pod, mock)
    connection = http.client.HTTPConnection("127.0.0.1", 18000, timeout=60)
    words = " ".join(f"w{number}" for number in range(60))
    body = {"model": "mock-echo", "stream": True, "messages": [{"role": "user", "content": words}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.readline()
    import threading

    ended = []
    thread = threading.Thread(target=lambda: ended.append(pod.delete()))
    thread.start()
    eventually(lambda: pod.probe("readiness") != 200, "it wants no more traffic")
    rest = answer.read().decode()
    assert rest.rstrip().endswith("data: [DONE]"), rest[-300:]
    thread.join()
    assert ended[0][0] == 0


def test_the_job_migrates_and_the_pod_then_runs_on_postgresql_and_redis(run, mock, postgresql, redis):
    values = {"database": {"type": "postgresql", "url": {"value": postgresql.url}}, "redis": {"url": {"value": redis}},
              "migration": {"mode": "job"}}
    manifests = render(values)
    assert "providers" not in postgresql.query("select string_agg(tablename, ' ') from pg_tables where schemaname = 'public'")
    hooks = [one for one in manifests if "helm.sh/hook" in one["metadata"].get("annotations", {})]
    # At this moment nothing of the release is there but what is a hook itself.
    job = run(values, "Job", "-migrate", manifests=hooks, folder="job")
    assert job.wait() == 0, job.container.text()
    assert "0 migrations" not in job.container.text()
    assert int(postgresql.query("select count(*) from pg_tables where tablename = 'providers'")) == 1
    again = run(values, "Job", "-migrate", manifests=hooks, folder="job2")
    assert again.wait() == 0 and "\n0 migrations applied" in "\n" + again.container.text()
    pod = run(values, manifests=manifests)
    headers = configure(pod, mock)
    assert ask(headers)[0] == 200
    assert 'redis_up 1' in get("/metrics")[1]
    assert pod.delete()[0] == 0


def test_a_migration_that_fails_fails_the_job(run):
    values = {"database": {"type": "postgresql", "url": {"value": "postgres://nobody@127.0.0.1:1/none"}}, "migration": {"mode": "job"}}
    assert run(values, "Job", "-migrate", folder="job").wait() == 3


def test_a_database_that_is_down_makes_no_pod_restart(run):
    values = {"database": {"type": "postgresql", "url": {"value": "postgres://nobody@127.0.0.1:1/none"}}}
    pod = run(values, ready=False)
    eventually(lambda: pod.probe("startup") == 200, "startup")
    assert (pod.probe("liveness"), pod.probe("readiness")) == (200, 503)
    assert pod.delete()[0] == 0


def test_every_setting_of_the_schema_is_taken_by_the_binary(run):
    from chart import schema

    values = {}
    for name, rule in schema()["properties"]["settings"]["properties"].items():
        if "enum" in rule:
            values[name] = rule["enum"][0]
        elif rule["type"] == "boolean":
            values[name] = True
        elif rule["type"] in ("integer", "number"):
            values[name] = max(rule.get("minimum", 1), 1)
        else:
            values[name] = "http://127.0.0.1:1" if "pattern" in rule else "a=b"
    values |= {"CORS_ORIGINS": "https://a.example.com", "OTEL_SDK_DISABLED": True, "NO_COLOR": "1", "RUST_LOG": "info", "MAX_BODY_BYTES": 33554432}
    pod = run({"settings": values})
    assert pod.delete()[0] == 0


def test_helm_test_sends_a_real_request(run, postgresql):
    values = {"database": {"type": "postgresql", "url": {"value": postgresql.url}}, "service": {"port": 18000}}
    manifests = render(values)
    server = run(values, manifests=manifests)
    before = postgresql.query("select count(*) from request_logs")
    client = run(values, "Pod", "-test", manifests=manifests, folder="test")
    assert client.wait() == 0, client.container.text()
    assert "through-the-service" in client.container.text() and "[DONE]" in client.container.text()
    key = {"Authorization": f"Bearer {admin_key(server)}"}
    assert "helm-test" not in get("/admin/v1/providers", headers=key)[1], "it left its provider"
    assert "helm-test" not in get("/admin/v1/credentials", headers=key)[1], "it left its credential"
    eventually(lambda: int(postgresql.query("select count(*) from request_logs")) == int(before) + 2, "two requests in the log")
    server.container.process.kill()
    server.container.process.wait()
    failing = run(values, "Pod", "-test", manifests=manifests, folder="test2")
    began = time.monotonic()
    assert failing.wait() != 0 and time.monotonic() - began < 60


def test_the_private_authorities_of_the_database_reach_the_container(run):
    pem = "-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n"
    values = {"database": {"type": "postgresql", "url": {"value": "postgres://a@127.0.0.1:1/b"}, "rootCert": {"value": pem}}}
    pod = run(values, ready=False)
    # It reads the file, and says so as that is none.
    assert pod.wait(20) == 3 and "the certificates of DB_SSL_ROOT_CERT cannot be used" in pod.container.text(), pod.container.text()


def test_a_pod_of_an_ipv6_cluster_answers_on_both_kinds_of_addresses(run, mock):
    pod = run({"listenAddress": "::"})
    assert get("/health/ready", host="::1")[0] == get("/health/ready", host="127.0.0.1")[0] == 200
    assert '"ready"' in pod.execute([*image()["entry"], "health"])
    assert ask(configure(pod, mock))[0] == 200
    # The provider of `helm test` listens there as well.
    provider = dig(find(render({"listenAddress": "::"}), "Pod", "-test"), "spec.initContainers[0].args")
    assert provider[:3] == ["mock", "--host", "::"]


def operators_scrape(monitor, folder):
    """The configuration that the Prometheus operator makes of a ServiceMonitor, for one pod."""
    [endpoint] = monitor["spec"]["endpoints"]
    names = {"targetLabel": "target_label", "sourceLabels": "source_labels"}
    own = [{names.get(key, key): value for key, value in one.items()} for one in endpoint["relabelings"]]
    target = {"namespace": "team", "service": "llm-proxy", "pod": "llm-proxy-1", "container": "llm-proxy", "job": "llm-proxy"}
    job = {"job_name": "serviceMonitor/team/llm-proxy/0", "scrape_interval": "1s", "metrics_path": endpoint["path"],
           "honor_labels": endpoint.get("honorLabels", False), "static_configs": [{"targets": ["127.0.0.1:18000"], "labels": target}],
           "relabel_configs": [{"target_label": "endpoint", "replacement": endpoint["port"]}, *own],
           "metric_relabel_configs": []}
    path = folder / "prometheus.yml"
    path.write_text(json.dumps({"scrape_configs": [job]}))
    return path


def test_what_the_operator_scrapes_has_the_labels_that_dashboard_and_alerts_look_for(run, mock, tmp_path):
    values = {"metrics": {"job": "gate", "serviceMonitor": {"enabled": True}}}
    manifests = render(values)
    pod = run(values, manifests=manifests)
    assert ask(configure(pod, mock))[0] == 200
    path = operators_scrape(find(manifests, "ServiceMonitor"), tmp_path)
    prometheus = subprocess.Popen(["prometheus", f"--config.file={path}", f"--storage.tsdb.path={tmp_path}/data", "--web.listen-address=127.0.0.1:19090"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def found():
            status, text = get("/api/v1/query?query=llm_proxy_requests_total", 19090)
            return status == 200 and json.loads(text)["data"]["result"]

        [series] = eventually(found, "a scrape")
        labels = series["metric"]
        assert labels["endpoint"] == "/v1/chat/completions" and labels["job"] == "gate" and labels["pod"] == "llm-proxy-1"
        assert not [name for name in labels if name.startswith("exported_")], labels
    finally:
        prometheus.terminate()
        prometheus.wait()
