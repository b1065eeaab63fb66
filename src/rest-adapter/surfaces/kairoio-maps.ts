import { z } from 'zod';
import { RobotId } from '../../contract/common.js';
import {
  ListMapsInput,
  MAP_LIST_LIMIT,
  MapId,
  SetActiveMapInput,
  type UploadMapInput,
} from '../../contract/maps.js';
import { DomainError } from '../../lib/errors.js';
import { MAP_YAML_LIMIT_BYTES } from '../../lib/map-yaml.js';
import { type Row, row } from '../define.js';
import type { Upload } from '../upload.js';

const MAP = '/api/v1/map/{id}';
const ROBOT_MAP = '/api/v1/robots/{robotId}/map';
const MapParams = z.object({ id: MapId });
const RobotParams = z.object({ robotId: RobotId });
const PGM_TYPE = 'image/x-portable-graymap';
const PNG_TYPE = 'image/png';

const toMapInput = ({ params }: { params: { id: string } }) => ({ map_id: params.id });

/** @throws DomainError `invalid_input` with the sentences of the contract. */
function readMapUpload({ files, fields }: Upload): UploadMapInput {
  const [yaml, pgm] = [required(files, 'yaml'), required(files, 'pgm')];
  return {
    yaml: textOf(yaml.bytes),
    pgm: pgm.bytes,
    file_name: pgm.name,
    // Forms send a field that nobody filled in as an empty one.
    robot_id: fields.robot_id || undefined,
  };
}

function required(files: Upload['files'], name: 'yaml' | 'pgm') {
  const file = files[name];
  if (file && file.bytes.length > 0) return file;
  throw new DomainError('invalid_input', `${name} file is required`, {
    issues: [{ path: name, message: 'must be a file part of multipart/form-data, and not empty' }],
  });
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new DomainError('invalid_input', 'Invalid YAML format', {
      issues: [{ path: 'yaml', message: 'must be UTF-8 text' }],
    });
  }
}

const binary = (description: string) => z.string().meta({ format: 'binary', description });

export const MAPS: readonly Row[] = [
  row('POST', '/api/v1/map/upload', 'maps.upload', {
    summary: 'Upload a map: the PGM and the YAML of ROS map_server',
    tag: 'Maps',
    upload: {
      body: z.object({
        yaml: binary('image, resolution, origin, negate, occupied_thresh, free_thresh, mode'),
        pgm: binary('P2 or P5; its file name without the ending is the name of the map'),
        robot_id: RobotId.optional(),
      }),
      files: { yaml: MAP_YAML_LIMIT_BYTES, pgm: null },
      fields: ['robot_id'],
      limit: ({ services }) => ({
        bytes: services.maps.uploadLimitBytes,
        name: 'maps.upload_limit',
      }),
      toInput: readMapUpload,
    },
  }),
  row('GET', '/api/v1/maps', 'maps.list', {
    summary: 'List maps, newest first',
    tag: 'Maps',
    query: ListMapsInput.extend({
      limit: z.coerce.number().int().min(1).max(MAP_LIST_LIMIT).default(MAP_LIST_LIMIT),
    }),
  }),
  row('GET', '/api/v1/map/latest', 'maps.latest', {
    summary: 'Get the metadata of the newest map',
    tag: 'Maps',
    query: z.object({ robot_id: RobotId.optional() }),
  }),
  row('GET', MAP, 'maps.get', {
    summary: 'Get the metadata of a map',
    tag: 'Maps',
    params: MapParams,
    input: toMapInput,
  }),
  row('DELETE', MAP, 'maps.delete', {
    summary: 'Delete a map; robots that have it as their active one have none from then on',
    tag: 'Maps',
    params: MapParams,
    input: toMapInput,
  }),
  row('GET', `${MAP}/image`, 'maps.image', {
    summary: 'Get the image of a map as it was uploaded, or as PNG for browsers',
    tag: 'Maps',
    params: MapParams,
    query: z.object({ format: z.enum(['pgm', 'png']).default('pgm') }),
    file: {
      types: [PGM_TYPE, PNG_TYPE],
      open: async ({ ctx, principal, params: { id }, query: { format } }) => {
        const image = await ctx.services.maps.imageFile(principal, id, format);
        return {
          contentType: format === 'png' ? PNG_TYPE : PGM_TYPE,
          tag: `${image.sha256}.${format}`,
          sizeBytes: image.size_bytes,
          read: image.read,
        };
      },
    },
  }),
  row('GET', ROBOT_MAP, 'maps.active', {
    summary: 'Get the metadata of the active map of a robot',
    tag: 'Maps',
    params: RobotParams,
  }),
  row('POST', ROBOT_MAP, 'maps.setActive', {
    summary: 'Set the active map of a robot',
    tag: 'Maps',
    params: RobotParams,
    body: SetActiveMapInput.omit({ robot_id: true }),
    missing: 'map_id is required',
  }),
];
