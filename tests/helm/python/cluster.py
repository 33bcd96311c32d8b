"""A Kubernetes API just large enough for the real helm, and what a node would do: pods run in the sandbox.

There is no scheduler and no controller beyond that: a Deployment is one pod, a Service that has another port than its pod
is a relay on the loopback address.
"""

import base64
import gzip
import http.server
import json
import pathlib
import re
import socket
import tempfile
import threading
import time
import urllib.parse

import yaml

from chart import dig
from sandbox import Pod, get

KINDS = {
    "v1": ["Secret", "ConfigMap", "Service", "ServiceAccount", "PersistentVolumeClaim", "Pod"],
    "apps/v1": ["Deployment", "ReplicaSet"], "batch/v1": ["Job"], "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "policy/v1": ["PodDisruptionBudget"], "networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "gateway.networking.k8s.io/v1": ["HTTPRoute"], "monitoring.coreos.com/v1": ["ServiceMonitor", "PrometheusRule"],
}


def plural(kind):
    name = kind.lower()
    return name[:-1] + "ies" if name.endswith("cy") else name + ("es" if name.endswith("ss") else "s")


def fields(data):
    """Numbers and values of a protocol buffer: bytes, or integers."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            at += value
            value = data[at - value : at]
        yield tag >> 3, value


def pairs(data, number):
    """A map of a protocol buffer."""
    return {entry[1].decode(): entry[2] for entry in (dict(fields(value)) for found, value in fields(data) if found == number)}


def secret_of(text):
    """The Secret in which helm keeps a release; the only kind that comes as a protocol buffer."""
    unknown = dict(fields(text[4:]))
    assert dict(fields(unknown[1]))[2] == b"Secret"
    secret = unknown[2]
    meta = dict(fields(secret))[1]
    labels = {key: value.decode() for key, value in pairs(meta, 11).items()}
    data = {key: base64.b64encode(value).decode() for key, value in pairs(secret, 2).items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": dict(fields(secret))[3].decode(), "data": data,
            "metadata": {"name": dict(fields(meta))[1].decode(), "labels": labels}}


class Immutable(Exception):
    """A Secret says that nobody may change it."""


class Relay(threading.Thread):
    """Carries bytes from a port of a Service to the pod's."""

    def __init__(self, port, to):
        super().__init__(daemon=True)
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", port))

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Cluster:
    """Objects by plural, namespace and name, and the pods that run."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="llm-proxy-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.objects, self.pods, self.logs, self.relays, self.asked = {}, {}, {}, {}, []
        self.lock = threading.RLock()
        self.version = 1
        handler = type("Handler", (Handler,), {"cluster": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def put(self, key, one):
        """Stores an object, and does what it asks for."""
        with self.lock:
            old = self.objects.get(key, {})
            if old.get("immutable") and old["data"] != one["data"]:
                raise Immutable(key[2])
            self.version += 1
            one["metadata"].update(uid=f"uid-{self.version}", resourceVersion=str(self.version),
                                   creationTimestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ"))
            self.objects[key] = one
        if one["kind"] == "Deployment":
            threading.Thread(target=self.replace, args=(one,), daemon=True).start()
        elif one["kind"] in ("Job", "Pod") and not one.get("status"):
            threading.Thread(target=self.run_once, args=(key, one), daemon=True).start()
        elif one["kind"] == "Service":
            port = one["spec"]["ports"][0]["port"]
            if port != 18000 and port not in self.relays:
                self.relays[port] = Relay(port, 18000)
                self.relays[port].start()
        return one

    def manifests(self):
        with self.lock:
            return [json.loads(json.dumps(one)) for one in self.objects.values()]

    def start(self, one):
        name = one["metadata"]["name"]
        # A Deployment's volumes stay when its pod is replaced.
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Pod(one, self.manifests(), folder, ready=False)

    def replace(self, one):
        """A new pod for a Deployment whose template changed; with one port for all, the old one ends first."""
        name = one["metadata"]["name"]
        with self.lock:
            running = self.pods.get(name)
            template = json.dumps(one["spec"]["template"], sort_keys=True)
            if running and running[0] == template:
                return
            # What it refers to is made before it.
            if running:
                running[1].delete()
            self.pods[name] = (template, self.start(one))

    def is_rolled_out(self):
        """Whether the pod of the one Deployment is that of its newest template, and is ready."""
        [one] = [one for one in self.objects.values() if one["kind"] == "Deployment"]
        template, _ = self.pods.get(one["metadata"]["name"], (None, None))
        return template == json.dumps(one["spec"]["template"], sort_keys=True) and get("/health/ready")[0] == 200

    def scale(self, name, replicas):
        """One pod or none."""
        if replicas:
            self.replace(self.objects["deployments", "default", name])
        else:
            self.pods.pop(name)[1].delete()

    def run_once(self, key, one):
        """A Job or a pod of its own."""
        name = one["metadata"]["name"]
        pod = self.start(one)
        code = pod.wait()
        self.logs[name] = pod.container.text()
        done = "Complete" if code == 0 else "Failed"
        status = {"phase": "Succeeded" if code == 0 else "Failed"}
        if one["kind"] == "Job":
            status = {"succeeded": int(code == 0), "conditions": [{"type": done, "status": "True", "reason": "x", "message": "x"}]}
        with self.lock:
            self.version += 1
            one["status"] = status
            one["metadata"]["resourceVersion"] = str(self.version)

    def released(self, kind, name):
        """An object as the newest release says, which a patch asks for."""
        secrets = [one for (plural_, _, _), one in self.objects.items() if plural_ == "secrets" and one.get("type", "").startswith("helm.sh")]
        newest = max(secrets, key=lambda one: int(one["metadata"]["labels"]["version"]))
        data = base64.b64decode(base64.b64decode(newest["data"]["release"]))
        release = json.loads(gzip.decompress(data))
        for one in yaml.safe_load_all(release["manifest"]):
            if one and one["kind"] == kind and one["metadata"]["name"] == name:
                return one
        raise KeyError(name)

    def end(self):
        for _, pod in self.pods.values():
            for container in [pod.container, *pod.sidecars]:
                container.process.kill()
                container.process.wait()
        for relay in self.relays.values():
            relay.listener.shutdown(socket.SHUT_RDWR)
            relay.listener.close()
        self.server.shutdown()
        import shutil

        shutil.rmtree(self.folder, ignore_errors=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """The paths that helm asks."""

    protocol_version = "HTTP/1.1"
    cluster = None

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status, reason, message):
        self.answer(status, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": status})

    def body(self):
        text = self.rfile.read(int(self.headers.get("content-length") or 0))
        if text.startswith(b"k8s\0"):
            # Options of a deletion come so, too.
            return {} if self.command == "DELETE" else secret_of(text)
        return json.loads(text) if text else {}

    def route(self):
        """API version, plural, namespace, name and what is below, of the path; None for another path."""
        path = urllib.parse.urlsplit(self.path).path
        found = re.fullmatch(r"/api(s)?/((?:[^/]+/)?v[0-9]\w*)/(?:namespaces/([^/]+)/)?([a-z]+)(?:/([^/]+))?(?:/(\w+))?", path)
        return (found[2], found[4], found[3] or "", found[5], found[6]) if found else None

    def discovery(self, path):
        groups = sorted({version.split("/")[0] for version in KINDS if "/" in version})
        if path == "/version":
            return {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            versions = [{"name": group, "versions": [{"groupVersion": one, "version": one.split("/")[1]} for one in KINDS if one.startswith(group + "/")]}
                        for group in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{**one, "preferredVersion": one["versions"][0]} for one in versions]}
        version = re.sub(r"^/apis?/", "", path)
        if version in KINDS:
            verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
            resources = [{"name": plural(kind), "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs} for kind in KINDS[version]]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        return None

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        found = self.discovery(parts.path)
        if found:
            return self.answer(200, found)
        if parts.path == "/openapi/v2":
            # No models: helm leaves out its check, which kubernetes-validate does elsewhere.
            return self.answer(200, "", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
        route = self.route()
        if not route:
            return self.fail(404, "NotFound", parts.path)
        version, plural_, namespace, name, below = route
        store = self.cluster.objects
        if below == "log":
            return self.answer(200, self.cluster.logs.get(name, ""), "text/plain")
        if name:
            one = store.get((plural_, namespace, name))
            return self.answer(200, one) if one else self.fail(404, "NotFound", f'{plural_} "{name}" not found')
        query = dict(urllib.parse.parse_qsl(parts.query))
        if query.get("watch"):
            return self.watch(plural_, namespace, query)
        with self.cluster.lock:
            items = [one for key, one in store.items() if key[0] == plural_ and key[1] == namespace and self.wanted(one, query)]
            kind = next(kind for kind in KINDS[version] if plural(kind) == plural_)
            self.answer(200, {"kind": kind + "List", "apiVersion": version, "metadata": {"resourceVersion": str(self.cluster.version)}, "items": items})

    @staticmethod
    def wanted(one, query):
        labels = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if "=" in pair and "!=" not in pair)
        fields = dict(pair.split("=", 1) for pair in query.get("fieldSelector", "").split(",") if pair)
        own = one["metadata"].get("labels", {})
        return all(own.get(key) == value for key, value in labels.items()) and fields.get("metadata.name", one["metadata"]["name"]) == one["metadata"]["name"]

    def watch(self, plural_, namespace, query):
        """Tells of each change once, until the caller leaves."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        seen = int(query.get("resourceVersion") or 0)
        end = time.monotonic() + float(query.get("timeoutSeconds", 300))
        try:
            while time.monotonic() < end:
                with self.cluster.lock:
                    new = [one for key, one in self.cluster.objects.items() if key[:2] == (plural_, namespace)
                           and self.wanted(one, query) and int(one["metadata"]["resourceVersion"]) > seen]
                    lines = [json.dumps({"type": "MODIFIED", "object": one}) + "\n" for one in new]
                    seen = max([seen, *(int(one["metadata"]["resourceVersion"]) for one in new)])
                for line in lines:
                    self.wfile.write(f"{len(line.encode()):x}\r\n{line}\r\n".encode())
                self.wfile.flush()
                time.sleep(0.05)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def do_POST(self):
        version, plural_, namespace, *_ = self.route()
        one = self.body()
        key = (plural_, namespace, one["metadata"]["name"])
        if key in self.cluster.objects:
            return self.fail(409, "AlreadyExists", f'{plural_} "{key[2]}" already exists')
        one["metadata"].setdefault("namespace", namespace)
        return self.answer(201, self.cluster.put(key, one))

    def do_PUT(self):
        version, plural_, namespace, name, _ = self.route()
        return self.change((plural_, namespace, name), self.body())

    def do_PATCH(self):
        version, plural_, namespace, name, _ = self.route()
        self.body()
        old = self.cluster.objects[plural_, namespace, name]
        one = self.cluster.released(old["kind"], name)
        one["metadata"]["namespace"] = namespace
        return self.change((plural_, namespace, name), one)

    def change(self, key, one):
        try:
            return self.answer(200, self.cluster.put(key, one))
        except Immutable:
            return self.fail(422, "Invalid", f"{key[2]}: field is immutable when `immutable` is set")

    def do_DELETE(self):
        version, plural_, namespace, name, _ = self.route()
        self.body()
        with self.cluster.lock:
            one = self.cluster.objects.pop((plural_, namespace, name), None)
        if one is None:
            return self.fail(404, "NotFound", f'{plural_} "{name}" not found')
        if one["kind"] == "Deployment" and name in self.cluster.pods:
            self.cluster.pods.pop(name)[1].delete()
        return self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": name, "uid": dig(one, "metadata.uid")}})
