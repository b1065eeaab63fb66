import type { AlertNotification } from '../contract/notifications.js';
import type { Mailer } from './mailer.js';
import type { Attempt } from './notifications-webhook.js';

const TIMEOUT_MS = 30_000;
const SUBJECT_LIMIT_CHARACTERS = 150;

/** One mail that tells of an alert. @throws the reason of `signal` when that broke it off. */
export async function sendMail(
  mailer: Mailer | null,
  to: string,
  id: string,
  notification: AlertNotification,
  signal: AbortSignal,
): Promise<Attempt> {
  if (!mailer)
    return { ok: false, error: 'This server cannot send mail: email.smtp_host is not set' };
  const late = AbortSignal.timeout(TIMEOUT_MS);
  try {
    await mailer.send({ to, id, ...wordsOf(notification) }, AbortSignal.any([signal, late]));
    return { ok: true };
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) {
      return { ok: false, error: `The mail server took longer than ${TIMEOUT_MS / 1_000} s` };
    }
    return { ok: false, error: describe(error) };
  }
}

function wordsOf({ type, data: { alert, channel } }: AlertNotification) {
  if (!alert) {
    return {
      subject: `Test of the notification channel ${oneLine(channel.name)}`,
      text: 'Alerts of your robots will reach you here.\n',
    };
  }
  const change = type.slice('alert.'.length);
  const about = `${alert.alert_type} on ${alert.robot_id}`;
  const facts = {
    Robot: alert.robot_id,
    Alert: alert.alert_type,
    Severity: alert.severity,
    Status: alert.status,
    Raised: alert.created_at,
    'Alert id': alert.id,
  };
  const lines = Object.entries(facts).map(([name, fact]) => `${name}: ${oneLine(fact)}`);
  return {
    subject: oneLine(`[${alert.severity}] ${about} ${change}`).slice(0, SUBJECT_LIMIT_CHARACTERS),
    text: `${alert.message}\n\n${lines.join('\n')}\n`,
  };
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ');
}

/** The server's own words are left out where they could repeat a login. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'The mail could not be sent';
  const { code, responseCode, command } = error as Error & Record<string, unknown>;
  const facts = [responseCode, code, command].filter((fact) => fact !== undefined).join(', ');
  return `The mail could not be sent${facts && ` (${facts})`}`;
}
