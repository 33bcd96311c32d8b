"""Runs the containers of a pod in bubblewrap as Kubernetes would: arguments, environment, volumes, user, read-only root.

The image is stood in for by the binary and what the Dockerfile's last stage has, with the libraries of this machine. All
containers share this process's network, so that a pod's address is the loopback one.
"""

import atexit
import concurrent.futures
import functools
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from chart import ROOT, dig

# A container dies with the thread that started it, so one that stays starts them all.
STARTER = concurrent.futures.ThreadPoolExecutor(1)
BINARY = os.environ.get("LLM_PROXY_BINARY")


def eventually(check, what, seconds=30):
    """Waits until `check` gives something that is true."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def get(path, port=18000, headers=None, body=None, host="127.0.0.1", timeout=10):
    """Status and body of an answer; 0 where nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("POST" if body is not None else "GET", path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


@functools.cache
def image():
    """What the last stage of the Dockerfile says: its entry point, command, user and variables."""
    last = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).split("\nFROM ")[-1] if (ROOT / "Dockerfile").exists() else ""
    found = dict(re.findall(r"^(ENTRYPOINT|CMD|USER|WORKDIR) (.*)$", last, re.M))
    variables = dict(re.findall(r"([A-Z_]+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", last, re.M))))
    entry = json.loads(found.get("ENTRYPOINT", '["/usr/local/bin/llm-proxy"]'))
    return {"entry": entry, "args": json.loads(found.get("CMD", '["serve"]')), "env": variables, "cwd": found.get("WORKDIR", "/"),
            "user": int(found.get("USER", "65532").split(":")[0])}


