# syntax=docker/dockerfile:1.7
# A static binary with the admin page in it, alone in an empty image. The commit for `--version`:
#   docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) -t llm-proxy .

ARG RUST_VERSION=1.95.0
ARG NODE_VERSION=20.20.2
ARG DEBIAN=bookworm

# --- The admin page
FROM node:${NODE_VERSION}-${DEBIAN}-slim AS frontend
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

# --- The binary
FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# C is for SQLite, the allocator and cryptography.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# With static libraries of C; a target that is named keeps that from build scripts.
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_TERM_COLOR=never
# Dependencies first: this layer stays as long as the lock file does.
COPY .cargo/ .cargo/
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && printf '//! Stands in for the code.\nfn main() {}\n' | tee build.rs > src/main.rs && echo '//! Empty.' > src/lib.rs \
    && cargo build --release --locked --bin llm-proxy --target "$(rustc -vV | sed -n 's/^host: //p')" \
    && rm -rf src build.rs
COPY build.rs diesel.toml ./
COPY migrations/ migrations/
COPY src/ src/
COPY --from=frontend /build/frontend/build/ frontend/build/
ARG COMMIT=unknown
# Cargo compares times, and those of the copied files may be older than the layer above.
RUN find src build.rs -type f -exec touch {} + \
    && LLM_PROXY_COMMIT="${COMMIT}" cargo build --release --locked --bin llm-proxy --target "$(rustc -vV | sed -n 's/^host: //p')" \
    && mkdir -p /image/usr/local/bin /image/etc/ssl/certs /image/var/lib/llm-proxy /image/tmp \
    && cp target/*/release/llm-proxy /image/usr/local/bin/llm-proxy \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'nonroot:x:65532:65532:nonroot:/var/lib/llm-proxy:/sbin/nologin' > /image/etc/passwd \
    && echo 'nonroot:x:65532:' > /image/etc/group \
    && echo 'hosts: files dns' > /image/etc/nsswitch.conf \
    && chown -R 65532:65532 /image/var/lib/llm-proxy && chmod 1777 /image/tmp

# --- The image
FROM scratch
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="llm-proxy" \
      org.opencontainers.image.description="One address for every LLM provider, in one binary" \
      org.opencontainers.image.source="https://github.com/llm-proxy/llm-proxy" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /image/ /
ENV DATA_DIR=/var/lib/llm-proxy SNAPSHOT_PATH=/var/lib/llm-proxy/snapshot.json
WORKDIR /var/lib/llm-proxy
VOLUME /var/lib/llm-proxy
EXPOSE 18000
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/llm-proxy", "health"]
ENTRYPOINT ["/usr/local/bin/llm-proxy"]
CMD ["serve"]
