import { createFleetClient } from 'fleetwire/client';

const url = process.argv[2] ?? 'http://localhost:8080';
const admin = { username: 'kairoio', password: 'kairoio' };
const login = await createFleetClient({ url }).auth.login.mutate(admin);
const fleet = createFleetClient({ url, token: login.certification_key });

const { robots, count } = await fleet.robots.list.query();
const online = robots.filter(({ presence }) => presence === 'online').length;
console.log(`${count} robots, ${online} of them online`);

fleet.status.live.subscribe(
  {},
  {
    onData({ robot_id, status, received_at }) {
      console.log(`${received_at} ${robot_id} ${status.status} ${status.battery_level} %`);
    },
    onError: (error) => console.error(error.data?.reason ?? error.message),
  },
);
