import { defineConfig } from 'vitest/config';

/** `unit`: beside the code, nothing needed. `e2e`: real QEMU and real guests from the lab (`scripts/lab/setup`). */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          // After the unit tests, so that guests have the machine to themselves.
          sequence: { groupOrder: 1 },
          include: ['test/e2e/**/*.test.ts'],
          // A libvirt is no part of the lab: where there is one, this says how it is reached.
          exclude: process.env['PINBAR_LIBVIRT'] === undefined ? ['test/e2e/libvirt.test.ts'] : [],
          globalSetup: 'test/lab/build.ts',
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Two guests at a time: a TCG guest keeps one core busy.
          maxWorkers: 2,
        },
      },
    ],
  },
});
