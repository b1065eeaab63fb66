import { joinRoom } from './signalling.mjs';

const NAME_KEY = 'fleetwire.room.name';
const find = (id) => document.getElementById(id);
const [lobby, call, tiles] = ['lobby', 'call', 'tiles'].map(find);
const roomId = decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1) ?? '');
const token = new URLSearchParams(location.search).get('token');

/** The room may be served below a prefix, such as `/k/<key>/`. */
function addressOf(path, scheme = location.protocol) {
  const url = new URL(`../${path}/${encodeURIComponent(roomId)}`, location.href);
  url.protocol = scheme;
  if (token) url.searchParams.set('token', token);
  return url.href;
}

let stream = null;
let room = null;
let participants = [];
let ownId = '';
const streams = new Map();

/** What the room calls the stream of a member; ids that no session description can hold are changed there. */
function streamOf({ user_id }) {
  if (streams.has(user_id)) return streams.get(user_id);
  const changed = `${user_id.replace(/[^\w-]/g, '_')}-`;
  return [...streams].find(([id]) => id.startsWith(changed) && !isMember(id))?.[1];
}

function isMember(id) {
  return participants.some(({ user_id }) => user_id === id);
}

async function openDevices() {
  const notice = find('lobby-notice');
  if (!navigator.mediaDevices) {
    notice.textContent =
      'Browsers give camera and microphone to pages over https alone; you can watch and listen.';
    return;
  }
  for (const wanted of [
    { audio: true, video: { width: { ideal: 1280 }, height: { ideal: 720 } } },
    { audio: true },
    { video: true },
  ]) {
    try {
      stream = await navigator.mediaDevices.getUserMedia(wanted);
      break;
    } catch (error) {
      notice.textContent = `No camera or microphone: ${error.message}. You can watch and listen.`;
    }
  }
  if (stream) {
    notice.textContent = '';
    find('preview').srcObject = stream;
  }
}

async function checkRoom() {
  const response = await fetch(addressOf('api/rooms'));
  if (response.ok || response.status === 429) return undefined;
  const { error } = await response.json().catch(() => ({}));
  if (response.status === 404) return 'There is no such room, or it has expired.';
  if (response.status === 401) return 'You need an invitation: ask for the whole link.';
  return error ?? `The server answered ${response.status}.`;
}

function start() {
  const name = find('name').value.trim();
  localStorage.setItem(NAME_KEY, name);
  lobby.hidden = true;
  call.hidden = false;
  for (const [id, kind] of [
    ['microphone', 'audio'],
    ['camera', 'video'],
  ]) {
    find(id).disabled = !stream?.getTracks().some((track) => track.kind === kind);
  }
  room = joinRoom({
    url: addressOf('ws', location.protocol === 'https:' ? 'wss:' : 'ws:'),
    roomId,
    userId: `web-${crypto.getRandomValues(new Uint32Array(2)).join('')}`,
    name,
    stream,
    onParticipants(now, own) {
      participants = now;
      ownId = own;
      draw();
    },
    onStream(remote) {
      streams.set(remote.id, remote);
      draw();
    },
    onStreamEnd(id) {
      streams.delete(id);
      draw();
    },
    onState(state) {
      const words = { connecting: 'Connecting…', waiting: 'Connection lost; trying again…' };
      say(words[state] ?? '');
    },
    onNotice: say,
    onEnd: showEnd,
  });
}

function say(sentence) {
  find('call-notice').textContent = sentence;
}

function showEnd(sentence) {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  find('preview').srcObject = null;
  tiles.replaceChildren();
  call.hidden = true;
  lobby.hidden = false;
  find('lobby-notice').textContent = sentence;
  find('join').textContent = 'Join again';
}

/** One tile for each participant; those that stay are kept, because a moved video stops for a moment. */
function draw() {
  const wanted = new Map(participants.map((one) => [one.user_id, one]));
  for (const tile of [...tiles.children]) {
    if (!wanted.has(tile.dataset.userId)) tile.remove();
  }
  for (const one of participants) {
    const isOwn = one.user_id === ownId;
    const tile = tileOf(one.user_id) ?? addTile(one.user_id, isOwn);
    tile.querySelector('.name').textContent = isOwn ? 'You' : one.name || 'Guest';
    const shown = (isOwn ? stream : streamOf(one)) ?? null;
    const video = tile.querySelector('video');
    if (video.srcObject !== shown) video.srcObject = shown;
  }
  const count = participants.length;
  find('count').textContent =
    count === 0 ? '' : count === 1 ? 'Nobody else is here' : `${count} people`;
}

function tileOf(userId) {
  return [...tiles.children].find((tile) => tile.dataset.userId === userId);
}

function addTile(userId, isOwn) {
  const tile = document.createElement('article');
  tile.className = isOwn ? 'tile own' : 'tile';
  tile.dataset.userId = userId;
  const video = document.createElement('video');
  Object.assign(video, { autoplay: true, playsInline: true, muted: isOwn });
  const name = document.createElement('span');
  name.className = 'name';
  tile.append(video, name);
  tiles.append(tile);
  return tile;
}

function toggle(id, kind, [whenOn, whenOff]) {
  const button = find(id);
  const off = button.getAttribute('aria-pressed') !== 'true';
  for (const track of stream?.getTracks() ?? []) if (track.kind === kind) track.enabled = !off;
  button.setAttribute('aria-pressed', String(off));
  button.textContent = off ? whenOff : whenOn;
}

find('microphone').onclick = () => toggle('microphone', 'audio', ['Mute', 'Unmute']);
find('camera').onclick = () => toggle('camera', 'video', ['Camera off', 'Camera on']);
find('copy').onclick = async () => {
  // Only pages over https may write to the clipboard.
  await navigator.clipboard?.writeText(location.href).then(
    () => say('Link copied'),
    () => say(location.href),
  );
  if (!navigator.clipboard) say(location.href);
};
find('leave').onclick = () => {
  room?.leave();
  room = null;
  showEnd('You have left.');
};
find('join-form').onsubmit = async (event) => {
  event.preventDefault();
  find('join').disabled = true;
  try {
    if (!stream) await openDevices();
    const problem = await checkRoom();
    if (problem) find('lobby-notice').textContent = problem;
    else start();
  } catch (error) {
    find('lobby-notice').textContent = `The server cannot be reached: ${error.message}`;
  } finally {
    find('join').disabled = false;
  }
};
find('name').value = localStorage.getItem(NAME_KEY) ?? '';
await openDevices();
