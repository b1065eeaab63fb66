import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { WebSocket } from 'ws';
import { createApp } from '/work/main/src/app.js';
import { loadConfig } from '/work/main/src/config.js';
import { createLogger } from '/work/main/src/lib/logger.js';
const { config } = loadConfig({ env: {} });
const app = await createApp({ config: { ...config, server: {...config.server, port: 0, host:'127.0.0.1'}, limits: {...config.limits, requests_per_second: 3, requests_per_second_per_ip: process.argv[2]? 3: 1000}, database: { type: 'sqlite', path: '/tmp/fwrest/dbg.db' } } as never, log: createLogger('debug', { write: (l) => void process.stdout.write(l) }), version: 'x' });
const url = await app.listen();
if (process.argv[2]) for (const p of ['/version','/health','/nowhere','/docs','/docs/','/openapi.json','/api/v1/robots']) { const s=[]; for (let i=0;i<8;i++) s.push((await fetch(url+p)).status); console.log(p,s.join()); }
else {
const t = (await app.services.accounts.login(config.admin, {loopback:true})).certification_key;
const client = createWSClient({ url: url.replace('http','ws')+'/trpc', WebSocket: WebSocket as never, connectionParams: {token: t} });
const trpc = createTRPCClient<any>({ links: [wsLink({ client })] }) as any;
const r = await Promise.allSettled(Array.from({length:8},()=>trpc.robots.list.query()));
console.log(r.map(x=>x.status==='rejected'? [x.reason.message, x.reason.data, x.reason.cause?.stack]:'ok'));
await client.close(); }
await app.close();
