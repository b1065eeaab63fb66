import type { Transporter } from 'nodemailer';
import type { Config } from '../config.js';

/** The port on which SMTP speaks TLS from the first byte. */
const SMTPS_PORT = 465;
const CONNECT_TIMEOUT_MS = 5_000;
const SILENCE_TIMEOUT_MS = 10_000;

export interface Mail {
  to: string;
  subject: string;
  text: string;
  /** Makes a mail that is sent again recognisable as the same one. */
  id?: string;
}

export interface Mailer {
  /**
   * Resolves when the SMTP server has taken the mail. @throws when it has not, or when `signal` broke it off; the server
   * may have taken it all the same then.
   */
  send(mail: Mail, signal?: AbortSignal): Promise<void>;
}

/**
 * Mail over SMTP: TLS from the start on port 465, elsewhere STARTTLS where the server offers it, and nothing less when
 * there is a password to send. Certificates are checked, except on this machine itself, where relays sign their own.
 * @returns null when no SMTP host is configured.
 */
export function createMailer(email: Config['email']): Mailer | null {
  if (!email.smtp_host) return null;
  let transport: Promise<Transporter> | undefined;
  return {
    async send({ id, ...mail }, signal) {
      transport ??= openTransport(email);
      await (await transport).sendMail({
        from: email.from_address,
        ...mail,
        // No vacation notice answers it.
        headers: { 'Auto-Submitted': 'auto-generated' },
        ...(id && { messageId: `<${id}@${email.from_address.split('@').at(-1)}>` }),
        ...(signal && { signal }),
      });
    },
  };
}

async function openTransport(email: Config['email']): Promise<Transporter> {
  // Takes memory that a server without mail has no use for.
  const { createTransport } = await import('nodemailer');
  const isLocal = /^(localhost|127(\.\d+){3}|::1)$/.test(email.smtp_host);
  const isSecure = email.smtp_port === SMTPS_PORT;
  const hasLogin = email.username !== '';
  return createTransport({
    host: email.smtp_host,
    port: email.smtp_port,
    secure: isSecure,
    requireTLS: hasLogin && !isSecure && !isLocal,
    tls: { rejectUnauthorized: !isLocal },
    ...(hasLogin && { auth: { user: email.username, pass: email.password } }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}
