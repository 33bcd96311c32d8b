"""Every procedure of docs/operations.md, as its commands are written, on a release with a provider and a client."""

import json
import os
import re
import shutil
import subprocess

import pytest

from chart import CHART, ROOT
from cluster import Cluster
from machine import blocks
from sandbox import BINARY, PostgreSQL, eventually, get

DOCUMENT = "docs/operations.md"


def commands(title, containing):
    """The block of a section with this text."""
    [found] = [block for block in blocks(title, DOCUMENT) if containing in block]
    return found


def test_no_block_is_left_out():
    """Those that are not named in this file are run by the README's tests."""
    titles = ["Backup", "Restore", "Upgrade and rollback", "Keys"]
    found = [block for title in titles for block in blocks(title, DOCUMENT)]
    assert len(found) == (ROOT / DOCUMENT).read_text().count("```sh\n") == 13


class Release:
    """A release that serves, with a provider and a client."""

    def __init__(self, machine, *values):
        self.machine = machine
        machine.cluster = Cluster()
        machine.env["HELM_KUBEAPISERVER"] = machine.cluster.url
        sets = "".join(f" --set {value}" for value in ("shutdown.delaySeconds=0", *values))
        machine.follow(f"helm install llm-proxy ./helm{sets}", "kubectl rollout status deployment/llm-proxy")
        self.admin = self.env()["ADMIN_KEY"]
        provider = {"provider_key": "mock", "provider_type": "openai", "api_base": "http://127.0.0.1:18009/v1", "api_key": "sk-m", "model_mapping": {"mock": "mock"}}
        self.call("providers", provider)
        self.client = json.loads(self.call("credentials", {"name": "app"}))["key"]
        assert self.ask() == 200

    def env(self):
        pod = self.machine.cluster.pods["llm-proxy"][1]
        return pod.environment(pod.spec["containers"][0])

    def call(self, path, body=None):
        status, text = get(f"/admin/v1/{path}", headers={"Authorization": f"Bearer {self.admin}"}, body=body and json.dumps(body))
        assert status in (200, 201), (status, text)
        return text

    def ask(self):
        body = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "Hello"}]})
        return get("/v1/chat/completions", headers={"Authorization": f"Bearer {self.client}"}, body=body)[0]


def test_sqlite_is_backed_up_while_it_runs_and_restored(machine):
    release = Release(machine)
    told = machine.follow(commands("Backup", "vacuum into"), commands("Backup", "get secret"))
    assert (machine.here / "llm-proxy.bak").stat().st_size > 10_000, told
    assert (machine.here / "encryption-key").read_text() == release.env()["ENCRYPTION_KEY"]
    release.call("credentials", {"name": "of later"})
    told = machine.follow(*(commands("Restore", text) for text in ("--replicas=0", "snapshot.json", "--replicas=1")))
    assert "settings, database and rows are in order" in told
    assert release.ask() == 200 and "of later" not in release.call("credentials")


def test_a_release_is_restored_on_another_cluster(machine):
    release = Release(machine)
    machine.follow(commands("Backup", "vacuum into"), commands("Backup", "get secret"))
    machine.cluster.end()
    machine.cluster = Cluster()
    machine.env["HELM_KUBEAPISERVER"] = machine.cluster.url
    restore = [commands("Restore", text) for text in ("encryptionKey.value", "--replicas=0", "snapshot.json", "--replicas=1")]
    assert "settings, database and rows are in order" in machine.follow(*restore)
    assert release.ask() == 200


