import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What Prometheus reads at `/metrics`: base units, and no robot ids among the labels. */
export interface Metrics {
  registry: Registry;
  httpRequest(
    labels: { method: string; route: string; status: string },
    durationSeconds: number,
  ): void;
  ingestCommit(rows: number, durationMs: number): void;
  rowsDeleted(rows: number): void;
  /** A value read whenever somebody asks. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void;
  /** A value for each of a few labels. */
  gaugeBy(name: string, help: string, label: string, read: () => Record<string, number>): void;
}

const PREFIX = 'fleetwire_';

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: 'Time from the request to the end of the answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  });
  const commits = new Histogram({
    name: `${PREFIX}ingest_commit_duration_seconds`,
    help: 'Time of one group commit',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
    registers,
  });
  const items = new Counter({
    name: `${PREFIX}ingest_items_total`,
    help: 'Rows of telemetry that went through a commit',
    registers,
  });
  const deleted = new Counter({
    name: `${PREFIX}retention_deleted_rows_total`,
    help: 'Rows deleted because they were too old or their robot was deleted',
    registers,
  });
  return {
    registry,
    httpRequest: (labels, durationSeconds) => requests.observe(labels, durationSeconds),
    ingestCommit(rows, durationMs) {
      commits.observe(durationMs / 1_000);
      items.inc(rows);
    },
    rowsDeleted: (rows) => deleted.inc(rows),
    gauge(name, help, read) {
      new Gauge({
        name: PREFIX + name,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    },
    gaugeBy(name, help, label, read) {
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: [label],
        registers,
        collect() {
          for (const [value, count] of Object.entries(read())) this.set({ [label]: value }, count);
        },
      });
    },
  };
}
