"""Every value changes what it says it does."""

from base64 import b64encode

import jsonschema
import kubernetes_validate
import pytest
import yaml

from chart import CHART, NEWEST, POSTGRESQL, Refused, at_path, defaults, dig, find, merged, render, schema
from chart_readme import readme, rows
from test_chart import OWN, SETS

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
POD = "spec.template.spec."
MAIN = POD + "containers[0]."
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "0f" * 32
JOB = merged(POSTGRESQL, {"migration": {"mode": "job"}})
ON = {
    name: at_path(f"{name}.enabled", True)
    for name in ["ingress", "metrics.serviceMonitor", "metrics.prometheusRule", "metrics.dashboard"]
}
ROUTE = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]}}
SCALED = merged(POSTGRESQL, {"autoscaling": {"enabled": True}})
LANGFUSE = {"langfuse": {"enabled": True, "publicKey": {"value": "pk"}, "secretKey": {"value": "sk"}}}
RACK = {"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
EVERYTHING = merged(SETS["more of everything"], SETS["watched by Prometheus and Grafana"], SETS["Ingress with TLS"], SETS["Gateway API"],
                    {"autoscaling": {"enabled": True}, "migration": {"mode": "job"}})
GONE = object()


def b64(text):
    return b64encode(text.encode()).decode()


# Value, what it is set to, what else is set, where it shows (kind, end of the name, place), and as what.
CASES = [
    ("nameOverride", "other", {}, "Deployment", "-other", "spec.selector.matchLabels.app\\.kubernetes\\.io/name", "other"),
    ("fullnameOverride", "gate", {}, "Deployment", None, "metadata.name", "gate"),
    ("commonLabels", {"team": "a"}, {}, "Service", "", "metadata.labels.team", "a"),
    ("image.repository", "registry.local/x", {}, "Deployment", "", MAIN + "image", f"registry.local/x:{VERSION}"),
    ("image.tag", "9", {}, "Deployment", "", MAIN + "image", "ghcr.io/llm-proxy/llm-proxy:9"),
    ("image.digest", "sha256:" + "a" * 64, {}, "Deployment", "", MAIN + "image",
     f"ghcr.io/llm-proxy/llm-proxy:{VERSION}@sha256:" + "a" * 64),
    ("image.pullPolicy", "Always", {}, "Deployment", "", MAIN + "imagePullPolicy", "Always"),
    ("imagePullSecrets", [{"name": "r"}], {}, "Deployment", "", POD + "imagePullSecrets", [{"name": "r"}]),
    ("replicaCount", 5, POSTGRESQL, "Deployment", "", "spec.replicas", 5),
    ("database.type", "postgresql", at_path("database.url.value", "postgres://a@b/c"), "Deployment", "", "spec.replicas", 3),
    ("database.url.value", "postgres://a@b/c", at_path("database.type", "postgresql"), "Secret", "", "data.db-url",
     b64("postgres://a@b/c")),
    ("database.url.existingSecret", "mine", at_path("database.type", "postgresql"), "Deployment", "",
     MAIN + "env[2].valueFrom.secretKeyRef", {"name": "mine", "key": "db-url"}),
    ("database.url.existingSecretKey", "k", {"database": {"type": "postgresql", "url": {"existingSecret": "mine"}}},
     "Deployment", "", MAIN + "env[2].valueFrom.secretKeyRef.key", "k"),
    ("database.rootCert.value", PEM, POSTGRESQL, "ConfigMap", "-database-ca", "data.ca\\.crt", PEM),
    ("database.rootCert.existingConfigMap", "cas", POSTGRESQL, "Deployment", "", POD + "volumes[2].configMap.name", "cas"),
    ("database.rootCert.existingConfigMapKey", "k", merged(POSTGRESQL, at_path("database.rootCert.existingConfigMap", "c")),
     "Deployment", "", POD + "volumes[2].configMap.items[0].key", "k"),
    ("persistence.size", "1Gi", {}, "PersistentVolumeClaim", "", "spec.resources.requests.storage", "1Gi"),
    ("persistence.storageClass", "fast", {}, "PersistentVolumeClaim", "", "spec.storageClassName", "fast"),
    ("persistence.accessModes", ["ReadWriteOncePod"], {}, "PersistentVolumeClaim", "", "spec.accessModes", ["ReadWriteOncePod"]),
    ("persistence.existingClaim", "disk", {}, "Deployment", "", POD + "volumes[0].persistentVolumeClaim.claimName", "disk"),
    ("persistence.keep", False, {}, "PersistentVolumeClaim", "", "metadata.annotations", None),
    ("persistence.annotations", {"a": "b"}, {}, "PersistentVolumeClaim", "", "metadata.annotations.a", "b"),
    ("redis.url.value", "redis://r/0", {}, "Secret", "", "data.redis-url", b64("redis://r/0")),
    ("redis.url.existingSecret", "mine", {}, "Deployment", "", MAIN + "env[2]",
     {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "redis-url"}}}),
    ("redis.url.existingSecretKey", "k", at_path("redis.url.existingSecret", "mine"), "Deployment", "",
     MAIN + "env[2].valueFrom.secretKeyRef.key", "k"),
    ("generateKeys", False, at_path("adminKey.value", "a"), "Secret", "-generated", "", GONE),
    ("adminKey.value", "open", {}, "Secret", "", "data.admin-key", b64("open")),
    ("adminKey.existingSecret", "mine", {}, "Deployment", "", MAIN + "env[0].valueFrom.secretKeyRef",
     {"name": "mine", "key": "admin-key"}),
    ("adminKey.existingSecretKey", "k", at_path("adminKey.existingSecret", "mine"), "Deployment", "",
     MAIN + "env[0].valueFrom.secretKeyRef.key", "k"),
    ("encryptionKey.value", KEY, {}, "Secret", "", "data.encryption-key", b64(KEY)),
    ("encryptionKey.existingSecret", "mine", {}, "Deployment", "", MAIN + "env[1].valueFrom.secretKeyRef",
     {"name": "mine", "key": "encryption-key"}),
    ("encryptionKey.existingSecretKey", "k", at_path("encryptionKey.existingSecret", "mine"), "Deployment", "",
     MAIN + "env[1].valueFrom.secretKeyRef.key", "k"),
    ("encryptionKeyOld.value", f"{KEY},{KEY}", {}, "Secret", "", "data.encryption-key-old", b64(f"{KEY},{KEY}")),
    ("encryptionKeyOld.existingSecret", "mine", {}, "Deployment", "", MAIN + "env[2].name", "ENCRYPTION_KEY_OLD"),
    ("encryptionKeyOld.existingSecretKey", "k", at_path("encryptionKeyOld.existingSecret", "mine"), "Deployment", "",
     MAIN + "env[2].valueFrom.secretKeyRef.key", "k"),
    ("langfuse.enabled", True, merged(LANGFUSE), "ConfigMap", "", "data.LANGFUSE_ENABLED", "true"),
    ("langfuse.publicKey.value", "pk-1", LANGFUSE, "Secret", "", "data.langfuse-public-key", b64("pk-1")),
    ("langfuse.publicKey.existingSecret", "mine", merged(LANGFUSE, at_path("langfuse.publicKey.value", "")), "Deployment", "",
     MAIN + "env[2].valueFrom.secretKeyRef", {"name": "mine", "key": "langfuse-public-key"}),
    ("langfuse.publicKey.existingSecretKey", "k",
     merged(LANGFUSE, {"langfuse": {"publicKey": {"value": "", "existingSecret": "mine"}}}), "Deployment", "",
     MAIN + "env[2].valueFrom.secretKeyRef.key", "k"),
    ("langfuse.secretKey.value", "sk-1", LANGFUSE, "Secret", "", "data.langfuse-secret-key", b64("sk-1")),
    ("langfuse.secretKey.existingSecret", "mine", merged(LANGFUSE, at_path("langfuse.secretKey.value", "")), "Deployment", "",
     MAIN + "env[3].valueFrom.secretKeyRef", {"name": "mine", "key": "langfuse-secret-key"}),
    ("langfuse.secretKey.existingSecretKey", "k",
     merged(LANGFUSE, {"langfuse": {"secretKey": {"value": "", "existingSecret": "mine"}}}), "Deployment", "",
     MAIN + "env[3].valueFrom.secretKeyRef.key", "k"),
    ("otel.endpoint", "http://c:4318", {}, "ConfigMap", "", "data.OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
    ("otel.headers.value", "a=b", {}, "Secret", "", "data.otel-headers", b64("a=b")),
    ("otel.headers.existingSecret", "mine", {}, "Deployment", "", MAIN + "env[2].name", "OTEL_EXPORTER_OTLP_HEADERS"),
    ("otel.headers.existingSecretKey", "k", at_path("otel.headers.existingSecret", "mine"), "Deployment", "",
     MAIN + "env[2].valueFrom.secretKeyRef.key", "k"),
    ("settings", {"MAX_BODY_BYTES": 33554432}, {}, "ConfigMap", "", "data.MAX_BODY_BYTES", "33554432"),
    ("settings.MAX_CONCURRENT_REQUESTS", 7, {}, "ConfigMap", "", "data.MAX_CONCURRENT_REQUESTS", "7"),
    ("settings.LOG_FORMAT", "text", {}, "ConfigMap", "", "data.LOG_FORMAT", "text"),
    ("extraEnv", [{"name": "A", "value": "1"}], {}, "Deployment", "", MAIN + "env[2]", {"name": "A", "value": "1"}),
    ("extraEnvFrom", [{"secretRef": {"name": "s"}}], {}, "Deployment", "", MAIN + "envFrom[1].secretRef.name", "s"),
    ("extraVolumes", [{"name": "v", "emptyDir": {}}], {}, "Deployment", "", POD + "volumes[2].name", "v"),
    ("extraVolumeMounts", [{"name": "tmp", "mountPath": "/v"}], {}, "Deployment", "", MAIN + "volumeMounts[2].mountPath", "/v"),
    ("extraContainers", [{"name": "c", "image": "i"}], {}, "Deployment", "", POD + "containers[1].name", "c"),
    ("initContainers", [{"name": "c", "image": "i"}], {}, "Deployment", "", POD + "initContainers[0].name", "c"),
    ("migration.mode", "job", POSTGRESQL, "Job", "-migrate", MAIN + "args", ["migrate"]),
    ("migration.timeoutSeconds", 5, JOB, "Job", "-migrate", "spec.activeDeadlineSeconds", 5),
    ("migration.backoffLimit", 5, JOB, "Job", "-migrate", "spec.backoffLimit", 5),
    ("migration.resources", {"limits": {"memory": "1Gi"}}, JOB, "Job", "-migrate", MAIN + "resources.limits.memory", "1Gi"),
    ("shutdown.preStopSeconds", 9, {}, "Deployment", "", MAIN + "lifecycle.preStop.sleep.seconds", 9),
    ("shutdown.delaySeconds", 1.5, {}, "ConfigMap", "", "data.SHUTDOWN_DELAY_SECS", "1.5"),
    ("shutdown.drainSeconds", 600, {}, "Deployment", "", POD + "terminationGracePeriodSeconds", 623),
    ("shutdown.marginSeconds", 30, {}, "Deployment", "", POD + "terminationGracePeriodSeconds", 98),
    ("updateStrategy.maxSurge", "50%", POSTGRESQL, "Deployment", "", "spec.strategy.rollingUpdate.maxSurge", "50%"),
    ("updateStrategy.maxUnavailable", 1, POSTGRESQL, "Deployment", "", "spec.strategy.rollingUpdate.maxUnavailable", 1),
    ("minReadySeconds", 1, {}, "Deployment", "", "spec.minReadySeconds", 1),
    ("revisionHistoryLimit", 1, {}, "Deployment", "", "spec.revisionHistoryLimit", 1),
    ("resources", {"limits": {"memory": "2Gi"}}, {}, "Deployment", "", MAIN + "resources.limits.memory", "2Gi"),
    *[(f"probes.{probe}.{name}", 7, {}, "Deployment", "", f"{MAIN}{probe}Probe.{name}", 7)
      for probe in ["startup", "liveness", "readiness"] for name in ["periodSeconds", "failureThreshold", "timeoutSeconds"]],
    ("listenAddress", "::", {}, "ConfigMap", "", "data.HOST", "::"),
    ("containerPort", 8080, {}, "Deployment", "", MAIN + "ports[0].containerPort", 8080),
    ("podLabels", {"a": "b"}, {}, "Deployment", "", "spec.template.metadata.labels.a", "b"),
    ("podAnnotations", {"a": "b"}, {}, "Deployment", "", "spec.template.metadata.annotations.a", "b"),
    ("podSecurityContext", {"fsGroup": 1}, {}, "Deployment", "", POD + "securityContext.fsGroup", 1),
    ("securityContext", {"privileged": False}, {}, "Deployment", "", MAIN + "securityContext.privileged", False),
    ("priorityClassName", "high", {}, "Deployment", "", POD + "priorityClassName", "high"),
    ("nodeSelector", {"a": "b"}, {}, "Deployment", "", POD + "nodeSelector", {"a": "b"}),
    ("tolerations", [{"key": "a"}], {}, "Deployment", "", POD + "tolerations", [{"key": "a"}]),
    ("affinity", {"nodeAffinity": {}}, {}, "Deployment", "", POD + "affinity", {"nodeAffinity": {}}),
    ("topologySpread.enabled", False, {}, "Deployment", "", POD + "topologySpreadConstraints", None),
    ("topologySpread.whenUnsatisfiable", "DoNotSchedule", {}, "Deployment", "",
     POD + "topologySpreadConstraints[0].whenUnsatisfiable", "DoNotSchedule"),
    ("topologySpreadConstraints", [RACK], {}, "Deployment", "", POD + "topologySpreadConstraints", [RACK]),
    ("autoscaling.enabled", True, POSTGRESQL, "HorizontalPodAutoscaler", "", "spec.scaleTargetRef.name", "llm-proxy"),
    ("autoscaling.minReplicas", 4, SCALED, "HorizontalPodAutoscaler", "", "spec.minReplicas", 4),
    ("autoscaling.maxReplicas", 40, SCALED, "HorizontalPodAutoscaler", "", "spec.maxReplicas", 40),
    ("autoscaling.targetCPU", 50, SCALED, "HorizontalPodAutoscaler", "",
     "spec.metrics[0].containerResource.target.averageUtilization", 50),
    ("autoscaling.targetMemory", 50, SCALED, "HorizontalPodAutoscaler", "",
     "spec.metrics[1].containerResource.target.averageUtilization", 50),
    ("autoscaling.metrics", [{"type": "Pods"}], SCALED, "HorizontalPodAutoscaler", "", "spec.metrics[2].type", "Pods"),
    ("autoscaling.behavior", {"scaleUp": {"stabilizationWindowSeconds": 1}}, SCALED, "HorizontalPodAutoscaler", "",
     "spec.behavior.scaleUp.stabilizationWindowSeconds", 1),
    ("podDisruptionBudget.enabled", False, POSTGRESQL, "PodDisruptionBudget", "", "", GONE),
    ("podDisruptionBudget.maxUnavailable", "25%", POSTGRESQL, "PodDisruptionBudget", "", "spec.maxUnavailable", "25%"),
    ("serviceAccount.create", False, {}, "Deployment", "", POD + "serviceAccountName", "default"),
    ("serviceAccount.name", "sa", {}, "ServiceAccount", None, "metadata.name", "sa"),
    ("serviceAccount.annotations", {"a": "b"}, {}, "ServiceAccount", "", "metadata.annotations.a", "b"),
    ("service.type", "LoadBalancer", {}, "Service", "", "spec.type", "LoadBalancer"),
    ("service.port", 8080, {}, "Service", "", "spec.ports[0].port", 8080),
    ("service.nodePort", 30080, at_path("service.type", "NodePort"), "Service", "", "spec.ports[0].nodePort", 30080),
    ("service.annotations", {"a": "b"}, {}, "Service", "", "metadata.annotations.a", "b"),
    ("ingress.enabled", True, {}, "Ingress", "", "spec.rules[0].http.paths[0].backend.service",
     {"name": "llm-proxy", "port": {"name": "http"}}),
    ("ingress.className", "nginx", ON["ingress"], "Ingress", "", "spec.ingressClassName", "nginx"),
    ("ingress.annotations", {"a": "b"}, ON["ingress"], "Ingress", "", "metadata.annotations.a", "b"),
    ("ingress.hosts", [{"host": "h", "paths": [{"path": "/a", "pathType": "Exact"}]}], ON["ingress"], "Ingress", "",
     "spec.rules[0].http.paths[0].path", "/a"),
    ("ingress.tls", [{"secretName": "t"}], ON["ingress"], "Ingress", "", "spec.tls[0].secretName", "t"),
    ("httpRoute.enabled", True, ROUTE, "HTTPRoute", "", "spec.rules[0].backendRefs", [{"name": "llm-proxy", "port": 80}]),
    ("httpRoute.annotations", {"a": "b"}, ROUTE, "HTTPRoute", "", "metadata.annotations.a", "b"),
    ("httpRoute.parentRefs", [{"name": "g"}], ROUTE, "HTTPRoute", "", "spec.parentRefs[0].name", "g"),
    ("httpRoute.hostnames", ["h"], ROUTE, "HTTPRoute", "", "spec.hostnames", ["h"]),
    ("httpRoute.matches", [{"method": "POST"}], ROUTE, "HTTPRoute", "", "spec.rules[0].matches", [{"method": "POST"}]),
    ("httpRoute.filters", [{"type": "CORS"}], ROUTE, "HTTPRoute", "", "spec.rules[0].filters", [{"type": "CORS"}]),
    ("httpRoute.timeouts", {"request": "9s"}, ROUTE, "HTTPRoute", "", "spec.rules[0].timeouts.request", "9s"),
    ("networkPolicy.enabled", False, {}, "NetworkPolicy", "", "", GONE),
    ("networkPolicy.ingressFrom", [{"podSelector": {}}], {}, "NetworkPolicy", "", "spec.ingress[0].from[0]", {"podSelector": {}}),
    ("networkPolicy.egress", [{"ports": [{"port": 443}]}], {}, "NetworkPolicy", "", "spec.egress[1]", {"ports": [{"port": 443}]}),
    ("metrics.job", "team", ON["metrics.serviceMonitor"], "ServiceMonitor", "", "spec.endpoints[0].relabelings[1].replacement",
     "team"),
    ("metrics.serviceMonitor.enabled", True, {}, "ServiceMonitor", "", "spec.endpoints[0].port", "http"),
    ("metrics.serviceMonitor.labels", {"a": "b"}, ON["metrics.serviceMonitor"], "ServiceMonitor", "", "metadata.labels.a", "b"),
    ("metrics.serviceMonitor.interval", "1m", ON["metrics.serviceMonitor"], "ServiceMonitor", "", "spec.endpoints[0].interval", "1m"),
    ("metrics.serviceMonitor.scrapeTimeout", "9s", ON["metrics.serviceMonitor"], "ServiceMonitor", "",
     "spec.endpoints[0].scrapeTimeout", "9s"),
    ("metrics.serviceMonitor.metricRelabelings", [{"action": "drop"}], ON["metrics.serviceMonitor"], "ServiceMonitor", "",
     "spec.endpoints[0].metricRelabelings", [{"action": "drop"}]),
    ("metrics.prometheusRule.enabled", True, {}, "PrometheusRule", "", "spec.groups[1].name", "llm-proxy-alerts"),
    ("metrics.prometheusRule.labels", {"a": "b"}, ON["metrics.prometheusRule"], "PrometheusRule", "", "metadata.labels.a", "b"),
    ("metrics.prometheusRule.disabledAlerts", ["LlmProxyTargetDown"], ON["metrics.prometheusRule"], "PrometheusRule", "",
     "spec.groups[1].rules[0].alert", "LlmProxyAbsent"),
    ("metrics.dashboard.enabled", True, {}, "ConfigMap", "-dashboard", "metadata.labels.grafana_dashboard", "1"),
    ("metrics.dashboard.namespace", "grafana", ON["metrics.dashboard"], "ConfigMap", "-dashboard", "metadata.namespace", "grafana"),
    ("metrics.dashboard.labels", {"a": "b"}, ON["metrics.dashboard"], "ConfigMap", "-dashboard", "metadata.labels.a", "b"),
    ("metrics.dashboard.annotations", {"a": "b"}, ON["metrics.dashboard"], "ConfigMap", "-dashboard", "metadata.annotations.a", "b"),
    ("test.image", "curl:1", {}, "Pod", "-test", "spec.containers[0].image", "curl:1"),
    ("test.resources", {"limits": {"memory": "1Gi"}}, {}, "Pod", "-test", "spec.containers[0].resources.limits.memory", "1Gi"),
]


