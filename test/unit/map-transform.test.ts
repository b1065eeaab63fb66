import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  geometryOf,
  type MapGeometry,
  type MapShades,
  OCCUPANCY,
  occupancyOf,
  pixelAt,
  pixelToWorld,
  shadesOf,
  worldToPixel,
} from '../../src/lib/map-transform.js';

const { free: FREE, occupied: OCCUPIED, unknown: UNKNOWN } = OCCUPANCY;

const straight: MapGeometry = {
  resolution: 0.5,
  origin_x: -10,
  origin_y: -20,
  origin_yaw: 0,
  width: 40,
  height: 80,
};

const geometry = fc.record({
  resolution: fc.double({ min: 0.001, max: 10, noNaN: true }),
  origin_x: fc.double({ min: -1e4, max: 1e4, noNaN: true }),
  origin_y: fc.double({ min: -1e4, max: 1e4, noNaN: true }),
  origin_yaw: fc.double({ min: -7, max: 7, noNaN: true }),
  width: fc.integer({ min: 1, max: 10_000 }),
  height: fc.integer({ min: 1, max: 10_000 }),
});
const metres = fc.double({ min: -1e4, max: 1e4, noNaN: true });

describe('between the world and the image', () => {
  it.each([
    [
      { x: -10, y: -20 },
      { column: 0, row: 80 },
    ],
    [
      { x: -10, y: 20 },
      { column: 0, row: 0 },
    ],
    [
      { x: 10, y: 20 },
      { column: 40, row: 0 },
    ],
    [
      { x: 0, y: 0 },
      { column: 20, row: 40 },
    ],
    [
      { x: -9.75, y: 19.75 },
      { column: 0.5, row: 0.5 },
    ],
  ])('%j is %j', (point, pixel) => {
    expect(worldToPixel(straight, point)).toEqual(pixel);
    expect(pixelToWorld(straight, pixel)).toEqual(point);
  });

  it('turns about the lower-left corner, counterclockwise', () => {
    const turned = { ...straight, origin_yaw: Math.PI / 2 };
    // The lower-right corner of the image is now straight to the north of its lower-left one.
    const right = pixelToWorld(turned, { column: 40, row: 80 });
    expect(right.x).toBeCloseTo(-10, 9);
    expect(right.y).toBeCloseTo(0, 9);
    const top = pixelToWorld(turned, { column: 0, row: 0 });
    expect(top.x).toBeCloseTo(-50, 9);
    expect(top.y).toBeCloseTo(-20, 9);
  });

  it('goes there and back', () => {
    fc.assert(
      fc.property(geometry, metres, metres, (map, x, y) => {
        const back = pixelToWorld(map, worldToPixel(map, { x, y }));
        expect(Math.hypot(back.x - x, back.y - y)).toBeLessThan(1e-6);
      }),
    );
    const share = fc.double({ min: -1, max: 2, noNaN: true });
    fc.assert(
      fc.property(geometry, share, share, (map, right, down) => {
        const pixel = { column: right * map.width, row: down * map.height };
        const back = worldToPixel(map, pixelToWorld(map, pixel));
        const tolerance = 1e-9 * (1e5 / map.resolution);
        expect(Math.abs(back.column - pixel.column)).toBeLessThan(tolerance);
        expect(Math.abs(back.row - pixel.row)).toBeLessThan(tolerance);
      }),
    );
  });

  it('keeps lengths and angles: a pixel is a square of the resolution', () => {
    fc.assert(
      fc.property(geometry, (map) => {
        const at = pixelToWorld(map, { column: 3, row: 5 });
        const right = pixelToWorld(map, { column: 4, row: 5 });
        const up = pixelToWorld(map, { column: 3, row: 4 });
        const [a, b] = [
          { x: right.x - at.x, y: right.y - at.y },
          { x: up.x - at.x, y: up.y - at.y },
        ];
        expect(Math.hypot(a.x, a.y)).toBeCloseTo(map.resolution, 6);
        expect(Math.hypot(b.x, b.y)).toBeCloseTo(map.resolution, 6);
        expect(a.x * b.y - a.y * b.x).toBeCloseTo(map.resolution ** 2, 5);
        const yaw = Math.atan2(a.y, a.x) - map.origin_yaw;
        if (map.resolution > 0.1) expect(Math.cos(yaw)).toBeCloseTo(1, 6);
      }),
    );
  });

  it('finds the pixel that holds a point, for the middle of every pixel', () => {
    const inside = geometry.chain((map) =>
      fc.tuple(
        fc.constant(map),
        fc.integer({ min: 0, max: map.width - 1 }),
        fc.integer({ min: 0, max: map.height - 1 }),
      ),
    );
    fc.assert(
      fc.property(inside, ([map, column, row]) => {
        const middle = pixelToWorld(map, { column: column + 0.5, row: row + 0.5 });
        expect(pixelAt(map, middle)).toEqual({ column, row });
      }),
    );
  });

  it.each([
    [
      { x: -10, y: -20 },
      { column: 0, row: 79 },
    ],
    [
      { x: -9.5, y: -19.5 },
      { column: 1, row: 78 },
    ],
    [
      { x: 9.99, y: 19.99 },
      { column: 39, row: 0 },
    ],
    [{ x: 10, y: 0 }, null],
    [{ x: 0, y: 20 }, null],
    [{ x: -10.01, y: 0 }, null],
    [{ x: 0, y: -20.01 }, null],
  ])('at an edge: %j is in %j', (point, pixel) => {
    expect(pixelAt(straight, point)).toEqual(pixel);
  });
});

