import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';
import type { Config } from '../../src/config.js';
import { createMailer, type Mailer } from '../../src/services/mailer.js';

export interface ReceivedMail {
  from: string;
  to: string[];
  /** Headers and body as they came. */
  text: string;
  /** Who logged in; false for nobody. */
  user: unknown;
  isEncrypted: boolean;
}

/** A real mail server on this machine and what it has received; it stops when the test ends. */
export async function startSmtp(options: SMTPServerOptions = {}) {
  const received: ReceivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    hideSTARTTLS: true,
    ...options,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
          user: session.user,
          isEncrypted: session.secure,
        });
        done();
      });
    },
  });
  // A client that gives up is reported here too; the test looks at what the client was told.
  server.on('error', () => {});
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const email: Config['email'] = {
    smtp_host: '127.0.0.1',
    smtp_port: port,
    from_address: 'fleet@example.com',
    username: '',
    password: '',
    code_ttl: 1_200_000,
  };
  return { received, email, mailer: createMailer(email) as Mailer };
}