def without(values, path):
    """The values with the default at a path."""
    name, _, rest = path.partition(".")
    kept = {key: value for key, value in values.items() if key != name}
    return merged(kept, {name: without(values[name], rest)}) if rest and name in values else kept


def shown(values, kind, end, place):
    """What a manifest has at a place; whether there is no such manifest, where that is asked."""
    try:
        manifests = render(values)
    except Refused:
        return "refused"
    if place is GONE:
        return not any(one["kind"] == kind and one["metadata"]["name"] == "llm-proxy" + end for one in manifests)
    if not any(one["kind"] == kind for one in manifests):
        return "no such manifest"
    if end is None:
        return dig(next(one for one in manifests if one["kind"] == kind), place)
    try:
        return dig(find(manifests, kind, end), place)
    except AssertionError:
        return "no such manifest"


@pytest.mark.parametrize("value, to, others, kind, end, place, expected", CASES, ids=[case[0] for case in CASES])
def test_the_value_shows_in_the_manifest(value, to, others, kind, end, place, expected):
    if expected is GONE:
        place, expected = GONE, True
    assert shown(merged(others, at_path(value, to)), kind, end, place) == expected
    assert shown(without(others, value), kind, end, place) != expected, "it shows without the value, too"


def described():
    return [path for path, _, _ in rows((CHART / "values.yaml").read_text())]


