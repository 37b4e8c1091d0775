# SPDX-License-Identifier: Apache-2.0
# The image homeiq-model-prep: the program, the libraries it needs, certificates, and a user who is not root.
# All paths are relative to this folder:
#
#   docker build -t homeiq-model-prep .
#   docker build -t homeiq-model-prep -f services/model-prep/Dockerfile services/model-prep

ARG DEBIAN=trixie-slim

FROM debian:${DEBIAN} AS build
WORKDIR /source
COPY docker/packages docker/packages
RUN apt-get update \
 && sed -n 's/^build //p' docker/packages \
    | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/*
COPY CMakeLists.txt ./
COPY include include
COPY src src
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DMODEL_PREP_TESTS=OFF -DMODEL_PREP_HUB=OFF \
      -DMODEL_PREP_WERROR=OFF \
 && cmake --build /build --target model-prep \
 && cmake --install /build --prefix /image --strip
# The packages that hold the program's shared libraries, whatever this release and architecture call them.
RUN set -e; \
    ldd /image/bin/model-prep > /libraries; ! grep 'not found' /libraries; \
    awk '$3 ~ "^/" { print $3 }' /libraries | xargs realpath | xargs dpkg-query --search \
    | cut -d: -f1 | sort -u > /packages; \
    grep -q '^libcurl' /packages

FROM debian:${DEBIAN}
COPY --from=build /packages /tmp/packages
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends ca-certificates < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages \
 && useradd --uid 10001 --gid 0 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin model-prep \
 && install -d -o 10001 -g 0 -m 0775 /app/models
COPY LICENSE /usr/share/doc/model-prep/LICENSE
COPY --from=build /image/bin/model-prep /usr/local/bin/model-prep
LABEL org.opencontainers.image.title="homeiq-model-prep" \
      org.opencontainers.image.description="Fills a volume with verified models from the Hugging Face Hub, then exits" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV HF_HOME=/app/models \
    TRANSFORMERS_CACHE=/app/models
WORKDIR /app
USER 10001:0
# A batch job: it runs once and its exit code is the answer.
HEALTHCHECK NONE
ENTRYPOINT ["model-prep"]
