import type { Action } from '../contract/actions.js';

const none = { type: 'object', additionalProperties: false };
const finite = (description: string) => ({ type: 'number', description });

const DEFINITIONS: Readonly<Record<string, { description: string; schema: object }>> = {
  move_to: {
    description: 'Drive to a position in the frame of the active map',
    schema: {
      type: 'object',
      required: ['x', 'y'],
      properties: {
        x: finite('Metres'),
        y: finite('Metres'),
        yaw: finite('Radians, counter-clockwise, 0 along x'),
        speed: { type: 'number', exclusiveMinimum: 0, description: 'Metres per second' },
        map_id: { type: 'string', maxLength: 200 },
      },
    },
  },
  stop: {
    description: 'Stop at once; cancels whatever else the robot was told',
    schema: {
      type: 'object',
      properties: { reason: { type: 'string', maxLength: 500 } },
    },
  },
  pause: { description: 'Halt and keep the task', schema: none },
  resume: { description: 'Go on with the task', schema: none },
  return_to_base: { description: 'Drive to where the robot belongs', schema: none },
  dock: {
    description: 'Drive onto a dock and charge',
    schema: {
      type: 'object',
      properties: { dock_id: { type: 'string', minLength: 1, maxLength: 200 } },
    },
  },
  undock: { description: 'Leave the dock', schema: none },
  set_speed: {
    description: 'Drive no faster than this from now on',
    schema: {
      type: 'object',
      required: ['speed'],
      properties: { speed: { type: 'number', minimum: 0, description: 'Metres per second' } },
    },
  },
  take_photo: {
    description: 'Take a picture',
    schema: {
      type: 'object',
      properties: { camera: { type: 'string', minLength: 1, maxLength: 200 } },
    },
  },
  reboot: {
    description: 'Start the robot anew',
    schema: {
      type: 'object',
      properties: {
        delay_seconds: { type: 'number', minimum: 0, maximum: 3_600 },
      },
    },
  },
};

/** What every robot may be told, by name. */
export const BUILT_IN_ACTIONS: ReadonlyMap<string, Action> = new Map(
  Object.entries(DEFINITIONS).map(([name, { description, schema }]) => [
    name,
    {
      id: name,
      name,
      description,
      robot_types: null,
      parameters_schema: schema as Record<string, unknown>,
      built_in: true,
      created_at: null,
      updated_at: null,
    },
  ]),
);