def test_every_value_has_a_case():
    assert sorted(described()) == sorted(case[0] for case in CASES)


def test_every_value_is_described_and_in_the_schema():
    def leaves(value, path, part):
        if path and ".".join(path) in described() and not any(one.startswith(".".join(path) + ".") for one in described()):
            return
        assert isinstance(value, dict) and value, f"{'.'.join(path)} has no comment in values.yaml"
        assert part["additionalProperties"] is False
        unknown = set(part["properties"]) - set(value) - {"global"}
        assert path == ["settings"] or not unknown or path[:1] == ["probes"], f"{path}: only in the schema: {unknown}"
        for name, member in value.items():
            leaves(member, [*path, name], part["properties"][name])

    leaves(defaults(), [], schema())


def test_the_readme_of_the_chart_is_made_of_its_values():
    assert (CHART / "README.md").read_text() == readme(), "make chart-readme"


# Lists and maps that may as well not be there.
MAY_BE_NOTHING = {
    "commonLabels", "imagePullSecrets", "extraEnv", "extraEnvFrom", "extraVolumes", "extraVolumeMounts", "extraContainers", "initContainers",
    "podLabels", "podAnnotations", "podSecurityContext", "securityContext", "nodeSelector", "tolerations", "affinity",
    "topologySpreadConstraints", "resources", "settings", "annotations", "labels", "ingressFrom", "egress", "filters", "hostnames", "timeouts",
    "tls", "behavior", "metricRelabelings",
}


