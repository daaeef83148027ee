// A QEMU that fails on cue: the real one (PINBAR_FAULT_QEMU) with its QMP and qtest connections relayed line by line, until
// the line that the fault waits for. See test/lab/fault.ts for what a fault is; everything that happens is told in its log.
import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';

const fault = JSON.parse(process.env.PINBAR_FAULT);
const log = (text) => appendFileSync(fault.log, `${text}\n`);
log('start');
const starts = readFileSync(fault.log, 'utf8').match(/^start$/gm).length;

const ours = { qmp: new Socket({ fd: 3 }), qtest: new Socket({ fd: 4 }) };
let held = false;
let child;

// Before the real QEMU exists, so that a fault can come first of all.
const steps = starts > (fault.times ?? Infinity) ? [] : [...fault.steps];
passed('start', '');

if (!held) {
  // Without its relay the real QEMU has no business.
  child = spawn('setpriv', ['--pdeathsig', 'KILL', process.env.PINBAR_FAULT_QEMU, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  const theirs = { qmp: child.stdio[3], qtest: child.stdio[4] };
  for (const name of ['qmp', 'qtest']) {
    relay(ours[name], theirs[name], `to ${name}`);
    relay(theirs[name], ours[name], `from ${name}`);
  }
  child.on('exit', (code, signal) => end(code, signal));
}
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => (child ? child.kill(signal) : end(0)));

function relay(from, to, way) {
  let rest = '';
  from.setEncoding('utf8');
  from.on('error', () => undefined);
  from.on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      // A line is judged before it goes on: what it asks for has not happened yet, what it tells is not known yet.
      if (!held) passed(way, line);
      if (!held && !to.destroyed) to.write(`${line}\n`);
    }
  });
  from.on('end', () => to.end());
}

/** Counts a line towards the next step of the fault, and lets it happen at the last one. */
function passed(way, line) {
  const [step] = steps;
  if (!step || way !== step.way || !new RegExp(step.line ?? '').test(line)) return;
  step.count = (step.count ?? 1) - 1;
  if (step.count > 0) return;
  steps.shift();
  if (steps.length > 0) return;
  log(`fault ${way} ${line.slice(0, 80)}`);
  if (fault.act === 'cut qmp') return ours.qmp.destroy();
  if (fault.act === 'cut qtest') return ours.qtest.destroy();
  held = true;
  if (fault.act === 'hold') setInterval(() => undefined, 1 << 30);
  else process.kill(child?.pid ?? process.pid, fault.act);
}

function end(code, signal) {
  if (!signal) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
