const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const Database = require('better-sqlite3');
const express = require('express');

test('a native module, WAL and shared memory files', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'db-'));
  const db = new Database(path.join(dir, 'x.db'));
  expect(db.pragma('journal_mode = WAL', { simple: true })).toBe('wal');
  db.exec('create table t (n)');
  const insert = db.prepare('insert into t values (?)');
  db.transaction(() => { for (let n = 0; n < 1000; n++) insert.run(n); })();
  expect(db.prepare('select sum(n) as sum from t').get().sum).toBe(499500);
  db.close();
});

test('a server and a client', async () => {
  const server = express().get('/', (_, res) => res.send('hello')).listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.on('listening', resolve); });
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
  expect(await answer.text()).toBe('hello');
  server.close();
});

test('a watcher of files', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'watch-'));
  const seen = new Promise((resolve) => {
    const watcher = fs.watch(dir, (_, name) => { watcher.close(); resolve(name); });
  });
  fs.writeFileSync(path.join(dir, 'new'), '');
  expect(await seen).toBe('new');
});

test('a worker thread', async () => {
  const worker = new Worker("require('node:worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
  expect(await new Promise((resolve) => { worker.on('message', resolve); })).toBe(42);
  await worker.terminate();
});
