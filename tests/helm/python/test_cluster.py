"""The real helm installs, tests, upgrades and removes releases, on a small API server of our own."""

import json
import os
import re
import subprocess

import pytest

import chart
from chart import CHART, dig, find, render
from cluster import Cluster, Immutable
from sandbox import PostgreSQL, eventually, get
from test_chart import SETS


@pytest.fixture
def cluster():
    one = Cluster()
    yield one
    one.end()


def helm(cluster, *arguments):
    """Runs helm against the cluster; gives what it prints."""
    env = {"PATH": os.environ["PATH"], "HOME": str(cluster.folder), "HELM_KUBEAPISERVER": cluster.url, "KUBECONFIG": "/nonexistent"}
    done = subprocess.run([chart.HELM, *arguments, "--namespace", "default"], env=env, text=True, capture_output=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ready(cluster):
    def said():
        return "".join(pod.container.text() for _, pod in cluster.pods.values())

    try:
        eventually(lambda: get("/health/ready")[0] == 200, "the pod is ready")
    except AssertionError as error:
        raise AssertionError(f"{cluster.pods} {said()}") from error


def secret(cluster, name, key):
    from base64 import b64decode

    return b64decode(cluster.objects["secrets", "default", name]["data"][key]).decode()


def test_a_release_is_installed_tested_upgraded_and_removed(cluster):
    notes = helm(cluster, "install", "llm-proxy", str(CHART))
    commands = re.findall(r"^   (\S.*)$", notes, re.M)
    assert [command.split()[0] for command in commands] == ["kubectl", "export", "helm"]
    assert "get secret llm-proxy-generated -o jsonpath='{.data.admin-key}'" in commands[1]
    ready(cluster)
    key = secret(cluster, "llm-proxy-generated", "admin-key")
    told = helm(cluster, "test", "llm-proxy", "--logs")
    assert "Phase:          Succeeded" in told and "through-the-service" in told, told
    first = cluster.pods["llm-proxy"][1]

    helm(cluster, "upgrade", "llm-proxy", str(CHART), "--set", "settings.MAX_ATTEMPTS=4")
    eventually(lambda: cluster.pods["llm-proxy"][1] is not first, "another pod")
    ready(cluster)
    assert secret(cluster, "llm-proxy-generated", "admin-key") == key, "the generated key changed"
    headers = {"Authorization": f"Bearer {key}"}
    assert "helm-test" in get("/admin/v1/config/changes", headers=headers)[1], "the volume was lost"

    helm(cluster, "uninstall", "llm-proxy")
    left = {name[0] for name in cluster.objects if name[0] != "pods"}
    assert left == {"secrets", "persistentvolumeclaims"}, "what cannot be had again stays, all else goes"
    helm(cluster, "install", "llm-proxy", str(CHART))
    ready(cluster)
    assert secret(cluster, "llm-proxy-generated", "admin-key") == key


def test_an_upgrade_whose_migration_fails_leaves_the_release_alone(cluster, module_path):
    server = PostgreSQL(module_path / "postgres")
    try:
        values = ["--set", f"database.type=postgresql,migration.mode=job,migration.backoffLimit=0,database.url.value={server.url}"]
        helm(cluster, "install", "llm-proxy", str(CHART), *values)
        ready(cluster)
        assert ("jobs", "default", "llm-proxy-migrate") not in cluster.objects, "the hook was removed"
        running = cluster.pods["llm-proxy"]
        with pytest.raises(AssertionError, match="pre-upgrade hooks failed"):
            helm(cluster, "upgrade", "llm-proxy", str(CHART), *values, "--set", "database.url.value=postgres://nobody@127.0.0.1:1/none")
        assert cluster.pods["llm-proxy"] is running and get("/health/ready")[0] == 200
        helm(cluster, "uninstall", "llm-proxy")
        left = {name[2] for name in cluster.objects if name[0] in ("secrets", "configmaps")}
        assert left == {"llm-proxy-generated"}, "the URL of the database is left behind"
    finally:
        for _, pod in cluster.pods.values():
            pod.container.end(5)
        cluster.pods.clear()
        server.end()


@pytest.mark.parametrize("name", ["nothing set", "PostgreSQL, every secret from elsewhere", "every secret as a value"])
def test_the_notes_name_the_secret_that_the_pod_uses(name, cluster, tmp_path):
    # Nothing is run here.
    cluster.replace = lambda one: None
    (tmp_path / "values.json").write_text(json.dumps(SETS[name]))
    notes = helm(cluster, "install", "llm-proxy", str(CHART), "-f", str(tmp_path / "values.json"))
    reference = dig(find(render(SETS[name]), "Deployment"), "spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef")
    assert f"get secret {reference['name']} -o jsonpath='{{.data.{reference['key']}}}'" in notes


@pytest.fixture
def still(cluster):
    """A cluster where nothing is run."""
    cluster.replace = lambda one: None
    return cluster


def deployment(cluster):
    return cluster.objects["deployments", "default", "llm-proxy"]


POSTGRESQL = ["--set", "database.type=postgresql,database.url.value=postgres://a@b/c"]


def test_autoscaling_that_begins_takes_no_pod_away(still):
    helm(still, "install", "llm-proxy", str(CHART), *POSTGRESQL, "--set", "replicaCount=6")
    helm(still, "upgrade", "llm-proxy", str(CHART), *POSTGRESQL, "--set", "autoscaling.enabled=true")
    assert deployment(still)["spec"]["replicas"] == 6
    # What the autoscaler has chosen since stays, too.
    deployment(still)["spec"]["replicas"] = 9
    helm(still, "upgrade", "llm-proxy", str(CHART), *POSTGRESQL, "--set", "autoscaling.enabled=true")
    assert deployment(still)["spec"]["replicas"] == 9


def test_a_release_that_began_with_autoscaling_never_says_how_many_pods(still):
    """Else a rollback to before it did would leave one."""
    for _ in range(3):
        helm(still, "upgrade", "--install", "llm-proxy", str(CHART), *POSTGRESQL, "--set", "autoscaling.enabled=true")
        assert "replicas" not in still.released("Deployment", "llm-proxy")["spec"]
        deployment(still)["spec"]["replicas"] = 9
    assert "replicas" not in find(render(SETS["autoscaled"]), "Deployment")["spec"], "where nobody asks the cluster"


def test_pods_restart_when_a_secret_of_ones_own_has_changed(still):
    def upgraded(data):
        still.put(("secrets", "default", "mine"), {"kind": "Secret", "metadata": {"name": "mine"}, "data": data})
        helm(still, "upgrade", "--install", "llm-proxy", str(CHART), "--set", "adminKey.existingSecret=mine")
        return dig(deployment(still), "spec.template")

    first = upgraded({"admin-key": "YQ==", "other": "YQ=="})
    assert upgraded({"admin-key": "YQ==", "other": "Yg=="}) == first, "another key of the Secret is nobody's business"
    assert upgraded({"admin-key": "Yg==", "other": "Yg=="}) != first


def test_generated_keys_stay_whatever_else_is_given(still):
    helm(still, "install", "llm-proxy", str(CHART), "--set", "adminKey.value=mine")
    data = still.objects["secrets", "default", "llm-proxy-generated"]["data"]
    for more in ("adminKey.value=", "encryptionKey.value=" + "0f" * 32, "adminKey.value=mine", "image.tag=v2"):
        helm(still, "upgrade", "llm-proxy", str(CHART), "--set", more)
        assert still.objects["secrets", "default", "llm-proxy-generated"]["data"] == data
    # Another Helm that cannot see them would make new ones; the cluster does not take these.
    with pytest.raises(Immutable):
        still.put(("secrets", "default", "llm-proxy-generated"), find(render(), "Secret", "-generated"))
