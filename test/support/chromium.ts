import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [process.env.CHROMIUM_BIN, '/usr/bin/chromium', '/usr/bin/google-chrome'];
const place = PLACES.find((path) => path && existsSync(path));

/** Why no browser can be started, for people to read; undefined when one can. */
export const browserProblem = place
  ? undefined
  : 'Chromium is not installed; CHROMIUM_BIN may name one';

/** Headless, with cameras and microphones that are made up and need no permission. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: place!,
    args: [
      ...['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
      ...['--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required'],
    ],
  });
}
