export const SEQUENCE_DIGITS = 12;

/**
 * A status in the shape of the KairoIO documents, about 600 bytes of JSON. `seq` makes every status recognisable in the
 * database afterwards; its digits are a string of fixed width so that a prepared request can be patched in place.
 */
export function statusObject(sequence: number, seed: number) {
  const turn = seed * 0.37;
  return {
    status: 'active',
    mode: 'auto',
    battery_level: 20 + (seed % 80),
    global_position: {
      latitude: round(25.033 + Math.sin(turn) * 0.004),
      longitude: round(121.5654 + Math.cos(turn) * 0.004),
      altitude: 0.5,
    },
    local_position: {
      x: round(10.5 + Math.cos(turn) * 40),
      y: round(5.2 + Math.sin(turn) * 40),
      z: 0.25,
      yaw: 1.57,
    },
    velocity: { linear: 0.82, angular: 0.05 },
    sensor_overview: [
      { sensor_id: 'temp', sensor_type: 'Temperature', value: 25.5, unit: 'C' },
      { sensor_id: 'lidar', sensor_type: 'LaserScan', value: 2.5, unit: 'm' },
      { sensor_id: 'motor', sensor_type: 'Current', value: 1.25, unit: 'A' },
    ],
    laser_scan: {
      ranges: [2.5, 2.3, 2.1, 2.4, 2.6, 2.2, 2.9, 3.1, 3.4, 3.3],
      angle_min: -1.57,
      angle_max: 1.57,
    },
    seq: sequenceText(sequence),
  };
}

export function sequenceText(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0');
}

/** The sequence number of a stored status; null when it was not written by this benchmark. */
export function sequenceOf(statusJson: string): number | null {
  const match = /"seq":\s*"(\d{12})"/.exec(statusJson);
  return match === null ? null : Number(match[1]);
}

/** Six decimals for degrees and metres alike: what a robot's driver prints. */
function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
