import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, StepError } from '../run-step.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ABSEIL = [
  ...['absl_strings', 'absl_bad_optional_access', 'absl_bad_variant_access'],
  ...['absl_raw_hash_set', 'absl_hash', 'absl_flat_hash_map'],
];
const LIBRARIES = ['libuv', 'openssl', 'libsrtp2', 'usrsctp', 'flatbuffers', ...ABSEIL];
/** What Debian and Ubuntu call the tools and libraries. */
export const PACKAGES = [
  ...['g++', 'ninja-build', 'pkg-config', 'libuv1-dev', 'libssl-dev', 'libsrtp2-dev'],
  ...['libusrsctp-dev', 'libabsl-dev', 'libflatbuffers-dev', 'flatbuffers-compiler', 'openssl'],
];

/** The versions of everything that goes into the build and is not in the package, or undefined when some is missing. */
export function toolVersions() {
  const tools = [
    ['g++', '--version'],
    ['ninja', '--version'],
    ['flatc', '--version'],
    ['pkg-config', '--modversion', ...LIBRARIES],
  ].map(([command, ...args]) => spawnSync(command, args, { encoding: 'utf8' }));
  if (tools.some(({ status }) => status !== 0)) return undefined;
  return tools.map(({ stdout }) => stdout.trim());
}

/**
 * Compiles the worker from the sources that mediasoup's package ships against the system's libraries. Debian's meson is
 * too old for the package's own build, whose libraries are downloads besides; so what to compile is read from its
 * meson.build, and ninja does the rest. A build that was broken off goes on where it was.
 * @param {string} worker mediasoup's `worker` folder
 * @param {string} folder where everything is built
 * @param {(line: string) => void} say
 * @returns {Promise<string>} the path of the program
 */
export async function buildWorker(worker, folder, say) {
  mkdirSync(join(folder, 'FBS'), { recursive: true });
  for (const part of ['src', 'include', 'fbs', 'deps/libwebrtc']) {
    cpSync(join(worker, part), join(folder, part), { recursive: true, preserveTimestamps: true });
  }
  mkdirSync(join(folder, 'compat'), { recursive: true });
  cpSync(join(HERE, 'srtp.h'), join(folder, 'compat/srtp.h'), { preserveTimestamps: true });
  patch(join(folder, 'src/RTC/DtlsTransport.cpp'));

  const sources = sourcesOf(worker);
  const ninja = join(folder, 'build.ninja');
  writeFileSync(`${ninja}.new`, ninjaFile(worker, sources));
  renameSync(`${ninja}.new`, ninja);
  const compiled = () =>
    spawnSync('ninja', ['-C', folder, '-n'], { encoding: 'utf8' }).stdout.match(/\[\d+\/(\d+)\]/);
  const left = Number(compiled()?.[1] ?? 0);
  say(`compiling mediasoup's worker: ${left} steps, about 4 minutes on 2 cores`);
  const code = await run(['ninja', '-C', folder, '--quiet', `-j${availableParallelism()}`], {
    progress: (elapsed) => {
      const open = Number(compiled()?.[1] ?? 0);
      return `still compiling mediasoup's worker, ${left - open} of ${left} steps done (${elapsed})`;
    },
  });
  if (code !== 0) throw new StepError(`the compilation of mediasoup's worker failed (${code})`);
  return join(folder, 'mediasoup-worker');
}

/** The files that mediasoup's own build compiles. @throws when they cannot be found there. */
function sourcesOf(worker) {
  const own = listed(join(worker, 'meson.build'), 'common_sources');
  const webrtc = listed(join(worker, 'deps/libwebrtc/meson.build'), 'libwebrtc_sources');
  return [...own, 'src/main.cpp', ...webrtc.map((path) => `deps/libwebrtc/${path}`)];
}

function listed(file, name) {
  const list = new RegExp(`^${name} = \\[([^\\]]+)\\]`, 'm').exec(readFileSync(file, 'utf8'))?.[1];
  const paths = [...(list ?? '').matchAll(/'([^']+)'/g)].map(([, path]) => path);
  if (paths.length === 0) throw new StepError(`${file} no longer lists ${name}`);
  return paths;
}

/**
 * The callback answers control calls of the BIO as well, whose operation carries BIO_CB_RETURN beside others. Compared
 * for equality it answers 1 to all of them, and an OpenSSL that was built with kernel TLS then believes in sockets
 * that are not there: the worker dies on the first DTLS packet.
 */
function patch(file) {
  const text = readFileSync(file, 'utf8');
  const wrong = '(operationType == BIO_CB_RETURN)';
  if (text.split(wrong).length !== 2) {
    throw new StepError(`${file} has changed: ${wrong} is not there exactly once`);
  }
  writeFileSync(file, text.replace(wrong, '(operationType & BIO_CB_RETURN)'));
}

function ninjaFile(worker, sources) {
  const libraries = spawnSync('pkg-config', ['--cflags', '--libs', ...LIBRARIES], {
    encoding: 'utf8',
  }).stdout.trim();
  const schemas = listed(join(worker, 'fbs/meson.build'), 'flatbuffers_schemas');
  const inputs = schemas.map((name) => `fbs/${name}`).join(' ');
  const objects = sources.map((path) => `obj/${path}.o`);
  return [
    'cxxflags = -std=c++20 -O3 -w -DMS_LITTLE_ENDIAN -DMS_EXECUTABLE -DFLATBUFFERS_LOCALE_INDEPENDENT=1 -Icompat -I. -Iinclude -Ideps/libwebrtc -Ideps/libwebrtc/libwebrtc',
    'rule schemas',
    "  command = flatc --cpp --cpp-field-case-style lower --reflect-names --scoped-enums --filename-suffix '' -o FBS $in && touch $out",
    'rule compile',
    '  command = g++ $cxxflags -MMD -MF $out.d -c $in -o $out',
    '  depfile = $out.d',
    '  deps = gcc',
    'rule link',
    `  command = g++ @$out.rsp -o $out ${libraries} -lpthread`,
    '  rspfile = $out.rsp',
    '  rspfile_content = $in',
    `build FBS/done: schemas ${inputs}`,
    ...sources.map((path) => `build obj/${path}.o: compile ${path} || FBS/done`),
    `build mediasoup-worker: link ${objects.join(' ')}`,
    'default mediasoup-worker',
    '',
  ].join('\n');
}
