const METRES_PER_DEGREE = 111_320;

/** Where the map frame has its origin on the globe: the example of the API's documents. */
export const START = { latitude: 25.033, longitude: 121.5654 };

/** Degrees of a point of the map frame (metres, x east, y north); good for some kilometres around `start`. */
export function globalPosition(start: typeof START, { x, y }: { x: number; y: number }) {
  const metresPerDegreeEast = METRES_PER_DEGREE * Math.cos((start.latitude * Math.PI) / 180);
  return {
    latitude: start.latitude + y / METRES_PER_DEGREE,
    longitude: start.longitude + x / metresPerDegreeEast,
    altitude: 0,
  };
}

/** Each robot has a place of its own, 30 m from the next, in rows of ten. */
export function placeOf(index: number): { x: number; y: number } {
  return { x: (index % 10) * 30, y: Math.floor(index / 10) * 30 };
}
