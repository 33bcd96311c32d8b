"""Every command of the README's ways to install, from nothing to the first answer.

What this machine has not is stood in for: helm is the real one on an API server of our own, kubectl, docker, cargo and npm
are answered here by what they would lead to, with the binary that is already built, and the mock is OpenAI.
"""

import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading

import pytest
import yaml

from chart import HELM, ROOT
from cluster import Cluster
from sandbox import BINARY, Container, PostgreSQL, eventually, get, image


def blocks(title, text=None):
    """The shell of a section."""
    text = text or (ROOT / "README.md").read_text()
    section = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##)", text, re.M | re.S)[1]
    return re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)


class Machine:
    """Programs that hand their command line over to this process; methods answer with code and output."""

    def __init__(self, folder):
        self.folder, self.asked, self.ended = folder, [], []
        bin_ = folder / "bin"
        bin_.mkdir()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(told["argv"])
                try:
                    found = getattr(outer, told["argv"][0])(told["argv"][1:], told["env"])
                    status, text = 200, found or ""
                except Exception as error:
                    status, text = 500, f"{told['argv']}: {error!r}"
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        shim = f"""#!{sys.executable}
import json, os, sys, urllib.error, urllib.request
told = json.dumps({{"argv": [os.path.basename(sys.argv[0]), *sys.argv[1:]], "env": dict(os.environ)}}).encode()
try:
    print(urllib.request.urlopen("http://127.0.0.1:{self.server.server_port}", told).read().decode(), end="")
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
"""
        for name in ("kubectl", "docker", "cargo", "npm"):
            (bin_ / name).write_text(shim)
            (bin_ / name).chmod(0o755)
        (bin_ / "helm").symlink_to(HELM)
        self.env = {"PATH": f"{bin_}:/usr/bin:/bin", "HOME": str(folder)}
        self.cluster = None

    def end(self):
        for one in self.ended[::-1]:
            one()
        self.server.shutdown()

    def started(self, container):
        def kill():
            container.process.kill()
            container.process.wait()

        self.ended.append(kill)
        return container

    def kubectl(self, argv, _):
        if argv[:3] == ["rollout", "status", "deployment/llm-proxy"]:
            eventually(lambda: get("/health/ready")[0] == 200, "the pod is ready")
        elif argv[:2] == ["port-forward", "service/llm-proxy"]:
            service = self.cluster.objects["services", "default", "llm-proxy"]
            assert argv[2] == f"18000:{service['spec']['ports'][0]['port']}"
        elif argv[:2] == ["get", "secret"] and argv[3] == "-o":
            key = re.fullmatch(r"jsonpath=\{\.data\.([-\w]+)\}", argv[4])[1]
            return self.cluster.objects["secrets", "default", argv[2]]["data"][key]
        else:
            raise AssertionError("unknown command")
        return ""

    def npm(self, argv, _):
        assert argv in (["ci"], ["run", "build"])
        assert argv == ["ci"] or argv[1] in json.loads((ROOT / "frontend/package.json").read_text())["scripts"]

    def cargo(self, argv, env):
        if argv == ["build", "--release"]:
            return
        assert argv == ["run", "--release", "--", "serve"]
        log = open(self.folder / "serve.log", "wb")
        process = subprocess.Popen([BINARY, "serve"], env=env, cwd=self.folder, stdout=log, stderr=log)
        self.ended.append(lambda: (process.terminate(), process.wait()))

    def docker(self, argv, env):
        if argv[0] == "build":
            assert argv == ["build", "--tag", "llm-proxy", "."]
        elif argv[0] == "run":
            self.docker_run(argv[1:], env)
        elif argv == ["compose", "up", "--build", "--detach"]:
            self.compose(env)
        else:
            raise AssertionError("unknown command")

    def docker_run(self, argv, env):
        flags, rest = {}, list(argv)
        while rest[0].startswith("--"):
            flag = rest.pop(0)
            flags.setdefault(flag, []).append(None if flag in ("--detach", "--read-only") else rest.pop(0))
        assert rest == ["llm-proxy"], rest
        assert "--read-only" in flags and flags["--cap-drop"] == ["ALL"]
        assert flags["--publish"] == ["127.0.0.1:18000:18000"]
        given = {name: env[name] for name in flags["--env"]}
        self.run_image(given, [volume.split(":")[1] for volume in flags["--volume"]] + flags["--tmpfs"])

    def run_image(self, env, writable):
        user = image()["user"]
        mounts = []
        for place in writable:
            source = self.folder / place.strip("/").replace("/", "-")
            source.mkdir()
            # A new volume has the owner that the folder has in the image.
            if os.getuid() == 0:
                os.chown(source, user, user)
            mounts.append((source, place, True))
        argv = [*image()["entry"], *image()["args"]]
        container = Container(self.folder, "llm-proxy", argv, {**image()["env"], **env}, user, mounts, cwd=image()["cwd"])
        self.started(container)

    def compose(self, env):
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda name: env[name[1]], (ROOT / "compose.yaml").read_text())
        services = yaml.safe_load(re.sub(r"\$\{(\w+):-([^}]*)\}", lambda name: env.get(name[1], name[2]), text))["services"]
        ours, database = services["llm-proxy"], services["postgres"]["environment"]
        (self.folder / "hosts").write_text("127.0.0.1 localhost postgres redis\n")
        server = PostgreSQL(self.folder / "postgres", 5432)
        self.ended.append(server.end)
        server.query(f"create user {database['POSTGRES_USER']} password '{database['POSTGRES_PASSWORD']}'")
        server.query(f"create database {database['POSTGRES_DB']} owner {database['POSTGRES_USER']}")
        redis = subprocess.Popen([*services["redis"]["command"], "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL, cwd=self.folder)
        self.ended.append(lambda: (redis.terminate(), redis.wait()))
        self.run_image(ours["environment"], [volume.split(":")[1] for volume in ours["volumes"]] + ours["tmpfs"])
        return server


@pytest.fixture
def machine(tmp_path):
    one = Machine(tmp_path)
    mock = Container(tmp_path, "openai", [image()["entry"][0], "mock", "--port", "18009"], {}, 65532)
    one.started(mock)
    eventually(lambda: get("/v1/models", 18009)[0], "the mock")
    yield one
    one.end()
    if one.cluster:
        one.cluster.end()


def follow(machine, *scripts):
    """Runs commands as a person would, one after the other, and gives what they print."""
    script = "set -euo pipefail\n" + "\n".join(scripts).replace("https://api.openai.com/v1", "http://127.0.0.1:18009/v1")
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=machine.env, text=True, capture_output=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_answer(told):
    # Bodies without lines between them; the last one is the answer.
    rest = told[told.rindex('{"status":"ready"') :].strip()
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].lstrip()
    assert answer["model"] == "fast" and answer["choices"][0]["message"]["content"], told


def test_helm(machine):
    machine.cluster = Cluster()
    machine.env["HELM_KUBEAPISERVER"] = machine.cluster.url
    [install] = blocks("On Kubernetes, with Helm")
    told = follow(machine, install, *blocks("First answer"))
    assert "through-the-service" in told
    is_answer(told)


def test_docker(machine):
    run, _ = blocks("With Docker")
    is_answer(follow(machine, run, *blocks("First answer")))


def test_docker_compose(machine):
    _, up = blocks("With Docker")
    is_answer(follow(machine, up, *blocks("First answer")))
    assert "llm_proxy_redis_up 1" in get("/metrics")[1] and "llm_proxy_database_up 1" in get("/metrics")[1]


def test_from_source(machine):
    [build] = blocks("From source")
    is_answer(follow(machine, build, *blocks("First answer")))
    assert ["npm", "run", "build"] in machine.asked


def test_no_block_of_commands_is_left_out():
    text = (ROOT / "README.md").read_text()
    install = re.search(r"^## Install\n.*?(?=^## )", text, re.M | re.S)[0]
    titles = re.findall(r"^### (.*)$", install, re.M)
    assert titles == ["On Kubernetes, with Helm", "With Docker", "From source", "First answer"]
    assert install.count("```sh\n") == sum(len(blocks(title)) for title in titles)


def test_the_makefile_has_the_targets_that_are_named():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/operations.md").read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text)) | {shlex.split(line)[1] for line in re.findall(r"^make [a-z-]+", text, re.M)}
    assert named <= targets
