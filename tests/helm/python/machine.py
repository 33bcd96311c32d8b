"""A machine on which the commands of the documents are typed.

What this machine has not is stood in for: helm is the real one on an API server of our own, kubectl, docker, cargo and npm
are answered here by what they would lead to, with the binary that is already built, and the mock is OpenAI.
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import threading

import kubernetes_validate
import yaml

from chart import HELM, NEWEST, ROOT
from sandbox import BINARY, Container, PostgreSQL, eventually, get, image


def blocks(title, name="README.md"):
    """The shell of a section, as it is pasted."""
    text = (ROOT / name).read_text()
    section = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##)", text, re.M | re.S)[1]
    return [textwrap.dedent(found[0]) for found in re.findall(r"^(?: *)```sh\n((.|\n)*?)^ *```", section, re.M)]


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
        # Where commands are typed: what the repository has is there, and what they write goes with the test.
        self.here = folder / "here"
        self.here.mkdir()
        for name in ("helm", "docs", "prometheus", "grafana", "compose.yaml", "frontend"):
            (self.here / name).symlink_to(ROOT / name)

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
        if argv[:2] == ["rollout", "status"]:
            assert argv[2:] == ["deployment/llm-proxy"]
            eventually(self.cluster.is_rolled_out, "the pod of the newest template is ready")
        elif argv[:2] == ["port-forward", "service/llm-proxy"]:
            service = self.cluster.objects["services", "default", "llm-proxy"]
            assert argv[2] == f"18000:{service['spec']['ports'][0]['port']}"
        elif argv[:2] == ["get", "secret"] and argv[3] == "-o":
            key = re.fullmatch(r"jsonpath=\{\.data\.([-\w]+)\}", argv[4])[1]
            return self.cluster.objects["secrets", "default", argv[2]]["data"][key]
        elif argv[0] == "exec":
            name = argv[1].removeprefix("deployment/")
            assert argv[2] == "--"
            return self.cluster.pods[name][1].execute(argv[3:])
        elif argv[0] == "scale":
            self.cluster.scale(argv[1].removeprefix("deployment/"), int(argv[2].removeprefix("--replicas=")))
        elif argv[:2] == ["apply", "-f"]:
            one = yaml.safe_load((ROOT / argv[2]).read_text())
            kubernetes_validate.validate(one, NEWEST, strict=True)
            self.cluster.pods[one["metadata"]["name"]] = (None, self.cluster.start(one))
        elif argv[:2] == ["delete", "pod"]:
            self.cluster.pods.pop(argv[2])[1].delete()
        elif argv[:2] == ["wait", "--for=condition=Ready"]:
            assert argv[2].removeprefix("pod/") in self.cluster.pods
        elif argv[:3] == ["wait", "--for=delete", "pod"]:
            labels = self.cluster.objects["deployments", "default", "llm-proxy"]["spec"]["template"]["metadata"]["labels"]
            wanted = dict(pair.split("=") for pair in argv[3].removeprefix("--selector=").split(","))
            assert wanted.items() <= labels.items() and "llm-proxy" not in self.cluster.pods
        elif argv[0] == "cp":
            source, target = (self.inside(path) for path in argv[1:])
            shutil.copy(source, target)
            os.chmod(target, 0o666)
        else:
            raise AssertionError("unknown command")
        return ""

    def inside(self, path):
        """A file of this machine or, of `pod:path`, in the volume of a pod."""
        pod, _, path = path.rpartition(":")
        if not pod:
            return self.here / path
        [mount] = self.cluster.pods[pod][1].spec["containers"][0]["volumeMounts"]
        return self.cluster.folder / "claims/llm-proxy" / pathlib.PurePath(path).relative_to(mount["mountPath"])

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
        # Longer than streams are let run by default (SHUTDOWN_DELAY_SECS, SHUTDOWN_DRAIN_SECS), and what is flushed then.
        assert int(flags["--stop-timeout"][0]) >= 3 + 30 + 10
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

    def follow(self, *scripts):
        """Runs commands as a person would, one after the other, and gives what they print."""
        script = "set -euo pipefail\n" + "\n".join(scripts).replace("https://api.openai.com/v1", "http://127.0.0.1:18009/v1")
        done = subprocess.run(["bash", "-c", script], cwd=self.here, env=self.env, text=True, capture_output=True, check=False, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
