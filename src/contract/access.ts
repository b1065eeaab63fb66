import { z } from 'zod';
import { Instant, plainText, RobotId } from './common.js';

/** The account of the built-in admin. */
export const ADMIN_ID = 'ADMIN-001';

/** What a credential may do, one pair of words per noun. */
export const SCOPES = [
  'robots:read',
  'robots:write',
  'status:read',
  'status:write',
  'logs:read',
  'logs:write',
  'messages:read',
  'messages:write',
  'schemas:write',
  'alerts:read',
  'alerts:write',
  'alerts:manage',
  'commands:read',
  'commands:send',
  'commands:receive',
  'actions:write',
  'maps:read',
  'maps:write',
  'streams:read',
  'rooms:join',
  'rooms:write',
  'video:publish',
  'video:watch',
  'audit:read',
  'keys:write',
] as const;
export const Scope = z.enum(SCOPES);
export type Scope = z.infer<typeof Scope>;

/** What a robot's own key may do, for that robot alone. */
export const ROBOT_SCOPES: readonly Scope[] = [
  'robots:read',
  'status:read',
  'status:write',
  'logs:write',
  'messages:write',
  'alerts:write',
  'commands:receive',
  'maps:read',
  'maps:write',
  'streams:read',
  'video:publish',
];

/** Who is calling, as the one resolver found it. */
export interface Principal {
  kind: 'account' | 'api_key' | 'robot_key';
  account_id: string;
  /** The id of the API key; null for an account's certification key. */
  key_id: string | null;
  /** Set for a robot's own key: it acts for this robot alone. */
  robot_id: string | null;
  scopes: ReadonlySet<Scope>;
  /** Milliseconds since the epoch; null means never. */
  expires_at: number | null;
}

export const LoginInput = z.object({
  username: plainText(320)
    .min(1)
    .meta({ description: 'The admin name, or the e-mail of an account' }),
  password: z.string().min(1).max(1024),
});
export type LoginInput = z.infer<typeof LoginInput>;
export const Login = z.object({
  message: z.string(),
  account_id: z.string().meta({ example: 'ACC-20260125-120000' }),
  certification_key: z.string().meta({ description: 'The bearer token; it does not expire' }),
});
export type Login = z.infer<typeof Login>;

export const SendCodeInput = z.object({ email: z.email().max(320) });
export type SendCodeInput = z.infer<typeof SendCodeInput>;
export const SendCode = z.object({
  message: z.string(),
  expires_in: z.string().meta({ description: 'How long the code is valid', example: '20m0s' }),
});
export type SendCode = z.infer<typeof SendCode>;

/** What every new account needs, made by registration or on the command line. */
export const NewAccountInput = z.object({
  email: z.email().max(320),
  password: z.string().min(8).max(1024),
});
export type NewAccountInput = z.infer<typeof NewAccountInput>;
export const RegisterAccountInput = NewAccountInput.extend({
  code: z.string().max(64).optional().meta({
    description: 'The 6 digits that were mailed; needed unless the server verifies no e-mail',
    example: '042137',
  }),
});
export type RegisterAccountInput = z.infer<typeof RegisterAccountInput>;

export const Whoami = z.object({
  kind: z.enum(['account', 'api_key', 'robot_key']),
  account_id: z.string(),
  key_id: z.string().nullable(),
  robot_id: z.string().nullable(),
  scopes: z.array(Scope),
  expires_at: Instant.nullable(),
});
export type Whoami = z.infer<typeof Whoami>;

export const ApiKey = z.object({
  id: z.string(),
  name: z.string(),
  hint: z.string().meta({ description: 'The first characters of the key, to recognise it' }),
  superseded_by: z.string().nullable().meta({
    description: 'Set for the old secret of a rotated key: the id of that key',
  }),
  robot_id: z.string().nullable(),
  scopes: z.array(Scope),
  created_at: Instant.meta({ description: 'When the present secret was made' }),
  expires_at: Instant.nullable(),
  last_used_at: Instant.nullable().meta({ description: 'To within about a minute' }),
  revoked_at: Instant.nullable(),
});
export type ApiKey = z.infer<typeof ApiKey>;

const DAY_SECONDS = 86_400;
export const CreateKeyInput = z.object({
  name: plainText(100).min(1),
  robot_id: RobotId.optional().meta({
    description: "Makes a robot's own key: it acts for this robot alone",
  }),
  scopes: z.array(Scope).min(1).optional().meta({
    description:
      'What the key may do; by default everything but managing keys and sending the video of robots',
  }),
  expires_in_seconds: z
    .int()
    .min(60)
    .max(3_650 * DAY_SECONDS)
    .optional(),
});
export type CreateKeyInput = z.infer<typeof CreateKeyInput>;
export const NewApiKey = ApiKey.extend({
  key: z.string().meta({ description: 'The secret, shown this once', example: 'fwk_…' }),
});
export type NewApiKey = z.infer<typeof NewApiKey>;
export const ApiKeyId = plainText(64).min(1);
export const RotateKeyInput = z.object({
  key_id: ApiKeyId,
  overlap_seconds: z
    .int()
    .min(0)
    .max(30 * DAY_SECONDS)
    .default(3_600)
    .meta({
      description: 'How long the old secret goes on working beside the new one',
    }),
});
export type RotateKeyInput = z.infer<typeof RotateKeyInput>;
export const RevokeKeyInput = z.object({ key_id: ApiKeyId });
export type RevokeKeyInput = z.infer<typeof RevokeKeyInput>;
export const ApiKeyList = z.object({ keys: z.array(ApiKey), count: z.int() });