class Container:
    """A process in a root of its own."""

    def __init__(self, folder, name, argv, env, user, mounts=(), is_ours=True, cwd="/", rootfs=None):
        self.log = folder / f"{name}.log"
        read, write = os.pipe()
        # What belongs to the mapped user belongs to the real one.
        real = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.getuid() == 0 else []
        flags = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--hostname", name[:60],
                 "--uid", str(user), "--gid", str(user), "--die-with-parent", "--clearenv", "--info-fd", str(write), "--cap-drop", "ALL"]
        hosts = folder / "hosts"
        if rootfs:
            flags += ["--ro-bind", str(rootfs), "/"]
        else:
            for path in ["/usr", "/lib", "/lib64"] if not is_ours else ["/usr/lib", "/usr/lib64", "/lib", "/lib64"]:
                if os.path.islink(path):
                    flags += ["--symlink", os.readlink(path), path]
                elif os.path.exists(path):
                    flags += ["--ro-bind", path, path]
            if is_ours:
                flags += ["--ro-bind", ours(), image()["entry"][0]]
            else:
                flags += ["--symlink", "usr/bin", "/bin", "--ro-bind", "/etc/alternatives", "/etc/alternatives"]
            flags += ["--ro-bind", "/etc/ssl", "/etc/ssl"]
            if hosts.exists():
                flags += ["--ro-bind", str(hosts), "/etc/hosts"]
        # The image has the folder that it starts in.
        flags += ["--proc", "/proc", "--dev", "/dev", *([] if rootfs else ["--dir", cwd])]
        for source, target, is_writable in mounts:
            flags += ["--bind" if is_writable else "--ro-bind", str(source), target]
        if not rootfs:
            flags += ["--remount-ro", "/"]
        for key, value in {"PATH": "/usr/local/bin:/usr/bin:/bin", **env}.items():
            flags += ["--setenv", key, value]
        with open(self.log, "ab") as log:
            command = [*real, "bwrap", *flags, "--chdir", cwd, *argv]
            starting = STARTER.submit(subprocess.Popen, command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=[write])
            self.process = starting.result()
        os.close(write)
        with os.fdopen(read) as info:
            text = info.read()
        assert text, f"bwrap did not start: {self.log.read_text()}"
        self.pid = json.loads(text)["child-pid"]

    def end(self, grace):
        """SIGTERM, and SIGKILL after the grace; gives the exit code, negative for a signal."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -9

    def text(self):
        """What it wrote so far."""
        return self.log.read_text(errors="replace")


@functools.cache
def ours():
    """The binary where every user may read it."""
    folder = tempfile.mkdtemp(prefix="llm-proxy-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    return shutil.copy(BINARY, folder)


class Pod:
    """A pod of a rendered manifest: of a Deployment, a Job, or one of its own."""

    def __init__(self, manifest, objects, folder=None, ready=True):
        self.manifest = manifest
        self.spec = dig(manifest, "spec.template.spec") or manifest["spec"]
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="pod-"))
        self.folder.chmod(0o755)
        names = [one["metadata"]["name"] for one in objects if one["kind"] == "Service"]
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        self.security = self.spec["securityContext"]
        self.sidecars = [self.start(one) for one in self.spec.get("initContainers", []) if self.began(one)]
        self.container = self.start(self.spec["containers"][0])
        if ready and "startupProbe" in self.spec["containers"][0]:
            self.wait_ready()

    @staticmethod
    def began(container):
        assert container.get("restartPolicy") == "Always", "only sidecars are run"
        return True

    def data(self, kind, name):
        """The data of a ConfigMap or Secret as Kubernetes gives it to containers."""
        from base64 import b64decode

        one = self.objects[kind, name]
        data = dict(one.get("data") or {})
        if kind == "Secret":
            data = {key: b64decode(value).decode() for key, value in data.items()}
        return {**data, **(one.get("stringData") or {})}

    def environment(self, container):
        """The variables of a container."""
        env = {}
        for source in container.get("envFrom", []):
            for reference, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if reference in source:
                    env |= self.data(kind, source[reference]["name"])
        fields = {"metadata.uid": "0d7f-uid", "status.podIP": "127.0.0.1", "metadata.name": "pod"}
        for variable in container.get("env", []):
            source = variable.get("valueFrom")
            if source is None:
                env[variable["name"]] = variable.get("value", "")
            elif "fieldRef" in source:
                env[variable["name"]] = fields[source["fieldRef"]["fieldPath"]]
            elif "secretKeyRef" in source:
                env[variable["name"]] = self.data("Secret", source["secretKeyRef"]["name"])[source["secretKeyRef"]["key"]]
            else:
                raise AssertionError(f"unknown source {source}")
        return env

    def mounts(self, container):
        """Volumes as folders: those that last and those that end with the pod are writable, others not."""
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            claim = dig(volume, "persistentVolumeClaim.claimName")
            # A claim is the same one for every pod.
            source = self.folder.parent / "claims" / claim if claim else self.folder / "volumes" / mount["name"]
            source.mkdir(parents=True, exist_ok=True)
            source.parent.chmod(0o755)
            is_writable = "emptyDir" in volume or "persistentVolumeClaim" in volume
            if "configMap" in volume:
                data = self.data("ConfigMap", volume["configMap"]["name"])
                for item in volume["configMap"]["items"]:
                    (source / item["path"]).write_text(data[item["key"]])
            else:
                assert is_writable, f"unknown volume {volume}"
                # fsGroup
                os.chmod(source, 0o770)
                if os.getuid() == 0:
                    os.chown(source, 0, self.security["fsGroup"])
            yield source, mount["mountPath"], is_writable and not mount.get("readOnly")

    def start(self, container):
        """Starts a container as its security context says."""
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert self.security["runAsNonRoot"] and self.security["runAsUser"] > 0
        is_ours = "llm-proxy" in container["image"]
        argv = [*container.get("command", image()["entry"] if is_ours else []),
                *container.get("args", [] if container.get("command") else image()["args"])]
        env = {**(image()["env"] if is_ours else {}), **self.environment(container)}
        return Container(self.folder, container["name"], argv, env, self.security["runAsUser"], self.mounts(container), is_ours, self.cwd(container))

    @staticmethod
    def cwd(container):
        return container.get("workingDir", image()["cwd"] if "llm-proxy" in container["image"] else "/")

    def execute(self, argv):
        """What a command prints that is run in the container, as `kubectl exec` does; it has to end well."""
        container = self.spec["containers"][0]
        is_ours = "llm-proxy" in container["image"]
        env = {**(image()["env"] if is_ours else {}), **self.environment(container)}
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        one = Container(folder, "exec", argv, env, self.security["runAsUser"], self.mounts(container), is_ours, self.cwd(container))
        code = one.process.wait(60)
        assert code == 0, f"{argv}: {code} {one.text()}"
        return one.text()

    def probe(self, name):
        """The status that a probe gets."""
        spec = self.spec["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
        probe = spec[name + "Probe"]
        return get(probe["httpGet"]["path"], ports[probe["httpGet"]["port"]], timeout=probe["timeoutSeconds"])[0]

    def wait_ready(self):
        """Until startup and readiness hold, as long as Kubernetes would wait."""
        probe = self.spec["containers"][0]["startupProbe"]
        for name in ("startup", "readiness"):
            def check(name=name):
                assert self.container.process.poll() is None, self.container.text()
                return self.probe(name) == 200
            eventually(check, f"{name} probe: {self.container.text()}", probe["periodSeconds"] * probe["failureThreshold"])

    def wait(self, seconds=120):
        """The exit code of a pod that ends by itself; its sidecars end then."""
        try:
            return self.container.process.wait(seconds)
        finally:
            for one in self.sidecars:
                one.end(5)

    def delete(self):
        """Ends it as Kubernetes does; gives the exit code and how long that took."""
        began = time.monotonic()
        # The sleep before SIGTERM is Kubernetes' own work.
        grace = self.spec["terminationGracePeriodSeconds"] - (dig(self.spec, "containers[0].lifecycle.preStop.sleep.seconds") or 0)
        code = self.container.end(grace)
        for one in self.sidecars:
            one.end(5)
        return code, time.monotonic() - began


class PostgreSQL:
    """A server of its own on the loopback address."""

    def __init__(self, folder, port=0):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        tools = str(found[-1]) if found else os.path.dirname(shutil.which("initdb"))
        self.run = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.run:
            shutil.chown(self.folder, "postgres", "postgres")
            for parent in list(self.folder.parents)[:-1]:
                parent.chmod(parent.stat().st_mode | 0o711)
        with socket.socket() as free:
            free.bind(("127.0.0.1", port))
            self.port = free.getsockname()[1]
        data = self.folder / "data"
        subprocess.run([*self.run, f"{tools}/initdb", "-D", data, "-U", "llm", "-A", "trust", "--no-sync", "-E", "UTF8"],
                       check=True, capture_output=True, cwd="/")
        self.process = subprocess.Popen(
            [*self.run, f"{tools}/postgres", "-D", data, "-p", str(self.port), "-k", self.folder, "-c", "fsync=off"],
            cwd="/", stdout=subprocess.DEVNULL, stderr=open(self.folder.parent / "postgres.log", "wb"))
        eventually(lambda: subprocess.run([f"{tools}/pg_isready", "-h", "127.0.0.1", "-p", str(self.port)],
                                          capture_output=True, check=False).returncode == 0, "PostgreSQL")
        self.url = f"postgres://llm@127.0.0.1:{self.port}/postgres"

    def query(self, sql):
        """The rows of a query as text."""
        done = subprocess.run(["psql", self.url, "-XAtc", sql], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def end(self):
        """Ends it."""
        pid = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGINT)
        self.process.wait(30)
