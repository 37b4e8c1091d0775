# SPDX-License-Identifier: Apache-2.0
# The image homeiq-model-prep: one static program, the CA certificates, one non-root user, licences and an SBOM. No shell,
# no library, no package manager. All paths are relative to this directory:
#
#   docker build -t homeiq-model-prep .
#   docker build -t homeiq-model-prep -f services/model-prep/Dockerfile services/model-prep
#   docker build --platform PLATFORM -t homeiq-model-prep .         BuildKit cross-compiles; no emulation
#   docker build --build-arg LIBRARIES=debian -t homeiq-model-prep .
#   docker build --build-arg LIBRARIES=debian --build-arg UNIT_TESTS=yes --target test .

# Debian 13 or newer: a tag of the official image, or one with its digest (trixie-slim@sha256:...).
ARG DEBIAN=trixie-slim
# As in CMakeLists.txt; a test compares them.
ARG VERSION=0.1.0
# static: the program of docker/release, whose toolchain comes from PyPI. debian: Debian's compiler and shared libraries,
# for this machine's architecture; the image has those libraries and their loader in addition.
ARG LIBRARIES=static

# ---- compiler and libraries -------------------------------------------------------------------------------------------
# The machine's own architecture: the compiler is never emulated. The older builder does not know BUILDPLATFORM.
FROM --platform=${BUILDPLATFORM:-linux} debian:${DEBIAN} AS tools
WORKDIR /source
ARG LIBRARIES
ARG TARGETARCH
COPY docker/packages docker/lib.sh docker/
COPY docker/image/libraries docker/image/libraries
COPY docker/static docker/static
RUN docker/image/libraries

# ---- the program ------------------------------------------------------------------------------------------------------
# The older builder forgets a stage's arguments in the stages that are made of it.
FROM tools AS build
ARG LIBRARIES
ARG TARGETARCH
COPY CMakeLists.txt ./
COPY include include
COPY src src
COPY docker/image/compile docker/image/compile
RUN docker/image/compile /build model-prep

# ---- the unit tests; the older builder makes this stage for every image, so they wait to be asked for ------------------
FROM build AS test
ARG LIBRARIES
ARG UNIT_TESTS=no
COPY tests tests
COPY docker/image/unit-tests docker/image/unit-tests
RUN docker/image/unit-tests

# ---- the content of the image -----------------------------------------------------------------------------------------
FROM build AS image
ARG LIBRARIES
ARG TARGETARCH
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
