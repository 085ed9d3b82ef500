# The operator alone: no shell, no package manager, user 65532. Context: the repository.
# `--target prebuilt` takes the program from the context instead of compiling it; its context is a
# folder with penstock-operator and collect.sh.
ARG BUILD_BASE=rust:1.95-slim-bookworm
ARG RUNTIME_BASE=debian:bookworm-slim

FROM ${RUNTIME_BASE} AS prebuilt-files
COPY collect.sh /
COPY penstock-operator /penstock-operator
RUN sh /collect.sh /image /penstock-operator

FROM scratch AS prebuilt
COPY --from=prebuilt-files /image /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/penstock-operator"]

FROM ${BUILD_BASE} AS compiled
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential ca-certificates perl zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --locked --release --package penstock-operator --bin penstock-operator \
    && cp target/release/penstock-operator / \
    && sh images/collect.sh /image /penstock-operator

FROM scratch
COPY --from=compiled /image /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/penstock-operator"]
