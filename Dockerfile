# The service with its Helm. Build it from the root of the repository:
#
#   docker build --tag helm-rollback .
#
# Run it with a read-only root file system, the ledger in a volume:
#
#   docker run --read-only --tmpfs /tmp --volume ledger:/data \
#     --volume ~/.kube/config:/kubeconfig:ro --env HELM_ROLLBACK_KUBECONFIG=/kubeconfig \
#     --network host helm-rollback
#
# The service listens on loopback, as everywhere, until it is told otherwise.
# tests/packaging/test_dockerfile.py runs every step below that needs no container engine.

# --- Helm, at the version that tools/go/helm4/go.mod pins ---------------------------

FROM golang:1.26-trixie AS helm
WORKDIR /src
COPY tools/go/helm4/ ./
ENV CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=readonly -buildvcs=false"
# Helm knows its version only from the linker; without it, it calls itself v4.3.
RUN version=$(go list -m -f '{{.Version}}' helm.sh/helm/v4) \
 && go build -trimpath \
      -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$version" \
      -o /out/helm helm.sh/helm/v4/cmd/helm

# --- the service, with the dependencies that constraints.txt pins -------------------

FROM python:3.11-slim-trixie AS service
WORKDIR /src
COPY constraints.txt ./
# Without build isolation, so that the wheel's builder is pinned, too.
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt hatchling
COPY LICENSE README.md pyproject.toml ./
COPY src/ src/
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir /out .
RUN python -m venv /opt/helm-rollback \
 && /opt/helm-rollback/bin/pip install --no-cache-dir --disable-pip-version-check \
      -c constraints.txt /out/*.whl

# --- what runs ----------------------------------------------------------------------

FROM python:3.11-slim-trixie
COPY --from=helm /out/helm /usr/local/bin/helm
COPY --from=service /opt/helm-rollback /opt/helm-rollback
COPY tools/health.py /opt/helm-rollback/health.py
RUN install -d -m 0700 -o 65532 -g 65532 /data
# /dev/shm (else /tmp) holds each Helm run's private folder; HOME is where nothing of ours lies.
ENV PATH=/opt/helm-rollback/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    HELM_ROLLBACK_DATABASE=sqlite:////data/ledger.db \
    HELM_ROLLBACK_HELM=/usr/local/bin/helm
VOLUME ["/data"]
EXPOSE 50051 8080
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "/opt/helm-rollback/health.py"]
ENTRYPOINT ["helm-rollback"]
CMD ["serve"]
