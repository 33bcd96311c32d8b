"""The chart as a whole: every set of values gives manifests that Kubernetes takes, wrong values are refused."""

import json
import os
import re
import subprocess
from base64 import b64decode

import jsonschema
import kubernetes_validate
import pytest
import yaml

from chart import CHART, NEWEST, OLDEST, POSTGRESQL, ROOT, Refused, at_path, defaults, dig, find, helm, merged, render, schema

OWN = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}
KEY = "0f" * 32
LANGFUSE = {"langfuse": {"enabled": True, "publicKey": {"existingSecret": "l"}, "secretKey": {"existingSecret": "l"}}}
SETS = {
    "nothing set": {},
    "SQLite on a claim of one's own": {"persistence": {"existingClaim": "disk"}, "replicaCount": 1},
    "SQLite that goes with the release": {"persistence": {"keep": False, "storageClass": "fast", "annotations": {"a": "b"}}},
    "PostgreSQL": POSTGRESQL,
    "PostgreSQL, every secret from elsewhere": {
        "database": {"type": "postgresql", "url": {"existingSecret": "db", "existingSecretKey": "uri"}},
        "redis": {"url": {"existingSecret": "r"}}, "adminKey": {"existingSecret": "a"},
        "encryptionKey": {"existingSecret": "e"}, "encryptionKeyOld": {"existingSecret": "e"},
        "otel": {"endpoint": "http://c:4318", "headers": {"existingSecret": "o"}}, "generateKeys": False, **LANGFUSE,
    },
    "every secret as a value": merged(POSTGRESQL, {
        "redis": {"url": {"value": "rediss://:p@r/1"}}, "adminKey": {"value": "a"}, "encryptionKey": {"value": KEY},
        "encryptionKeyOld": {"value": KEY}, "otel": {"endpoint": "http://c:4318", "headers": {"value": "k=v"}},
        "langfuse": {"enabled": True, "publicKey": {"value": "p"}, "secretKey": {"value": "s"}},
    }),
    "migration as a Job": merged(POSTGRESQL, {
        "migration": {"mode": "job"}, "database": {"rootCert": {"value": "-----BEGIN CERTIFICATE-----\n"}}}),
    "migration as a Job, all of it from elsewhere": {
        "database": {"type": "postgresql", "url": {"existingSecret": "db"}, "rootCert": {"existingConfigMap": "ca"}},
        "migration": {"mode": "job"}, "serviceAccount": {"create": False, "name": "mine"}},
    "autoscaled": merged(POSTGRESQL, {"autoscaling": {"enabled": True, "metrics": [
        {"type": "Pods", "pods": {"metric": {"name": "llm_proxy_active_requests"},
                                  "target": {"type": "AverageValue", "averageValue": "500"}}}]}}),
    "Ingress with TLS": {"ingress": {
        "enabled": True, "className": "nginx", "annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "300"},
        "hosts": [{"host": "a.example.com", "paths": [{"path": "/v1", "pathType": "Prefix"}]}],
        "tls": [{"secretName": "t", "hosts": ["a.example.com"]}]}},
    "Gateway API": {"httpRoute": {
        "enabled": True, "parentRefs": [{"name": "g", "namespace": "infra", "sectionName": "https"}], "hostnames": ["a.example.com"],
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-secret"]}}],
        "timeouts": {"request": "0s", "backendRequest": "0s"}}},
    "watched by Prometheus and Grafana": {"metrics": {
        "job": "team-a", "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "disabledAlerts": ["LlmProxySpendHigh"]},
        "dashboard": {"enabled": True, "namespace": "grafana", "annotations": {"grafana_folder": "LLM"}}}},
    "narrow network": {"networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
        "egress": [{"ports": [{"port": 443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}},
    "more of everything": merged(POSTGRESQL, {
        "replicaCount": 2, "extraEnv": [{"name": "A", "value": "1"}], "extraEnvFrom": [{"configMapRef": {"name": "c"}}],
        "extraVolumes": [{"name": "v", "secret": {"secretName": "s"}}], "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
        "extraContainers": [{"name": "c", "image": "i:1"}], "initContainers": [{"name": "d", "image": "i:1"}],
        "imagePullSecrets": [{"name": "r"}], "podLabels": {"a": "b"}, "podAnnotations": {"c": "d"}, "commonLabels": {"e": "f"},
        "priorityClassName": "high", "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}], "listenAddress": "::",
        "service": {"type": "LoadBalancer", "nodePort": 30080, "annotations": {"a": "b"}},
        "serviceAccount": {"name": "own", "annotations": {"a": "b"}}, "updateStrategy": {"maxSurge": "50%"}}),
    "nothing that need not be": merged(POSTGRESQL, {
        "serviceAccount": {"create": False}, "networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False},
        "topologySpread": {"enabled": False}, "shutdown": {"preStopSeconds": 0, "delaySeconds": 0, "drainSeconds": 0},
        "generateKeys": False, "adminKey": {"value": "a"}}),
}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", SETS)
def test_kubernetes_takes_every_manifest(name, version):
    manifests = render(SETS[name], version=version)
    for manifest in manifests:
        if manifest["kind"] not in OWN:
            kubernetes_validate.validate(manifest, version, strict=True)
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names)), "two manifests have one name"


def test_the_manifests_of_other_projects_kinds_fit_their_definitions(tmp_path):
    manifests = [one for values in SETS.values() for one in render(values) if one["kind"] in OWN]
    assert {one["kind"] for one in manifests} == OWN
    (tmp_path / "manifests.json").write_text(json.dumps(manifests))
    node = ROOT / "tests/helm/node"
    # Beside the packages, where the compiler looks for them.
    scratch = node / f"checked-{os.getpid()}.ts"
    try:
        arguments = ["node", node / "check.mjs", tmp_path / "manifests.json", scratch]
        done = subprocess.run(arguments, text=True, capture_output=True, check=False)
    finally:
        scratch.unlink(missing_ok=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_lints_and_packages_the_chart(tmp_path):
    for values in SETS.values():
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        helm("lint", "--strict", "--quiet", str(CHART), "-f", str(tmp_path / "values.yaml"))
    helm("package", str(CHART), "-d", str(tmp_path))
    [package] = tmp_path.glob("llm-proxy-*.tgz")

    def stripped(manifests):
        return [one for one in manifests if not one["metadata"]["name"].endswith("-generated")]

    values = SETS["watched by Prometheus and Grafana"]
    assert stripped(render(values, chart=package)) == stripped(render(values)), "the package is another chart"


REFUSED = {
    "several pods with SQLite": ({"replicaCount": 2}, 'replicaCount must be one of the following: "auto", 1'),
    "autoscaling with SQLite": ({"autoscaling": {"enabled": True}}, "autoscaling.enabled does not match: false"),
    "a Job with SQLite": ({"migration": {"mode": "job"}}, 'migration.mode does not match: "start"'),
    "a URL with SQLite": (at_path("database.url.value", "postgres://a@b/c"), "database.url.value"),
    "PostgreSQL without a URL": ({"database": {"type": "postgresql"}}, "database.url.value: String length"),
    "another database": ({"database": {"type": "mysql"}}, 'database.type must be one of the following: "sqlite", "postgresql"'),
    "another URL": (merged(POSTGRESQL, at_path("database.url.value", "mysql://user:hunter2@h/d")), "database.url.value"),
    "no pods": ({"replicaCount": 0}, "replicaCount"),
    "pods in words": (merged(POSTGRESQL, {"replicaCount": "3"}), "replicaCount"),
    "a value misspelt": ({"replicas": 1}, "Additional property replicas is not allowed"),
    "a value misspelt below": ({"image": {"tagg": "1"}}, "image: Additional property tagg is not allowed"),
    "a setting misspelt": ({"settings": {"MAX_ATEMPTS": 3}}, "settings: Additional property MAX_ATEMPTS is not allowed"),
    "a secret among settings": ({"settings": {"ADMIN_KEY": "hunter2"}}, "settings: Additional property ADMIN_KEY is not allowed"),
    "a setting out of range": ({"settings": {"MAX_ATTEMPTS": 0}}, "settings.MAX_ATTEMPTS: Must be greater than or equal to 1"),
    "a setting of another type": ({"settings": {"WORKERS": "many"}}, "settings.WORKERS: Invalid type"),
    "an encryption key that is too short": (at_path("encryptionKey.value", "hunter2"), "encryptionKey.value: Does not match"),
    "a secret twice": ({"adminKey": {"value": "hunter2", "existingSecret": "b"}}, "adminKey.existingSecret"),
    "no admin key": ({"generateKeys": False}, "adminKey.value: String length must be greater than or equal to 1"),
    "Langfuse without keys": ({"langfuse": {"enabled": True}}, "langfuse.publicKey"),
    "a route without gateway": ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs: Array must have at least 1 items"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "image.digest: Does not match"),
    "a port of root": ({"containerPort": 80}, "containerPort: Must be greater than or equal to 1024"),
    "an update without room": (merged(POSTGRESQL, {"updateStrategy": {"maxSurge": 0}}), "updateStrategy.maxSurge"),
    "nothing to scale by": (merged(POSTGRESQL, {"autoscaling": {"enabled": True, "targetCPU": 0, "targetMemory": 0}}),
                            "autoscaling.metrics: Array must have at least 1 items"),
    "fewer pods at most than at least": (
        merged(POSTGRESQL, {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}),
        "autoscaling.minReplicas: 5 is more than autoscaling.maxReplicas, 4"),
    "percent of nothing": (
        merged(POSTGRESQL, {"autoscaling": {"enabled": True}, "resources": {"requests": {"memory": None}}}),
        "resources.requests.memory: autoscaling needs it"),
    "one name for all replicas": ({"settings": {"REPLICA_ID": "a"}}, "settings: Additional property REPLICA_ID is not allowed"),
    "a label that selects pods": ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "commonLabels"),
    "a label of two lines": ({"podLabels": {"a": "b\nc"}}, "podLabels.a: Does not match"),
    "a label's name with spaces": ({"podLabels": {"a b": "c"}}, 'podLabels: Property name of "a b" does not match'),
    "a URL with a space": (at_path("redis.url.value", "redis://h/0 "), "redis.url.value: Does not match"),
    "certificates from two places": (
        merged(POSTGRESQL, {"database": {"rootCert": {"value": "-----BEGIN CERTIFICATE-----\n", "existingConfigMap": "c"}}}),
        "database.rootCert.existingConfigMap"),
    "a name that no Service may have": ({"fullnameOverride": "a.b"}, "fullnameOverride: Does not match"),
    "an address of another machine": ({"listenAddress": "10.0.0.1"}, "listenAddress must be one of the following"),
    "a variable that a value decides": ({"extraEnv": [{"name": "PORT", "value": "1"}]}, "extraEnv.0.name"),
    "a variable with a number": ({"extraEnv": [{"name": "A", "value": 1}]}, "extraEnv.0.value: Invalid type. Expected: string"),
    "a volume of a name that is taken": ({"extraVolumes": [{"name": "tmp", "emptyDir": {}}]}, "extraVolumes.0.name"),
    "a container of a name that is taken": ({"extraContainers": [{"name": "llm-proxy", "image": "i"}]}, "extraContainers.0.name"),
    "a field of a container misspelt": ({"extraContainers": [{"name": "c", "image": "i", "arg": []}]}, "property arg is not allowed"),
    "a security context misspelt": ({"podSecurityContext": {"runAsUSer": 1}}, "property runAsUSer is not allowed"),
    "root": ({"podSecurityContext": {"runAsUser": 0}}, "podSecurityContext.runAsUser: Must be greater than or equal to 1"),
    "a toleration misspelt": ({"tolerations": [{"keys": "a"}]}, "property keys is not allowed"),
    "an affinity misspelt": ({"affinity": {"podAntiaffinity": {}}}, "property podAntiaffinity is not allowed"),
    "who may connect misspelt": ({"networkPolicy": {"ingressFrom": [{"podSelektor": {}}]}}, "property podSelektor is not allowed"),
    "a margin too small for what is flushed": ({"shutdown": {"marginSeconds": 1}}, "shutdown.marginSeconds"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_values_are_refused_and_named(name):
    values, told = REFUSED[name]
    with pytest.raises(Refused) as refused:
        render(values)
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value), "a secret is told"


def without_nothing(values):
    """As helm takes null: the default is gone."""
    return {key: without_nothing(value) if isinstance(value, dict) else value for key, value in values.items() if value is not None}


def test_another_validator_says_the_same():
    """Each release line of Helm has its own."""
    jsonschema.Draft7Validator.check_schema(schema())
    validator = jsonschema.Draft7Validator(schema())
    for name, values in SETS.items():
        assert validator.is_valid(without_nothing(merged(defaults(), values))), name
    by_template = {"fewer pods at most than at least", "percent of nothing"}
    for name, (values, _) in REFUSED.items():
        assert validator.is_valid(without_nothing(merged(defaults(), values))) == (name in by_template), name


def objects(part, path=""):
    """Every part of the schema that describes an object."""
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield path, part
        for name, member in part.items():
            if name not in ("if", "then", "else", "not", "enum"):
                yield from objects(member, f"{path}.{name}")
    elif isinstance(part, list):
        for number, member in enumerate(part):
            yield from objects(member, f"{path}.{number}")


def test_no_object_of_our_own_takes_a_key_that_is_not_known():
    loose = {path for path, part in objects(schema()) if "additionalProperties" not in part}
    # What Kubernetes defines and the cluster checks, a level below fields that are listed here; and what Helm gives to every chart.
    below = (".properties.global", ".definitions.container.", ".definitions.volume.", ".properties.extraEnv.items.properties.valueFrom.",
             ".properties.affinity.properties.", ".properties.autoscaling.properties.metrics.", ".properties.httpRoute.properties.")
    assert not [path for path in loose if not path.startswith(below)]


def test_an_older_kubernetes_is_refused():
    with pytest.raises(Refused, match="incompatible with Kubernetes v1.29.0"):
        render(version="1.29")


@pytest.mark.parametrize("name", SETS)
def test_what_refers_to_each_other_is_there(name):
    manifests = render(SETS[name])
    deployment = find(manifests, "Deployment")
    spec = dig(deployment, "spec.template.spec")
    labels = dig(deployment, "spec.template.metadata.labels")
    container = spec["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for kind, place in [("Service", "spec.selector"), ("NetworkPolicy", "spec.podSelector.matchLabels"),
                        ("PodDisruptionBudget", "spec.selector.matchLabels"), ("Deployment", "spec.selector.matchLabels")]:
        for one in manifests:
            if one["kind"] == kind:
                assert dig(one, place).items() <= labels.items(), kind
    assert ports[dig(find(manifests, "Service"), "spec.ports[0].targetPort")]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert ports[container[probe]["httpGet"]["port"]]
    for other in ("Job", "Pod"):
        for one in manifests:
            if one["kind"] == other:
                own = dig(one, "spec.template.metadata.labels") or one["metadata"]["labels"]
                assert not dig(find(manifests, "Service"), "spec.selector").items() <= own.items(), "traffic would reach it"
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    made = {(one["kind"], one["metadata"]["name"]): one for one in manifests}
    for variable in container["env"]:
        reference = dig(variable, "valueFrom.secretKeyRef")
        if reference and reference["name"].startswith("llm-proxy"):
            secret = made["Secret", reference["name"]]
            assert reference["key"] in secret["data"], variable["name"]
    if spec["serviceAccountName"] not in ("default", "mine"):
        assert ("ServiceAccount", spec["serviceAccountName"]) in made


@pytest.mark.parametrize("name", SETS)
def test_a_pod_has_longer_to_end_than_its_streams(name):
    manifests = render(SETS[name])
    config = find(manifests, "ConfigMap", "")["data"]
    spec = dig(find(manifests, "Deployment"), "spec.template.spec")
    before = dig(spec, "containers[0].lifecycle.preStop.sleep.seconds") or 0
    needed = before + float(config["SHUTDOWN_DELAY_SECS"]) + float(config["SHUTDOWN_DRAIN_SECS"])
    # What waits for the database, counts and traces is given up 5 s after the end each.
    assert spec["terminationGracePeriodSeconds"] >= needed + 10


def test_an_update_takes_no_pod_away_first():
    strategy = dig(find(render(POSTGRESQL), "Deployment"), "spec.strategy")
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert dig(find(render(), "Deployment"), "spec.strategy") == {"type": "Recreate"}


def test_the_memory_of_a_pod_is_enough_for_the_requests_that_it_admits():
    """By the figures of docs/operations.md, with requests of 100 kB."""
    assert "27 MB + streams x\n  (0.08 MB + 3 x request)" in (ROOT / "docs/operations.md").read_text()
    streams = int(find(render(), "ConfigMap", "")["data"]["MAX_CONCURRENT_REQUESTS"])
    assert defaults()["resources"]["limits"]["memory"] == "1Gi"
    assert 27e6 + streams * (0.08e6 + 3 * 100e3) < 2**30


def test_nodes_can_be_drained():
    """A budget never keeps the last pod where it is."""
    for values in SETS.values():
        for one in render(values):
            if one["kind"] == "PodDisruptionBudget":
                assert one["spec"]["maxUnavailable"] == 1 and one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for single in ({}, merged(POSTGRESQL, {"replicaCount": 1})):
        assert "PodDisruptionBudget" not in {one["kind"] for one in render(single)}


def test_what_is_let_out_by_default_has_neither_metrics_nor_admin_page():
    route = {"enabled": True, "parentRefs": [{"name": "g"}]}
    manifests = render({"ingress": {"enabled": True}, "httpRoute": route})
    out = [path["path"] for path in dig(find(manifests, "Ingress"), "spec.rules[0].http.paths")]
    assert out == ["/v1", "/v2"]
    assert [match["path"]["value"] for match in dig(find(manifests, "HTTPRoute"), "spec.rules[0].matches")] == out


def test_pods_restart_when_their_configuration_or_a_secret_changes_and_else_not():
    def template(values):
        return dig(find(render(values), "Deployment"), "spec.template")

    assert template({}) == template({}), "generated keys must not restart pods"
    assert template({}) == template({"service": {"port": 81}, "ingress": {"enabled": True}})
    assert template({}) != template({"settings": {"MAX_ATTEMPTS": 4}})
    assert template({"adminKey": {"value": "a"}}) != template({"adminKey": {"value": "b"}})
    assert template({}) != template({"shutdown": {"drainSeconds": 61}})


def test_generated_keys_are_new_each_time_and_of_the_right_form():
    def secret():
        return find(render(), "Secret", "-generated")

    first, second = secret(), secret()
    assert first["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert set(first["data"]) == {"admin-key", "encryption-key"}
    for key in first["data"]:
        assert first["data"][key] != second["data"][key]
    # The variable has base64 of 32 bytes, and the Secret base64 of that.
    assert len(b64decode(b64decode(first["data"]["encryption-key"]))) == 32
    assert b64decode(first["data"]["admin-key"]).isalnum()


def test_the_settings_of_the_schema_are_those_of_the_readme():
    """Those that other values decide are not among them."""
    elsewhere = {
        "ADMIN_KEY", "DB_URL", "DATA_DIR", "DB_SSL_ROOT_CERT", "ENCRYPTION_KEY", "ENCRYPTION_KEY_OLD", "SNAPSHOT_PATH",
        "REDIS_URL", "HOST", "PORT", "LANGFUSE_ENABLED", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY",
        "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "SHUTDOWN_DELAY_SECS", "SHUTDOWN_DRAIN_SECS",
        # Each pod has its own, from its name.
        "REPLICA_ID",
    }
    known = set(schema()["properties"]["settings"]["properties"])
    source = "".join(path.read_text().split("#[cfg(test)]")[0] for path in (ROOT / "src/settings").glob("*.rs"))
    read = {name for name in re.findall(r'"([A-Z][A-Z0-9]*_[A-Z0-9_]+|HOST|PORT|WORKERS)"', source)}
    assert known | elsewhere == read
    assert not known & elsewhere


def test_the_dashboard_and_the_alerts_are_those_of_the_project():
    manifests = render(SETS["watched by Prometheus and Grafana"])
    board = find(manifests, "ConfigMap", "-dashboard")["data"]["llm-proxy.json"]
    assert board == (ROOT / "grafana/llm-proxy.json").read_text()
    assert len(board) < 1_000_000, "too large for a ConfigMap"
    text = (ROOT / "prometheus/rules.yml").read_text() + (ROOT / "prometheus/alerts.yml").read_text()
    groups = [
        group for name in ("rules", "alerts") for group in yaml.safe_load((ROOT / f"prometheus/{name}.yml").read_text())["groups"]
    ]
    for group in groups:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert") != "LlmProxySpendHigh"]
    expected = json.loads(json.dumps(groups).replace('job=\\"llm-proxy\\"', 'job=\\"team-a\\"'))
    assert 'job="llm-proxy"' in text
    rendered = find(manifests, "PrometheusRule")["spec"]["groups"]
    assert [group["rules"] for group in rendered] == [group["rules"] for group in expected]
