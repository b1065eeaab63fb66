import { z } from 'zod';
import { Instant, plainText, RobotId } from './common.js';

export const MapId = plainText(128)
  .min(1)
  .meta({ description: 'The id of the map', example: '4f0c3d7e-0c3b-4b52-9d6f-3f6c1a2b7e90' });

export const MapMode = z.enum(['trinary', 'scale', 'raw']);
export type MapMode = z.infer<typeof MapMode>;

/** Null is what the server that took the map did not note. */
export const MapMetadata = z
  .object({
    id: z.string().meta({ example: '4f0c3d7e-0c3b-4b52-9d6f-3f6c1a2b7e90' }),
    account_id: z.string(),
    robot_id: z.string().nullable().meta({ description: 'The robot that the map is from' }),
    name: z.string().nullable().meta({ example: 'office' }),
    resolution: z.number().nullable().meta({ description: 'Metres per pixel', example: 0.05 }),
    origin_x: z.number().nullable(),
    origin_y: z.number().nullable(),
    origin_yaw: z.number().nullable(),
    origin: z
      .array(z.number())
      .length(3)
      .nullable()
      .meta({
        description:
          'The pose of the lower-left corner of the lower-left pixel: x and y in metres, yaw in radians',
        example: [-10, -10, 0],
      }),
    negate: z.boolean().nullable().meta({ description: 'White is occupied instead of free' }),
    occupied_thresh: z.number().nullable(),
    free_thresh: z.number().nullable(),
    mode: MapMode.nullable(),
    width: z.int().nullable().meta({ description: 'Pixels' }),
    height: z.int().nullable(),
    max_value: z.int().nullable().meta({ description: 'The sample that is white' }),
    size_bytes: z.int().meta({ description: 'Bytes of the image as it was uploaded' }),
    created_at: Instant,
  })
  .meta({ id: 'Map' });
export type MapMetadata = z.infer<typeof MapMetadata>;

/** Base64 takes four characters for three bytes; the body limit of the server comes first. */
export const UploadMapInput = z.object({
  yaml: z.string().meta({ description: 'The text of the map_server YAML' }),
  pgm: z.union([z.string(), z.custom<Uint8Array>((value) => value instanceof Uint8Array)]).meta({
    description: 'The image in base64 (bytes are for calls inside the server)',
  }),
  file_name: plainText(1_000).optional().meta({
    description: 'The name of the image file; without its ending it becomes the name of the map',
    example: 'office.pgm',
  }),
  robot_id: RobotId.optional(),
});
export type UploadMapInput = z.infer<typeof UploadMapInput>;
export const UploadedMap = z.object({
  message: z.string().meta({ example: 'Map uploaded successfully' }),
  map_id: z.string(),
});
export type UploadedMap = z.infer<typeof UploadedMap>;

export const MAP_LIST_LIMIT = 1_000;
export const ListMapsInput = z.object({
  robot_id: RobotId.optional().meta({ description: 'Maps of this robot alone' }),
  limit: z.int().min(1).max(MAP_LIST_LIMIT).default(MAP_LIST_LIMIT),
  cursor: z.string().max(200).optional().meta({ description: 'next_cursor of the page before' }),
});
export type ListMapsInput = z.infer<typeof ListMapsInput>;
export const MapList = z.object({
  maps: z.array(MapMetadata),
  count: z.int(),
  next_cursor: z.string().nullable().meta({ description: 'Null on the last page' }),
});
export type MapList = z.infer<typeof MapList>;

export const LatestMapInput = ListMapsInput.pick({ robot_id: true });
export const MapInput = z.object({ map_id: MapId });
export const DeletedMap = z.object({ message: z.string(), map_id: z.string() });

export const ActiveMapInput = z.object({ robot_id: RobotId });
export const SetActiveMapInput = z.object({
  robot_id: RobotId,
  map_id: MapId.nullable().meta({ description: 'Null for no map' }),
});
export type SetActiveMapInput = z.infer<typeof SetActiveMapInput>;
export const ActiveMapSet = z.object({
  message: z.string().meta({ example: 'Active map updated' }),
  robot_id: z.string(),
  active_map_id: z.string().nullable(),
});
export type ActiveMapSet = z.infer<typeof ActiveMapSet>;

/** Where the image of a map is; the addresses are paths on the server and need the bearer token. */
export const MapImage = z.object({
  map_id: z.string(),
  pgm_url: z.string().meta({ description: 'As it was uploaded' }),
  png_url: z.string().meta({ description: 'For browsers' }),
  sha256: z.string().meta({ description: 'Of the image as it was uploaded, in hex' }),
  size_bytes: z.int(),
});
export type MapImage = z.infer<typeof MapImage>;
