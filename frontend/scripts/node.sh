# Sourced by what builds the page: a Node.js that is new enough, the packages, the build.

page=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

is_new_enough() {
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# Debian's own may be too old for the tools; then npm brings one, for this page only.
install_node() {
    local packages=() cache=${XDG_CACHE_HOME:-$HOME/.cache}/llm-proxy/node
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
    if [ ${#packages[@]} -gt 0 ]; then
        if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
            echo "page: install Node.js 20.19 or later with npm first" >&2
            return 1
        fi
        echo "page: installing ${packages[*]} with apt-get (some minutes) ..."
        apt-get update -qq >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    fi
    is_new_enough && return
    if [ ! -x "$cache/node_modules/node/bin/node" ]; then
        echo "page: installing a newer Node.js into $cache ..."
        npm install --silent --no-audit --no-fund --prefix "$cache" node@22
    fi
    export PATH=$cache/node_modules/node/bin:$PATH
    is_new_enough
}

# `npm ci`, unless the packages are those of the lock file already.
install_page() {
    local wanted
    wanted=$( (cat "$page/package-lock.json" && node --version) | sha256sum | cut -c1-16)
    [ "$(cat "$page/node_modules/.wanted" 2>/dev/null)" = "$wanted" ] && return
    echo "page: installing its packages ..."
    (cd "$page" && npm ci --silent --no-audit --no-fund)
    echo "$wanted" >"$page/node_modules/.wanted"
}

# Builds the page into `frontend/build`, unless that is newer than all it is made from.
build_page() {
    install_node
    install_page
    if [ -e "$page/build/index.html" ] && [ -z "$(find "$page/src" "$page/static" "$page/scripts" "$page"/*.json "$page"/*.[jt]s -newer "$page/build/index.html" -type f -print -quit)" ]; then
        return
    fi
    echo "page: building ..."
    if ! (cd "$page" && npm run --silent build >build.log 2>&1); then
        cat "$page/build.log" >&2
        return 1
    fi
    tail -n 16 "$page/build.log" | grep -E 'kB +everything|kB .*files' | head -n 1
}
