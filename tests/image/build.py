#!/usr/bin/env python3
"""Runs the steps of the Dockerfile without a container engine, in a Debian made by debootstrap.

`build.py FOLDER [ARG=value]` leaves the root of the last stage in FOLDER/image. The base images are stood in for by Debian's minimal
system with the compilers of this machine, which have to be of the versions that the Dockerfile names. DEBIAN_ROOT
is a folder where the system is kept for further runs; --resume uses what a run that failed has left. Needs root.
"""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout.strip()


def steps():
    """Instructions and what they say, continued lines joined, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            word, rest = line.split(None, 1)
            yield word, rest


def ignored(path):
    """Whether .dockerignore keeps a path out; the last line that fits decides."""
    result = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        pattern = pattern.lstrip("!")
        names = path.split("/")
        heads = ["/".join(names[: end + 1]) for end in range(len(names))]
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatch(name, pattern[3:]) for name in names)
        else:
            fits = pattern == "*" or any(fnmatch.fnmatch(head, pattern) for head in heads)
        if fits:
            result = not keeps
    return result


def context(folder):
    """What docker would send to the builder: files that git knows, or would, less what is ignored."""
    listed = output("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        if not ignored(name) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Stage:
    """A root, and what the instructions so far have set."""

    def __init__(self, work, name, base):
        self.root = work / name
        self.is_empty = base == "scratch"
        if "--resume" in sys.argv and self.root.exists():
            print(f"image: goes on in {self.root}")
        elif self.is_empty:
            self.root.mkdir()
        else:
            subprocess.run(["cp", "-a", str(work / "debian"), str(self.root)], check=True)
        self.env = {"PATH": "/opt/rust/bin:/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        self.cwd = "/"
        self.shell = ["/bin/sh", "-c"]
        self.args = {}
        self.meta = {}

    def inner(self, path):
        """A path of the stage on this machine."""
        return self.root / os.path.normpath(os.path.join(self.cwd, path)).lstrip("/")

    def run(self, command, work):
        """A RUN, in the root, with the network and the registries' settings of this machine."""
        flags = ["--bind", str(self.root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--clearenv", "--chdir", self.cwd,
                 "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", "--ro-bind", "/etc/hosts", "/etc/hosts"]
        for source, target in tools():
            flags += ["--ro-bind", source, target]
        for name, value in {**network(), "CARGO_BUILD_JOBS": os.environ.get("JOBS", "2"), **self.env, **self.args}.items():
            flags += ["--setenv", name, value]
        subprocess.run(["nice", "-n", "10", "bwrap", "--cap-add", "ALL", *flags, *self.shell, command], check=True)

    def copy(self, words, stages, work):
        """A COPY: a folder's content, or files."""
        source = work / "context"
        if words[0].startswith("--from="):
            source = stages[words.pop(0)[7:]].root
        *names, to = words
        target = self.inner(to)
        for name in names:
            found = source / name.lstrip("/")
            if found.is_dir():
                subprocess.run(["mkdir", "-p", str(target)], check=True)
                subprocess.run(["cp", "-a", "--no-preserve=links", f"{found}/.", str(target)], check=True)
            else:
                place = target / found.name if to.endswith("/") or target.is_dir() else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, place)


def tools():
    """The compilers and authorities of this machine, where a stage finds them."""
    modules = pathlib.Path(os.path.realpath(shutil.which("npm"))).parents[2]
    home = pathlib.Path(os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo")))
    found = [(output("rustc", "--print", "sysroot"), "/opt/rust"), (os.path.realpath(shutil.which("node")), "/opt/node/bin/node"),
             (str(modules), "/opt/node/lib/node_modules"), ("/etc/ssl/certs/ca-certificates.crt", "/opt/authorities.crt")]
    if (home / "config.toml").is_file():
        found.append((str(home / "config.toml"), "/root/.cargo/config.toml"))
    return found


def network():
    """The variables by which registries are reached from here."""
    passed = {name: value for name, value in os.environ.items() if re.match(r"(?i)(https?|no)_proxy$", name)}
    names = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO"]
    return {**passed, **dict.fromkeys(names, "/opt/authorities.crt"), "npm_config_registry": output("npm", "config", "get", "registry").splitlines()[-1]}


def base(work, args):
    """Debian, and a look whether the compilers are those that the Dockerfile names."""
    for name, told in (("RUST_VERSION", output("rustc", "--version").split()[1]), ("NODE_VERSION", output("node", "--version").lstrip("v"))):
        print(f"image: {name} is {args[name]}, here {told}")
        if args[name] != told and "--any-version" not in sys.argv:
            raise SystemExit(f"{name} is {args[name]} in the Dockerfile and {told} here (--any-version goes on)")
    # What the slim images of Debian have beside the minimal system.
    more = "ca-certificates,bash"
    kept = os.environ.get("DEBIAN_ROOT")
    if kept and pathlib.Path(kept).exists():
        subprocess.run(["cp", "-a", kept, str(work / "debian")], check=True)
        return
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={more}", args["DEBIAN"], str(work / "debian")], check=True,
                   stdout=subprocess.DEVNULL)
    debian = work / "debian"
    for place in ("opt/rust", "opt/node/bin", "opt/node/lib/node_modules", "root/.cargo"):
        (debian / place).mkdir(parents=True)
    for place in ("opt/node/bin/node", "opt/authorities.crt", "root/.cargo/config.toml"):
        (debian / place).touch()
    for name in ("npm", "npx"):
        (debian / "opt/node/bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
    if kept:
        subprocess.run(["cp", "-a", str(debian), kept], check=True)


def filled(text, args):
    return re.sub(r"\$\{(\w+)\}", lambda name: args.get(name[1], ""), text)


def build(work):
    stages, stage, defaults = {}, None, {}
    given = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
    shutil.rmtree(work / "context", ignore_errors=True)
    (work / "context").mkdir(parents=True)
    context(work / "context")
    for word, rest in steps():
        if word not in ("RUN",):
            rest = filled(rest, defaults | (stage.args if stage else {}))
        print(f"image: {word} {rest[:110]}", flush=True)
        if word == "ARG":
            name, _, value = rest.partition("=")
            (stage.args if stage else defaults)[name] = given.get(name, value)
        elif word == "FROM":
            if not (work / "debian").exists():
                base(work, defaults)
            image, name = rest.split(" AS ") if " AS " in rest else (rest, "image")
            stage = stages[name] = Stage(work, name, image)
        elif word == "WORKDIR":
            stage.cwd = os.path.join(stage.cwd, rest)
            stage.inner(".").mkdir(parents=True, exist_ok=True)
        elif word == "SHELL":
            stage.shell = json.loads(rest)
        elif word == "ENV":
            stage.env |= {name: plain.strip('"') for name, plain in re.findall(r'(\w+)=("[^"]*"|\S+)', rest)}
        elif word == "RUN":
            stage.run(rest, work)
        elif word == "COPY":
            stage.copy(rest.split(), stages, work)
        elif word in ("LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
            stage.meta[word] = rest
        else:
            raise SystemExit(f"{word} is not known here")
    for name, done in stages.items():
        if name != "image":
            shutil.rmtree(done.root)
    shutil.rmtree(work / "debian")


if __name__ == "__main__":
    build(pathlib.Path(sys.argv[1]).resolve())
