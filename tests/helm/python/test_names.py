"""Names, labels and texts of every kind: what Kubernetes would refuse, and what a template would change on the way."""

import re
from base64 import b64decode

import pytest
import yaml

from chart import CHART, NEWEST, POSTGRESQL, at_path, dig, find, helm, merged, render
from test_chart import SETS

SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
FULL = merged(SETS["more of everything"], SETS["watched by Prometheus and Grafana"], SETS["Ingress with TLS"], SETS["Gateway API"],
              {"migration": {"mode": "job"}, "database": {"rootCert": {"value": "-----BEGIN CERTIFICATE-----\n"}}})
LONG = "a-release-whose-name-is-as-long-as-helm-lets-it-become"[:53]


def labels_of(value):
    """Every map of labels in a manifest, those of pods and selectors too."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name in ("labels", "matchLabels") and isinstance(member, dict):
                yield member
            yield from labels_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from labels_of(member)


ODD = {
    "dots": ("team.llm.v2", {}), "a number": ("2024", {}), "a number with an exponent": ("1e6", {}), "a boolean": ("true", {}),
    "as long as can be": (LONG, {}), "long and dotted": ("a." + LONG[:51], {}), "one letter": ("x", {}),
    "a long override": ("r", {"fullnameOverride": "f" * 70}), "an override that ends in dashes where it is cut": ("r", {"fullnameOverride": "f" * 30 + "-" * 20 + "x"}),
    "a long name": ("r", {"nameOverride": "n" * 62 + "--.x"}), "a name with dots": ("r", {"nameOverride": "n.m"}),
    "an override that is a word of YAML": ("r", {"fullnameOverride": "null", "nameOverride": "yes"}),
}


@pytest.mark.parametrize("name", ODD)
def test_kubernetes_takes_the_names_of_any_release(name):
    release, values = ODD[name]
    for manifest in render(merged(FULL, values), release=release, namespace="1e6"):
        own = manifest["metadata"]["name"]
        rule = SERVICE if manifest["kind"] == "Service" else SUBDOMAIN
        assert isinstance(own, str) and rule.fullmatch(own) and len(own) <= 63, f"{manifest['kind']} {own}"
        assert manifest["metadata"]["namespace"] in ("1e6", "grafana")
        for labels in labels_of(manifest):
            assert all(isinstance(value, str) and LABEL.fullmatch(value) for value in labels.values()), labels
    pod = dig(find([one for one in render(merged(FULL, values), release=release) if one["kind"] == "Deployment"], "Deployment"), "spec.template.spec")
    assert pod["containers"][0]["envFrom"][0]["configMapRef"]["name"] in {
        one["metadata"]["name"] for one in render(merged(FULL, values), release=release) if one["kind"] == "ConfigMap"}


def test_two_releases_never_get_one_name():
    releases = [LONG[:52] + "a", LONG[:52] + "b", "a.b-llm-proxy", "a-b-llm-proxy", "a-b.llm-proxy", "llm-proxy", "llm-proxy2", "2", "llm-2"]
    own = merged(FULL, {"serviceAccount": {"name": ""}})
    names = [(one["kind"], one["metadata"]["name"]) for release in releases for one in render(own, release=release)
             if one["metadata"]["namespace"] != "grafana"]
    assert len(names) == len(set(names))
    selectors = [str(dig(one, "spec.selector")) for release in releases for one in render(FULL, release=release) if one["kind"] == "Service"]
    assert len(selectors) == len(set(selectors)), "one would get the other's traffic"


def test_an_own_label_wins_over_a_common_one_and_none_is_there_twice():
    values = merged(FULL, {"commonLabels": {"team": "a", "release": "x"}, "podLabels": {"team": "b"}, "podAnnotations": {"checksum/config": "mine"},
                           "metrics": {"serviceMonitor": {"labels": {"release": "prometheus"}}}})
    manifests = render(values)
    for kind, place in [("Deployment", "spec.template.metadata"), ("Job", "spec.template.metadata")]:
        [one] = [one for one in manifests if one["kind"] == kind]
        assert dig(one, place)["labels"]["team"] == "b" and one["metadata"]["labels"]["team"] == "a"
    assert find(manifests, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"
    assert len(dig(find(manifests, "Deployment"), "spec.template.metadata.annotations")["checksum/config"]) == 64
    kept = render({"persistence": {"annotations": {"helm.sh/resource-policy": "mine", "a": "b"}}})
    assert find(kept, "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "a": "b"}


TEXTS = ["true", "1e6", "0x10", "null", "~", "$(ADMIN_KEY) $HOME `id`", 'a "quoted" \'text\'', "back\\slash\\n", "{{ .Release.Name }}",
         "first\nsecond\n", "- a: b # c", " spaces ", "ä ☃ 😀", "%s%%", "&<>"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_reaches_the_container_as_it_was_given(text):
    values = merged(POSTGRESQL, {
        "settings": {"OTEL_RESOURCE_ATTRIBUTES": text}, "otel": {"headers": {"value": text}}, "extraEnv": [{"name": "A", "value": text}],
        "langfuse": {"enabled": True, "publicKey": {"value": text}, "secretKey": {"value": text}}, "podAnnotations": {"a": text},
        "service": {"annotations": {"a": text}}, "ingress": {"enabled": True, "annotations": {"a": text}}})
    manifests = render(values)
    assert find(manifests, "ConfigMap")["data"]["OTEL_RESOURCE_ATTRIBUTES"] == text
    secret = {key: b64decode(value).decode() for key, value in find(manifests, "Secret", "")["data"].items()}
    assert secret["otel-headers"] == secret["langfuse-public-key"] == secret["langfuse-secret-key"] == text
    deployment = find(manifests, "Deployment")
    assert {"name": "A", "value": text} in dig(deployment, "spec.template.spec.containers[0].env")
    assert dig(deployment, "spec.template.metadata.annotations.a") == text
    assert find(manifests, "Service")["metadata"]["annotations"]["a"] == find(manifests, "Ingress")["metadata"]["annotations"]["a"] == text


def test_numbers_reach_the_container_as_people_write_them():
    written = yaml.safe_load("{MAX_BODY_BYTES: 33554432, MAX_CONCURRENT_REQUESTS: 1.0e+6, CONFIG_POLL_SECS: 0.5, ALLOW_ANONYMOUS: yes, LOG_RETENTION_DAYS: 0}")
    data = find(render({"settings": written}), "ConfigMap")["data"]
    assert {name: data[name] for name in written} == {
        "MAX_BODY_BYTES": "33554432", "MAX_CONCURRENT_REQUESTS": "1000000", "CONFIG_POLL_SECS": "0.5", "ALLOW_ANONYMOUS": "true", "LOG_RETENTION_DAYS": "0"}


def test_five_hundred_more_variables_are_no_problem():
    many = [{"name": f"V{number}", "value": "x" * 200} for number in range(500)]
    assert dig(find(render({"extraEnv": many}), "Deployment"), "spec.template.spec.containers[0].env")[-500:] == many


def text_of(values):
    return helm("template", "llm-proxy", str(CHART), "--kube-version", f"{NEWEST}.0", "-f", "-", stdin=yaml.safe_dump(values))


def test_what_is_rendered_twice_is_the_same_but_for_generated_keys():
    given = merged(FULL, {"adminKey": {"value": "a"}, "encryptionKey": {"existingSecret": "e"}})
    assert text_of(given) == text_of(given)
    lines = zip(text_of({}).splitlines(), text_of({}).splitlines(), strict=True)
    assert {one.split(":")[0].strip() for one, other in lines if one != other} == {"admin-key", "encryption-key"}


def test_keys_that_were_generated_cannot_be_replaced_by_mistake():
    """Who applies what `helm template` prints would else lose every provider key."""
    for values in ({}, {"adminKey": {"value": "a"}}, {"encryptionKey": {"existingSecret": "e"}}):
        secret = find(render(values), "Secret", "-generated")
        assert secret["immutable"] is True
        # It can get no further key.
        assert set(secret["data"]) == {"admin-key", "encryption-key"}


def test_no_secret_is_given_in_a_way_that_outlives_its_removal():
    for values in SETS.values():
        for manifest in render(values):
            assert "stringData" not in manifest, "a key that is taken out of stringData stays in data"


def test_the_job_and_the_pods_have_the_same_sidecars():
    proxy = {"name": "proxy", "image": "i:1", "restartPolicy": "Always", "volumeMounts": [{"name": "data", "mountPath": "/d"}, {"name": "tmp", "mountPath": "/t"}]}
    manifests = render(merged(POSTGRESQL, {"migration": {"mode": "job"}, "initContainers": [proxy]}))
    for kind in ("Deployment", "Job"):
        [one] = [one for one in manifests if one["kind"] == kind]
        spec = dig(one, "spec.template.spec")
        assert spec["initContainers"] == [proxy]
        assert {"data", "tmp"} <= {volume["name"] for volume in spec["volumes"]}