def paths(values, above=()):
    """Every value, and every group of them."""
    for name, value in values.items():
        yield ".".join((*above, name))
        if isinstance(value, dict) and name not in MAY_BE_NOTHING:
            yield from paths(value, (*above, name))


def may_be_nothing(path):
    return path.split(".")[-1] in MAY_BE_NOTHING or path == "autoscaling.metrics"


def test_a_value_that_is_null_is_refused_by_name():
    """So are values that a release of before does not know, with `--reuse-values`."""
    validator = jsonschema.Draft7Validator(schema())
    for path in paths(defaults()):
        if not may_be_nothing(path):
            told = [error.message for error in validator.iter_errors(without(defaults(), path))]
            assert f"{path.split('.')[-1]!r} is a required property" in told, path
    with pytest.raises(Refused, match="database.url: existingSecret is required"):
        render(at_path("database.url.existingSecret", None))
    with pytest.raises(Refused, match="listenAddress is required"):
        render(at_path("listenAddress", None))


@pytest.mark.parametrize("path", [path for path in paths(defaults()) if may_be_nothing(path)])
def test_a_list_or_map_that_is_null_is_as_if_it_was_empty(path):
    # What the autoscaler computes with is asked for by name.
    more = {"autoscaling": {"enabled": False}} if path == "resources" else {}
    others = {} if path.startswith("persistence") else EVERYTHING
    for manifest in render(merged(others, at_path(path, None), more)):
        if manifest["kind"] not in OWN:
            kubernetes_validate.validate(manifest, NEWEST, strict=True)