def test_a_sqlite_file_is_backed_up_while_the_process_runs(tmp_path):
    env = {"ADMIN_KEY": "a", "PATH": os.environ["PATH"], "PORT": "18100", "HOST": "127.0.0.1"}
    process = subprocess.Popen([BINARY, "serve"], env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: get("/health/ready", 18100)[0] == 200, "it is ready")
        get("/admin/v1/credentials", 18100, {"Authorization": "Bearer a"}, json.dumps({"name": "before"}))
        subprocess.run(["bash", "-euc", commands("Backup", "sqlite3 llm-proxy.db \".backup")], cwd=tmp_path, check=True)
    finally:
        process.kill()
        process.wait()
    os.replace(tmp_path / "llm-proxy.bak", tmp_path / "llm-proxy.db")
    for name in ("llm-proxy.db-wal", "llm-proxy.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    listed = subprocess.run(["sqlite3", "llm-proxy.db", "select name from credentials"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert listed.stdout == "before\n"
    assert subprocess.run([BINARY, "check"], env=env, cwd=tmp_path, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("dump", ["llm-proxy.dump", "llm-proxy-config.dump"])
def test_postgresql_is_backed_up_while_it_is_used_and_restored(dump, machine, module_path):
    server = PostgreSQL(module_path / dump)
    machine.ended.append(server.end)
    # Neither the user nor the owner of the schema is a superuser.
    server.query("create user app password 'p'")
    server.query("create database app owner app")
    url = f"postgres://app:p@127.0.0.1:{server.port}/app"
    release = Release(machine, "database.type=postgresql", f"database.url.value={url}")
    server.url = url
    eventually(lambda: server.query("select count(*) from request_logs") == "1", "the row of the log")
    machine.env["DB_URL"] = url
    machine.follow(commands("Backup", "pg_dump"))
    release.call("credentials", {"name": "of later"})
    restore = commands("Restore", "pg_restore").replace("llm-proxy.dump", dump)
    told = machine.follow(commands("Restore", "--replicas=0"), restore, commands("Restore", "--replicas=1"))
    assert "settings, database and rows are in order" in told
    assert release.ask() == 200 and "of later" not in release.call("credentials")
    rows = 2 if dump == "llm-proxy.dump" else 1
    eventually(lambda: server.query("select count(*) from request_logs") == str(rows), "the row of the request after it")
    assert json.loads(release.call("logs/stats"))["total_requests"] == rows, "rollups and rows tell different things"
    # Triggers are back as well.
    server.query("update credentials set is_enabled = false")
    eventually(lambda: release.ask() == 401, "a change by plain SQL is in force")


def test_an_upgrade_and_its_rollback(machine):
    release = Release(machine, "settings.MAX_ATTEMPTS=2")
    before = release.env()
    # The chart of a later release: another version, a value that was not there before, a default that is another one.
    (machine.here / "helm").unlink()
    later = machine.here / "helm"
    shutil.copytree(CHART, later)
    (later / "Chart.yaml").write_text(re.sub("ersion: 0.1.0", "ersion: 0.1.1", (CHART / "Chart.yaml").read_text()))
    values = (CHART / "values.yaml").read_text().replace("drainSeconds: 60", "drainSeconds: 61") + "later: {name: VALUE}\n"
    (later / "values.yaml").write_text(values)
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["properties"]["later"] = {"type": "object"}
    (later / "values.schema.json").write_text(json.dumps(schema))
    config = (later / "templates/configmap.yaml").read_text()
    (later / "templates/configmap.yaml").write_text(config.replace("data: {{-", "data:\n  LATER: {{ .Values.later.name }}\n  {{-", 1))
    told = machine.follow(commands("Upgrade and rollback", "helm upgrade"))
    assert "Phase:          Succeeded" in told
    after = release.env()
    assert (after["LATER"], after["SHUTDOWN_DRAIN_SECS"], after["MAX_ATTEMPTS"]) == ("VALUE", "61", "2")
    assert release.ask() == 200
    machine.follow(commands("Upgrade and rollback", "helm rollback"))
    assert release.env() == before and release.ask() == 200


def test_the_admin_key_is_changed(machine):
    release = Release(machine)
    told = machine.follow(commands("Keys", "--set adminKey.value"), "echo NOW=$ADMIN_KEY")
    old, release.admin = release.admin, re.search("NOW=(.*)", told)[1]
    assert get("/admin/v1/providers", headers={"Authorization": f"Bearer {old}"})[0] == 401
    release.call("providers")
    assert release.ask() == 200


def test_the_encryption_key_is_changed(machine):
    release = Release(machine)
    old = release.env()["ENCRYPTION_KEY"]
    told = machine.follow(commands("Keys", "encryptionKeyOld"), "echo NEW=$NEW OLD=$OLD")
    new = re.search("NEW=(.*) OLD=(.*)", told)
    assert new[2] == old
    assert "1 provider keys and" in told and "would be re-encrypted" in told
    env = release.env()
    assert env["ENCRYPTION_KEY"] == new[1] and "ENCRYPTION_KEY_OLD" not in env
    assert release.ask() == 200
    assert machine.cluster.pods["llm-proxy"][1].execute(["/usr/local/bin/llm-proxy", "check"])
    # What was generated stays: backups are opened with it. What was given goes.
    data = machine.cluster.objects["secrets", "default", "llm-proxy"]["data"]
    assert set(data) == {"encryption-key"}