describe('the metadata of a map', () => {
  const shades: MapShades = { negate: false, occupied_thresh: 0.65, free_thresh: 0, mode: 'raw' };
  const map = { id: 'x', name: null, ...straight, ...shades };

  it('is taken apart', () => {
    expect(geometryOf(map)).toEqual(straight);
    expect(shadesOf(map)).toEqual(shades);
  });
  it('is nothing when a part of it is not known', () => {
    for (const field of Object.keys(straight)) {
      expect(geometryOf({ ...map, [field]: null })).toBeNull();
      expect(shadesOf({ ...map, [field]: null })).toEqual(shades);
    }
    for (const field of Object.keys(shades)) {
      expect(shadesOf({ ...map, [field]: null })).toBeNull();
      expect(geometryOf({ ...map, [field]: null })).toEqual(straight);
    }
  });
});

describe('occupancy, by the rules of nav2', () => {
  const map = { negate: false, occupied_thresh: 0.65, free_thresh: 0.25 };
  const trinary: MapShades = { ...map, mode: 'trinary' };

  it.each([
    [0, OCCUPIED],
    [254 / 255, FREE],
    [205 / 255, FREE],
    [127 / 255, UNKNOWN],
    [1, FREE],
  ])('trinary: a shade of %d is %d', (shade, occupancy) => {
    expect(occupancyOf(trinary, shade)).toBe(occupancy);
  });

  it('compares strictly', () => {
    const halves: MapShades = { ...trinary, occupied_thresh: 0.75, free_thresh: 0.25 };
    expect([0.25, 0.75].map((shade) => occupancyOf(halves, shade))).toEqual([UNKNOWN, UNKNOWN]);
    expect([0.249, 0.751].map((shade) => occupancyOf(halves, shade))).toEqual([OCCUPIED, FREE]);
  });

  it('negate makes white occupied', () => {
    const negated: MapShades = { ...trinary, negate: true };
    expect([0, 0.5, 1].map((shade) => occupancyOf(negated, shade))).toEqual([
      FREE,
      UNKNOWN,
      OCCUPIED,
    ]);
  });

  it('scale counts from threshold to threshold', () => {
    const scale: MapShades = { ...map, occupied_thresh: 0.75, mode: 'scale' };
    expect([1, 0.75, 0.5, 0.375, 0.25, 0].map((shade) => occupancyOf(scale, shade))).toEqual([
      ...[0, 0, 50, 75, 100, 100],
    ]);
  });

  it('raw is the sample itself up to 100', () => {
    const raw: MapShades = { ...map, mode: 'raw' };
    expect([0, 1, 100, 101, 205, 255].map((grey) => occupancyOf(raw, grey / 255))).toEqual([
      ...[0, 1, 100, UNKNOWN, UNKNOWN, UNKNOWN],
    ]);
  });
});
