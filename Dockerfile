# qrgate as a static binary on a minimal image, without a shell and without root.
#
#   docker build -t qrgate .
#   docker run -p 8080:8080 -e QRGATE_ENGINE_URL=http://engine:8084 qrgate

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -tags nomsgpack -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/qrgate ./cmd/qrgate \
 && /out/qrgate version \
 && install -d -m 0700 -o 65532 -g 65532 /out/data

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="qrgate" \
      org.opencontainers.image.description="Gateway in front of a WhatsApp session engine, or an engine itself" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-3.0-only"
COPY --from=build /out/qrgate /qrgate
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE NOTICE /
USER 65532:65532
# The operators' port listens on loopback; publish it only on purpose, with QRGATE_ADMIN_LISTEN=:8081.
ENV QRGATE_DATA_DIR=/data
# Device keys of the embedded engine. In front of another engine, qrgate writes nothing here.
VOLUME /data
EXPOSE 8080
# The image has no shell and no curl. An orchestrator may request /readyz on the operators' port instead.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["/qrgate", "health"]
ENTRYPOINT ["/qrgate"]
