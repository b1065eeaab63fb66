import { createFleetClient, joinRoom, type RemoteTrack } from 'fleetwire/client';

// Bundle it, and open its page with #url=http://localhost:8080&robot=<robot id>&key=<API key>
const given = new URLSearchParams(location.hash.slice(1));
const [url = '', token, robotId = ''] = ['url', 'key', 'robot'].map(
  (name) => given.get(name) ?? '',
);
const fleet = createFleetClient({ url, token });
const { robot_type } = await fleet.robots.get.query({ robot_id: robotId });
const room = await joinRoom(fleet, { robotId, name: 'Dashboard' });

const heading = document.body.appendChild(document.createElement('h1'));
const wall = document.body.appendChild(document.createElement('main'));

function show({ track_id, label, mediaStreamTrack }: RemoteTrack) {
  const video = document.createElement('video');
  Object.assign(video, { id: track_id, title: label, autoplay: true, muted: true });
  video.srcObject = new MediaStream([mediaStreamTrack]);
  wall.append(video);
}

function tell(news: string) {
  heading.textContent = `${robotId} (${robot_type}): ${news}`;
}

for (const track of room.tracks) show(track);
tell(`${room.participants.length} here`);
room.on('track', show);
room.on('trackEnded', ({ track_id }) => document.getElementById(track_id)?.remove());
room.on('participants', (all) => tell(`${all.length} here`));
room.on('lost', () => tell('connecting …'));
room.on('ended', ({ reason }) => tell(reason));
