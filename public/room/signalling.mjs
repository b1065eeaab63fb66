/**
 * A place in a room by the documented protocol: one WebSocket, one RTCPeerConnection. Comes back by itself when the
 * connection is lost. Browser only; no dependencies.
 */

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** How long a connection may be silent before it is made anew. */
const DISCONNECTED_MS = 6_000;
/** Closed for good by the server: full, replaced, expired; and for what we did ourselves. */
const FINAL_CODES = new Set([1_000, 4_003, 4_009, 4_010]);

/**
 * @param {object} options
 * @param {string} options.url of the room's WebSocket
 * @param {string} options.roomId
 * @param {string} options.userId
 * @param {string} options.name
 * @param {MediaStream | null} options.stream what is sent
 * @param {(participants: { user_id: string, name: string | null }[], ownId: string) => void} options.onParticipants
 * @param {(stream: MediaStream) => void} options.onStream a stream has come, or has another track; its id names the sender
 * @param {(streamId: string) => void} options.onStreamEnd
 * @param {(state: 'connecting' | 'connected' | 'waiting') => void} options.onState
 * @param {(sentence: string) => void} options.onNotice something did not work; the call goes on
 * @param {(reason: string) => void} options.onEnd there is no coming back
 * @returns {{ leave(): void }}
 */
export function joinRoom(options) {
  let socket = null;
  let peer = null;
  let ownId = options.userId;
  let over = false;
  let pauseMs = FIRST_PAUSE_MS;
  let retry = 0;
  let patience = 0;
  const streamIds = new Set();
  /** One step of the negotiation at a time. */
  let steps = Promise.resolve();

  function open() {
    options.onState('connecting');
    socket = new WebSocket(options.url);
    const mine = socket;
    mine.onopen = () => {
      const { roomId: room_id, userId: user_id, name } = options;
      send({ type: 'join', room_id, user_id, data: { user_id, name, participants: true } });
    };
    mine.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      steps = steps
        .then(() => (mine === socket ? follow(frame) : undefined))
        .catch((error) => {
          console.warn(error);
          if (mine === socket) mine.close();
        });
    };
    mine.onclose = ({ code, reason }) => {
      if (mine !== socket) return;
      hangUp();
      if (over) return;
      options.onParticipants([], ownId);
      if (FINAL_CODES.has(code)) {
        over = true;
        options.onEnd(reason || 'The call has ended');
        return;
      }
      options.onState('waiting');
      retry = setTimeout(open, pauseMs * (0.75 + Math.random() / 2));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    };
  }

  function send(frame) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  }

  async function follow({ type, user_id, data }) {
    switch (type) {
      case 'join':
        ownId = user_id ?? ownId;
        return call();
      case 'answer':
        // One that crossed an offer of the server is for an offer that has been taken back.
        if (peer.signalingState !== 'have-local-offer') return;
        return peer.setRemoteDescription({ type, sdp: data.sdp });
      case 'offer':
        await peer.setRemoteDescription({ type, sdp: data.sdp });
        await peer.setLocalDescription();
        return send({ type: 'answer', data: { sdp: peer.localDescription.sdp } });
      case 'ice-candidate':
        return peer.addIceCandidate(data);
      case 'participants':
        return options.onParticipants(data.participants, ownId);
      case 'error':
        return complain(data);
    }
  }

  function complain({ code, message }) {
    if (code === 'MEDIA_LOST') return call();
    options.onNotice(message);
  }

  async function call() {
    hangUp();
    const mine = new RTCPeerConnection();
    peer = mine;
    for (const track of options.stream?.getTracks() ?? []) mine.addTrack(track, options.stream);
    // What is not sent can be received all the same.
    for (const kind of ['audio', 'video']) {
      const isSent = options.stream?.getTracks().some((track) => track.kind === kind);
      if (!isSent) mine.addTransceiver(kind, { direction: 'recvonly' });
    }
    mine.onicecandidate = ({ candidate }) => {
      if (candidate && mine === peer) send({ type: 'ice-candidate', data: candidate });
    };
    mine.ontrack = ({ streams: [stream] }) => {
      if (!stream) return;
      streamIds.add(stream.id);
      options.onStream(stream);
      stream.onremovetrack = () => {
        if (stream.getTracks().length === 0) forget(stream.id);
      };
    };
    mine.onconnectionstatechange = () => {
      if (mine !== peer) return;
      clearTimeout(patience);
      const state = mine.connectionState;
      if (state === 'connected') {
        pauseMs = FIRST_PAUSE_MS;
        options.onState('connected');
      } else if (state === 'failed') socket?.close();
      else if (state === 'disconnected') {
        patience = setTimeout(() => socket?.close(), DISCONNECTED_MS);
      }
    };
    await mine.setLocalDescription();
    send({ type: 'offer', data: { sdp: mine.localDescription.sdp } });
  }

  function hangUp() {
    clearTimeout(patience);
    if (!peer) return;
    const old = peer;
    peer = null;
    for (const { receiver } of old.getTransceivers()) receiver.track.stop();
    old.close();
    for (const id of streamIds) forget(id);
  }

  function forget(id) {
    if (streamIds.delete(id)) options.onStreamEnd(id);
  }

  open();
  return {
    leave() {
      over = true;
      clearTimeout(retry);
      hangUp();
      socket?.close(1_000);
    },
  };
}
