import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';

export function greeting(name: string): string {
  return `hello ${name}`;
}

const server = createServer((_, res) => res.end(greeting('server')));
server.listen(0, '127.0.0.1', async () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const answer = await fetch(`http://127.0.0.1:${address.port}/`);
  console.log(await answer.text(), Object.keys(networkInterfaces()).length > 0);
  server.close();
});
