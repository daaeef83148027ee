import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseGuests } from '../src/guests/predict.js';
import type { Boot } from '../test/groundtruth/boots.js';
import { recordable, type Flavour } from '../test/groundtruth/flavours.js';
import { judge } from '../test/groundtruth/judge.js';
import { observe } from '../test/groundtruth/observe.js';
import { topologyOf } from '../test/groundtruth/topology.js';
import { lacking } from '../test/lab/lab.js';

const FIXTURES = fileURLToPath(new URL('../test/groundtruth/recorded', import.meta.url));
const USAGE = `npm run record -- [options]

Boots random topologies in real guests, and compares what they did with what pinbar predicts.

  --flavour NAME   who places (repeatable; all that the lab has):
                   ${recordable.map(({ name }) => name).join('\n                   ')}
  --seeds A-B      which topologies (1-8): a seed is the same topology on every board
  --write          what was predicted wrongly becomes a fixture in test/groundtruth/recorded; --write --all: everything does
  --kernel FILE    another kernel than the lab's
  --firmware FILE  another firmware than the lab's: a code volume for pflash where the flavour has one, else for -bios
  --guest NAME     what to predict for it, as pinbar predict takes it
`;

const say = (text: string) => process.stdout.write(`${text}\n`);

function readOptions() {
  const { values } = parseArgs({
    options: {
      flavour: { type: 'string', multiple: true, default: recordable.map(({ name }) => name) },
      seeds: { type: 'string', default: '1-8' },
      write: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      kernel: { type: 'string' },
      firmware: { type: 'string' },
      guest: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [from = NaN, to = from] = values.seeds.split('-').map(Number);
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) throw new Error(`--seeds ${values.seeds}: write 1-8`);
  if (values.guest !== undefined) parseGuests(values.guest);
  const flavours = values.flavour.map((name) => {
    const found = recordable.find((one) => one.name === name);
    if (!found) throw new Error(`--flavour ${name}: there are ${recordable.map((one) => one.name).join(', ')}`);
    return changed(found, values);
  });
  return { ...values, flavours, seeds: Array.from({ length: to - from + 1 }, (_, i) => from + i) };
}

/** A flavour with another kernel, firmware or prediction. */
function changed(
  flavour: Flavour,
  { kernel, firmware, guest }: { readonly kernel?: string; readonly firmware?: string; readonly guest?: string },
): Flavour {
  const code = flavour.argv.findIndex((word) => word.startsWith('if=pflash') && word.includes('unit=0'));
  const argv =
    firmware === undefined
      ? flavour.argv
      : code < 0
        ? [...flavour.argv, '-bios', firmware]
        : flavour.argv.with(code, (flavour.argv[code] ?? '').replace(/file=.*/, `file=${firmware}`));
  return {
    ...flavour,
    argv,
    guest: guest ?? flavour.guest,
    ...(flavour.kernel && kernel !== undefined ? { kernel: { ...flavour.kernel, image: kernel } } : {}),
  };
}

/** A fixture has what its test reads, a function a line. */
const written = (boot: Boot): string =>
  JSON.stringify({ ...boot, log: [] })
    .replaceAll('{"bdf"', '\n{"bdf"')
    .replaceAll(/("(?:first|final)":\{|,)("[0-9a-f]{4}:[0-9a-f]{2}:)/g, '$1\n$2');

const options = readOptions();
if (options.help) say(USAGE);
else {
  for (const flavour of options.flavours) {
    const missing = lacking(flavour.needs);
    if (missing !== undefined) {
      say(`${flavour.name}: skipped: ${missing}`);
      continue;
    }
    let exact = 0;
    for (const seed of options.seeds) {
      const boot = await observe(flavour, topologyOf(seed, flavour.arch));
      const wrong = judge(boot, flavour.guest);
      if (wrong.length === 0) exact++;
      else say(`${flavour.name} seed ${seed} (${boot.category}):\n  ${wrong.join('\n  ')}`);
      if (options.write && (options.all || wrong.length > 0)) {
        mkdirSync(`${FIXTURES}/${flavour.name}`, { recursive: true });
        writeFileSync(`${FIXTURES}/${flavour.name}/${boot.name}.json`, `${written(boot)}\n`);
      }
    }
    say(`${flavour.name}, ${flavour.guest}: ${exact} of ${options.seeds.length} exact`);
  }
}
