# Sourced by the `run` of every suite that needs a real server: installs what is missing, starts the
# proxy before the mock provider, ends both. The suite sets `suite` (its name) and `here` (its
# folder, with `python/requirements.txt` and `node/package.json`) first.

root=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/llm-proxy/$suite
work=$(mktemp -d)
started=()

say() { echo "$suite tests: $*"; }

clean_up() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT

install_tools() {
    local packages=()
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
    [ ${#packages[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "install these first: ${packages[*]}" >&2
        exit 1
    fi
    say "installing ${packages[*]} with apt-get (some minutes) ..."
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >/dev/null
}

# Prints the folder in the cache for `$1`, made by the function `$2` unless it is there. Its name
# holds a hash of the files that say what belongs into it, so a changed version is a new folder.
cached() {
    local name=$1 make=$2 hash folder
    shift 2
    hash=$(cat "$@" | sha256sum | cut -c1-16)
    folder=$cache/$name-$hash
    if [ ! -e "$folder/complete" ]; then
        say "installing packages for $name into $folder (a minute or two) ..." >&2
        rm -rf "$folder"
        mkdir -p "$folder"
        "$make" "$folder" >&2
        touch "$folder/complete"
    fi
    echo "$folder"
}

make_python() {
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
}

make_node() {
    cp "$here/node/package.json" "$here/node/package-lock.json" "$1"
    (cd "$1" && npm ci --silent --no-audit --no-fund)
}

# Starts the binary with the arguments behind `$1`, its output in the file `$1`.
start() {
    local log=$1
    shift
    "$binary" "$@" >"$log" 2>&1 &
    started+=($!)
}

# Prints the first `http` address or `host:port` that the file `$1` tells, once `$2` is in it.
address_in() {
    local line try
    for try in $(seq 600); do
        if line=$(grep -m1 -- "$2" "$1"); then
            grep -oE '127\.0\.0\.1:[0-9]+' <<<"$line" | head -n1
            return
        fi
        sleep 0.05
    done
    say "no \"$2\" in:" >&2
    cat "$1" >&2
    return 1
}

# Installs the packages of the suite; sets `python`, its environment.
install_packages() {
    local node
    install_tools
    python=$(cached python make_python "$here/python/requirements.txt" <(python3 --version))
    node=$(cached node make_node "$here/node/package.json" "$here/node/package-lock.json" <(node --version))
    # Node looks for packages beside the importing file only.
    ln -sfn "$node/node_modules" "$here/node/node_modules"
}

# Builds and starts both servers, and exports what the tests must know of them.
start_servers() {
    local mock server
    say "building llm-proxy (the first time takes some minutes) ..."
    cargo build --quiet --locked --manifest-path "$root/Cargo.toml"
    binary=${CARGO_TARGET_DIR:-$root/target}/debug/llm-proxy

    start "$work/mock.log" mock --port 0 --pace-ms 1
    export LLM_PROXY_ADMIN_KEY=admin-key-of-the-sdk-tests
    ADMIN_KEY=$LLM_PROXY_ADMIN_KEY HOST=127.0.0.1 PORT=0 DB_URL=sqlite://$work/test.db LOG_FORMAT=json \
        start "$work/serve.log" serve --env-file /dev/null
    mock=$(address_in "$work/mock.log" 'mock provider on')
    server=$(address_in "$work/serve.log" '"listening"')
    # An outward proxy of this machine must not come between the tests and their server.
    export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
    export LLM_PROXY_MOCK_URL=http://$mock/v1 LLM_PROXY_URL=http://$server
}

# Tells how it ended, with what the server said last if it ended badly.
finish() {
    if [ "$1" -ne 0 ]; then
        say "FAILED; the end of the server's log:" >&2
        tail -n 20 "$work/serve.log" >&2
    fi
    exit "$1"
}
