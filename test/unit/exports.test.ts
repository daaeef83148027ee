import { expect, it } from 'vitest';

it('the library exports this and nothing else: a name comes or goes on purpose', async () => {
  expect(Object.keys(await import('../../src/index.js')).sort()).toEqual([
    'AddressRange',
    'EvidenceReader',
    'Problem',
    'Problems',
    'diagnose',
    'diagnosisToJson',
    'gather',
    'headroomOf',
    'loadMachine',
    'loadPlan',
    'machineFrom',
    'movesOf',
    'place',
    'planFromJson',
    'planToJson',
  ]);
});
