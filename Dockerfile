# Both images: `--target service` and `--target operator`. docs/kubernetes.md says how they are built and what was proven.
#
# BASE_IMAGE: Debian 12 with CPython 3.11 as `python`. CI names it with its digest
# (--build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:…), so that the same source makes the same image.
ARG BASE_IMAGE=python:3.11-slim-bookworm


FROM ${BASE_IMAGE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/build.txt requirements/build.txt
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --require-hashes --only-binary :all: --requirement requirements/build.txt


# Libraries change seldom and are large, the code changes often and is small: two layers of an image.
# The extra [espeak] is not in it: libespeak-ng is GPL-3 (README, "License").
FROM tools AS service-libraries
COPY requirements/service.txt requirements/service.txt
RUN python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install \
      --require-hashes --only-binary :all: --requirement requirements/service.txt


FROM tools AS operator-libraries
COPY requirements/operator.txt requirements/operator.txt
RUN python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install \
      --require-hashes --only-binary :all: --requirement requirements/operator.txt


FROM tools AS reload-libraries
COPY requirements/reload.txt requirements/reload.txt
RUN /opt/tools/bin/pip install --target /opt/reload \
      --require-hashes --only-binary :all: --requirement requirements/reload.txt


# One distribution has both programs; each image is left with its own.
FROM tools AS code
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY operator operator
RUN python -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel . \
 && for program in service operator; do \
      /opt/tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --target "/opt/code/$program" wheel/*.whl; \
    done \
 && rm -r /opt/code/service/batkol_operator /opt/code/service/bin/batkol-operator \
          /opt/code/operator/batkol /opt/code/operator/bin/batkol


FROM ${BASE_IMAGE} AS runtime
ENV PATH=/opt/app/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
LABEL org.opencontainers.image.vendor="Batkol" \
      org.opencontainers.image.licenses="Apache-2.0"


FROM runtime AS operator
LABEL org.opencontainers.image.title="batkol-operator" \
      org.opencontainers.image.description="Looks after VoiceAgents on Kubernetes"
COPY --from=operator-libraries /opt/venv /opt/venv
COPY --from=code /opt/code/operator /opt/app
# After the copying, so that the folder is root's; and by number, by which the kubelet sees that it is not root who runs.
WORKDIR /opt/app
USER 10001:10001
# Last, for they change with every commit.
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENTRYPOINT ["batkol-operator"]
CMD ["run"]


FROM runtime AS service
LABEL org.opencontainers.image.title="batkol" \
      org.opencontainers.image.description="Twilio phone calls become text while they are spoken"
COPY --from=service-libraries /opt/venv /opt/venv
COPY --from=code /opt/code/service /opt/app
WORKDIR /opt/app
USER 10001:10001
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
EXPOSE 8080 8081
ENTRYPOINT ["batkol"]
CMD ["serve"]


# For skaffold's file sync: the code is run from /tmp/app, the one place that can be written, and started again when it changes.
FROM operator AS operator-dev
COPY --from=reload-libraries /opt/reload /opt/reload
COPY --chmod=0555 tools/reload /opt/reload/bin/reload
ENTRYPOINT ["/opt/reload/bin/reload", "batkol-operator"]
CMD ["run"]


FROM service AS service-dev
COPY --from=reload-libraries /opt/reload /opt/reload
COPY --chmod=0555 tools/reload /opt/reload/bin/reload
ENTRYPOINT ["/opt/reload/bin/reload", "batkol"]
CMD ["serve"]
