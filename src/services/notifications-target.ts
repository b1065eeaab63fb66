import { isIP } from 'node:net';
import { z } from 'zod';
import { DomainError } from '../lib/errors.js';
import { isPublicAddress } from '../lib/public-address.js';

const Email = z.email().max(320);
const PRIVATE =
  'must lead to an address of the open internet; the operator can allow others with notifications.allow_private_targets';

/** What webhooks may reach here. */
export interface TargetRules {
  /** Also this machine and private networks, and also without TLS. */
  allowPrivate: boolean;
  /** Only https, unless private targets are allowed: receivers at home seldom have a certificate. */
  requireHttps: boolean;
}

/** @throws DomainError `invalid_input`, for what can be told without asking anybody; names are resolved when it is sent. */
export function assertTarget(kind: string, target: string, rules: TargetRules): void {
  const problem = kind === 'email' ? emailProblem(target) : urlProblem(target, rules);
  if (problem) throw new DomainError('invalid_input', `target: ${problem}`);
}

function emailProblem(target: string): string | undefined {
  return Email.safeParse(target).success ? undefined : 'must be an e-mail address';
}

/** What is wrong with the URL of a webhook, in words that follow its name. */
export function urlProblem(target: string, rules: TargetRules): string | undefined {
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    return 'must be an http or https URL such as https://hooks.example.com/fleet';
  }
  if (url.username !== '' || url.password !== '') {
    return 'must hold no user name or password; what is sent is signed';
  }
  if (rules.allowPrivate) return undefined;
  if (rules.requireHttps && url.protocol === 'http:') return 'must be an https URL';
  const host = hostOf(url);
  const isHere = /(^|\.)localhost\.?$/.test(host);
  return isHere || (isIP(host) !== 0 && !isPublicAddress(host)) ? PRIVATE : undefined;
}

/** The host as a resolver and `isIP` take it: IPv6 without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}
