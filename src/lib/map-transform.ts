/** Where a map lies in the world: what its metadata says. */
export interface MapGeometry {
  /** Metres that a pixel is wide and high. */
  resolution: number;
  /** The lower-left corner of the lower-left pixel, in metres. */
  origin_x: number;
  origin_y: number;
  /** How far the map is turned about that corner, in radians, counterclockwise. */
  origin_yaw: number;
  /** Pixels. */
  width: number;
  height: number;
}

/** Metres in the map's frame: x to the east, y to the north when the yaw is 0. */
export interface WorldPoint {
  x: number;
  y: number;
}

/** Pixels from the upper-left corner of the image, in fractions: the first pixel goes from 0 to 1. */
export interface ImagePoint {
  column: number;
  row: number;
}

/** Where a point of the world is in the image; it may lie outside. */
export function worldToPixel(map: MapGeometry, { x, y }: WorldPoint): ImagePoint {
  const [east, north] = [x - map.origin_x, y - map.origin_y];
  const [cos, sin] = [Math.cos(map.origin_yaw), Math.sin(map.origin_yaw)];
  return {
    column: (east * cos + north * sin) / map.resolution,
    row: map.height - (north * cos - east * sin) / map.resolution,
  };
}

/** Where a point of the image is in the world. The middle of pixel (0, 0) is `{ column: 0.5, row: 0.5 }`. */
export function pixelToWorld(map: MapGeometry, { column, row }: ImagePoint): WorldPoint {
  const right = column * map.resolution;
  const up = (map.height - row) * map.resolution;
  const [cos, sin] = [Math.cos(map.origin_yaw), Math.sin(map.origin_yaw)];
  return {
    x: map.origin_x + right * cos - up * sin,
    y: map.origin_y + right * sin + up * cos,
  };
}

/**
 * The whole-numbered pixel that holds a point of the world, or null outside the map. As for ROS, a point on an edge
 * belongs to the pixel to its right and above it.
 */
export function pixelAt(map: MapGeometry, point: WorldPoint): ImagePoint | null {
  const { column: right, row: down } = worldToPixel(map, point);
  const column = Math.floor(right);
  const row = map.height - 1 - Math.floor(map.height - down);
  const isInside = column >= 0 && row >= 0 && column < map.width && row < map.height;
  return isInside ? { column, row } : null;
}

/** How a map's grey becomes occupancy: what its metadata says. */
export interface MapShades {
  negate: boolean;
  occupied_thresh: number;
  free_thresh: number;
  mode: 'trinary' | 'scale' | 'raw';
}

/** What occupancy says at its ends. */
export const OCCUPANCY = { free: 0, occupied: 100, unknown: -1 } as const;

type Incomplete<T> = { [K in keyof T]: T[K] | null };

/** The part of a map's metadata that places it; null when some of it is not known. */
export function geometryOf(map: Incomplete<MapGeometry>): MapGeometry | null {
  const { resolution, origin_x, origin_y, origin_yaw, width, height } = map;
  return complete({ resolution, origin_x, origin_y, origin_yaw, width, height });
}

/** The part of a map's metadata that makes occupancy of its grey; null when some of it is not known. */
export function shadesOf(map: Incomplete<MapShades>): MapShades | null {
  const { negate, occupied_thresh, free_thresh, mode } = map;
  return complete({ negate, occupied_thresh, free_thresh, mode });
}

function complete<T extends object>(parts: Incomplete<T>): T | null {
  return Object.values(parts).includes(null) ? null : (parts as T);
}

/**
 * The occupancy of a pixel as ROS has it, -1 (unknown) or 0 (free) to 100 (occupied), by the rules of nav2.
 * `shade` is the pixel's grey from 0 (black) to 1 (white).
 */
export function occupancyOf(map: MapShades, shade: number): number {
  if (map.mode === 'raw') {
    const value = Math.round(shade * 255);
    return value <= OCCUPANCY.occupied ? value : OCCUPANCY.unknown;
  }
  const occupancy = map.negate ? shade : 1 - shade;
  if (occupancy > map.occupied_thresh) return OCCUPANCY.occupied;
  if (occupancy < map.free_thresh) return OCCUPANCY.free;
  if (map.mode === 'trinary') return OCCUPANCY.unknown;
  const share = (occupancy - map.free_thresh) / (map.occupied_thresh - map.free_thresh);
  return Math.round(share * OCCUPANCY.occupied);
}
