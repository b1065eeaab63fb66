// A member of a room as docs/rooms.md has it, and no library. It notes when it saw what, in ms since the epoch, so that
// pages of one machine can be compared.

const PATIENCE_MS = 10_000;
const moments = new Map();
let camera;
let socket;
let peer;

function momentOf(name) {
  let moment = moments.get(name);
  if (!moment) {
    moment = {};
    moment.at = new Promise((resolve) => {
      moment.happens = () => resolve(Date.now());
    });
    moments.set(name, moment);
  }
  return moment;
}

/** When it happened, or null after ten seconds of waiting. */
function when(name) {
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, null));
  return Promise.race([momentOf(name).at, late]);
}

async function openCamera() {
  const video = { width: 640, height: 360 };
  camera = await navigator.mediaDevices.getUserMedia({ audio: true, video });
}

/** When `join` was sent. */
async function enter(roomId, userId) {
  moments.clear();
  peer = new RTCPeerConnection();
  for (const track of camera.getTracks()) peer.addTrack(track, camera);
  peer.ontrack = ({ track, streams: [from] }) => {
    if (track.kind === 'video') watch(from);
  };
  socket = new WebSocket(`ws://${location.host}/ws/${roomId}`);
  socket.onmessage = ({ data }) => onFrame(JSON.parse(data));
  socket.onclose = () => momentOf('closed').happens();
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const joinedAt = Date.now();
  socket.send(JSON.stringify({ type: 'join', user_id: userId }));
  return joinedAt;
}

async function onFrame({ type, from, data }) {
  if (type === 'join') {
    await describe('offer');
  } else if (type === 'answer') {
    await peer.setRemoteDescription({ type, sdp: data.sdp });
  } else if (type === 'offer') {
    await peer.setRemoteDescription({ type, sdp: data.sdp });
    await describe('answer');
  } else if (type === 'leave') {
    momentOf(`${from} left`).happens();
  } else if (type === 'error') {
    throw new Error(`${data.code}: ${data.message}`);
  }
}

async function describe(type) {
  await peer.setLocalDescription();
  socket.send(JSON.stringify({ type, data: { sdp: peer.localDescription.sdp } }));
}

function watch(stream) {
  const sinceMs = performance.now();
  const video = document.createElement('video');
  Object.assign(video, { autoplay: true, muted: true, srcObject: stream });
  document.body.append(video);
  const look = (_nowMs, { receiveTime }) => {
    // A line that is used again may still show the one who had it before.
    if (receiveTime < sinceMs) video.requestVideoFrameCallback(look);
    else momentOf(`${stream.id} seen`).happens();
  };
  video.requestVideoFrameCallback(look);
}

async function leave() {
  socket.send(JSON.stringify({ type: 'leave' }));
  await when('closed');
  peer.close();
  document.body.replaceChildren();
}

globalThis.member = { openCamera, enter, when, leave };
