# SPDX-License-Identifier: Apache-2.0
# The image homeiq-model-prep: the binary, its shared libraries and their loader, the CA certificates, one non-root user,
# licences and an SBOM. No shell, no package manager. All paths are relative to this directory:
#
#   docker build -t homeiq-model-prep .
#   docker build -t homeiq-model-prep -f services/model-prep/Dockerfile services/model-prep
#   docker build --target test .                                    the unit tests, with the image's own compiler and libraries

# Debian 13 or newer: a tag of the official image, or one with its digest (trixie-slim@sha256:...).
ARG DEBIAN=trixie-slim
# As in CMakeLists.txt; a test compares them.
ARG VERSION=0.1.0

# ---- compiler and libraries -------------------------------------------------------------------------------------------
FROM debian:${DEBIAN} AS tools
WORKDIR /source
COPY docker/packages docker/packages
# Without Debian's libcurl: the image has its own.
RUN apt-get update -qq && apt-get upgrade -y -qq \
 && sed -nE '/libcurl/d; s/^(build|image) //p' docker/packages \
    | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y -qq --no-install-recommends
COPY docker/image/libcurl docker/image/curl-options docker/image/
ARG CURL=
RUN docker/image/libcurl $CURL

# ---- the program ------------------------------------------------------------------------------------------------------
FROM tools AS build
COPY CMakeLists.txt ./
COPY include include
COPY src src
COPY docker/image/compile docker/image/compile
RUN docker/image/compile /build model-prep

# ---- the unit tests; BuildKit builds this stage only with --target test ------------------------------------------------
FROM build AS test
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends catch2
COPY tests tests
RUN docker/image/compile /build base_tests core_tests cli_tests -DMODEL_PREP_TESTS=ON \
 && /build/tests/base_tests && /build/tests/core_tests && /build/tests/cli_tests

# ---- the content of the image -----------------------------------------------------------------------------------------
FROM build AS image
COPY LICENSE ./
COPY docker/image/assemble docker/image/sbom.py docker/image/spdx.py docker/image/
# The time stamp of every file in the image, in seconds since 1970, so that two builds of the same sources give the same
# layers.
ARG SOURCE_DATE_EPOCH=0
ARG VERSION
RUN docker/image/assemble /build /image

FROM scratch
# Copied to /: a directory that COPY creates would have the time of this build.
COPY --from=image /image/root /
COPY --from=image --chown=10001:0 /image/user /
ENV PATH=/usr/bin \
    HF_HOME=/app/models \
    TRANSFORMERS_CACHE=/app/models
WORKDIR /app
USER 10001:0
# A batch job: it runs once, and its exit code is the result. There is nothing to probe.
HEALTHCHECK NONE
ENTRYPOINT ["model-prep"]
ARG VERSION
ARG REVISION=unknown
LABEL org.opencontainers.image.title="homeiq-model-prep" \
      org.opencontainers.image.description="Fills a volume with verified models from the Hugging Face Hub, then exits" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.homeiq.model-prep.sbom="/usr/share/doc/model-prep/sbom.spdx.json"
