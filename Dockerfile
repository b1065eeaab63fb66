# Build: compiler and development dependencies stay behind in this stage.
FROM node:20-bookworm-slim AS build
WORKDIR /app
RUN apt-get update \
  && apt-get install -y --no-install-recommends build-essential openssl python3 \
  && rm -rf /var/lib/apt/lists/*
# Keeps mediasoup's install script from providing its worker; ours does that below.
ENV MEDIASOUP_WORKER_BIN=provided-by-set-up
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund
# Where it can be neither downloaded nor compiled, the server runs without video.
RUN node scripts/media-worker/provide.mjs || true

FROM node:20-bookworm-slim
WORKDIR /app
# What a worker compiled above is linked with; one that was downloaded has them inside.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libabsl20220623 libsrtp2-1 libssl3 libusrsctp2 libuv1 \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production \
  KAIROIO_SERVER_ENVIRONMENT=production \
  KAIROIO_DATABASE_DSN=/data/fleetwire.db \
  KAIROIO_MEDIA_WORKERS=1
RUN mkdir /data && chown node:node /data
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json package-lock.json LICENSE ./
COPY public public
USER node
VOLUME /data
EXPOSE 8080 44444/udp 44444/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.KAIROIO_SERVER_PORT || 8080}/health/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js", "serve"]
