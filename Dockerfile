# The action's image: one static binary, the CA bundle and the shipped roles.
# The libraries are a layer of their own, before any of our source: a change of src/ rebuilds in seconds.

FROM debian:trixie-slim AS libraries
COPY tools/musl-deps.sh /nante/tools/
RUN apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(/nante/tools/musl-deps.sh --packages) >/dev/null \
 && rm -rf /var/lib/apt/lists/*
RUN /nante/tools/musl-deps.sh /deps

FROM libraries AS build
WORKDIR /nante
COPY Makefile VERSION ./
COPY src src
ARG VERSION
RUN make -s -j"$(nproc)" static DEPS=/deps ${VERSION:+VERSION="$VERSION"}

FROM scratch
COPY --from=libraries /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY roles /roles
COPY --from=build /nante/build/static/nante /nante
ENTRYPOINT ["/nante"]
